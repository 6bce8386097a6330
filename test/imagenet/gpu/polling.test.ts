/** Dawn is made to ask its driver less often; everybody else's setImmediate stays what it is. */
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { pollGently } from '../../../imagenet/gpu/polling.ts'
import { testDevice } from '../../device.ts'

const test = suite('polling')
const device = await testDevice()

test('immediates of JavaScript come in order, with their arguments', async () => {
  pollGently()
  const seen: unknown[] = []
  await new Promise<void>((done) => {
    setImmediate((...args) => seen.push(args), 1, 'two')
    setImmediate(
      function (this: unknown) {
        seen.push(this)
      }.bind('bound'),
    )
    setImmediate(() => {
      seen.push('third')
      setImmediate(done)
    })
  })
  assert.equal(seen, [[1, 'two'], 'bound', 'third'])
})

test('an immediate can be cleared and awaited', async () => {
  const cleared = setImmediate(() => assert.unreachable())
  clearImmediate(cleared)
  assert.is(await promisify(setImmediate)('value'), 'value')
})

test('what Dawn promises still comes, however many promises are open', async () => {
  await Promise.all(Array.from({ length: 20 }, () => device.idle()))
})

test.run()
