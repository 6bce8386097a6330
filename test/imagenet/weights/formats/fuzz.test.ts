/**
 * Damaged files: whatever happened to a file, reading all of it ends soon, in tensors as their shapes say or in a
 * FormatError, and takes no memory that the file does not stand for.
 */
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readWeights } from '../../../../imagenet/weights/formats/weights.ts'
import { countOf } from '../../../../nn/formats/dtypes.ts'
import { bytesSource } from '../../../../nn/formats/source.ts'
import { FormatError } from '../../../../nn/index.ts'
import { damaged } from '../../../fuzz/damage.ts'
import { pth, state, tensor } from './files.ts'

const test = suite('damaged weights')

const fixture = (name: string) => async (): Promise<Uint8Array> => readFileSync(`test/fixtures/pth/${name}`)
const FILES: [name: string, content: () => Promise<Uint8Array>][] = [
  ['odd.pth', fixture('odd.pth')],
  ['odd_legacy.pth', fixture('odd_legacy.pth')],
  ['odd_protocol4.pth', fixture('odd_protocol4.pth')],
  ['odd.safetensors', fixture('odd.safetensors')],
  ['hostile.pth', fixture('hostile.pth')],
  ['an archive of one tensor', () => pth(state(tensor()))],
]

/** Of each file; fast-check makes the same ones from the same seed, and makes one that fails smaller. */
const CASES = { numRuns: 600, seed: 7 }

/** Bytes that one tensor may take: an expanded one has at most 2^20 elements of 8 bytes more than its file. */
const mostBytes = (file: Uint8Array) => file.length + 2 ** 23

/** Whether it could be read. */
async function readAll(file: Uint8Array): Promise<boolean> {
  try {
    const { tensors } = await readWeights(bytesSource(file))
    for (const [name, tensor] of tensors) {
      assert.ok(tensor.byteLength <= mostBytes(file), name)
      assert.is(tensor.bytes().length, tensor.byteLength, name)
      assert.is(tensor.data.length, countOf(tensor.shape) * (tensor.dtype === 'C64' ? 2 : 1), name)
    }
    return true
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    return false
  }
}

for (const [name, content] of FILES) {
  test(`${name} with bytes changed, cut out and repeated`, async () => {
    const file = await content()
    const property = fc.asyncProperty(damaged(file), async (file) => {
      await readAll(file)
    })
    await fc.assert(property, CASES)
  })

  test(`${name} with each byte of its words changed in turn`, async () => {
    // Pickles, headers and directories are in the first and the last kilobyte.
    const file = await content()
    const step = Math.ceil(file.length / 700)
    for (let at = 0; at < file.length; at += step) {
      const damaged = new Uint8Array(file)
      damaged[at] = 255 - damaged[at]
      await readAll(damaged)
    }
  })

  test(`${name} cut off anywhere cannot be read`, async () => {
    const file = await content()
    const step = Math.ceil(file.length / 700)
    for (let length = 0; length < file.length; length += step)
      assert.not.ok(await readAll(file.subarray(0, length)), `${length} of ${file.length} bytes`)
  })
}

test.run()
