import * as assert from 'uvu/assert'

/** What a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  return assert.unreachable('nothing was thrown') as never
}
