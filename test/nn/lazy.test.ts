/** Weights in a file go to the device one by one: no model is in memory beside its file. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { countOf } from '../../nn/formats/dtypes.ts'
import { openSafetensors, writeSafetensors } from '../../nn/formats/safetensors.ts'
import { FileTensor, resnet } from '../../nn/index.ts'
import { testDevice } from '../device.ts'

const test = suite('weights in files')

test('a model reads its weights when it is placed, each once and none beside another', async () => {
  const device = await testDevice()
  const wanted = resnet('resnet18', { numClasses: 10 })
  const reads: string[] = []
  const state = new Map(
    [...wanted.namedState()].map(([name, { savedShape, savedDtypes }]) => {
      const dtype = savedDtypes[0]
      const read = () => {
        reads.push(name)
        return new Uint8Array((dtype === 'I64' ? 8 : 4) * countOf(savedShape)).fill(1)
      }
      return [name, new FileTensor(dtype, savedShape, read)]
    }),
  )
  wanted.loadStateDict(state)
  const counters = [...state.keys()].filter((name) => name.endsWith('num_batches_tracked'))
  assert.equal(reads, counters, 'numbers on the CPU only')
  wanted.to(device)
  assert.equal(reads.toSorted(), [...state.keys()].toSorted())
  const [ones] = new Float32Array(new Uint8Array(4).fill(1).buffer)
  assert.equal(
    await wanted.layer4.children()[0][1].parameters()[0].tensor.read(),
    new Float32Array(512 * 256 * 9).fill(ones),
  )
  wanted.free()
})

test('a state is refused before anything of it is read', async () => {
  const unread = new FileTensor('F32', [1], () => assert.unreachable() as never)
  assert.throws(() => resnet('resnet18').loadStateDict(new Map([['conv1.weight', unread]])), /conv1\.weight is \[1\]/)
})

test('safetensors are read by range: the header, then each tensor for itself', () => {
  const tensors = [...'abc'].map(
    (name, i) => [name, { dtype: 'F32', shape: [2], data: Float32Array.of(i, i) }] as const,
  )
  const file = new Uint8Array(Buffer.concat([...writeSafetensors(tensors)]))
  const ranges: [number, number][] = []
  const source = {
    size: file.length,
    read(begin: number, end: number) {
      ranges.push([begin, end])
      return file.subarray(begin, end)
    },
  }
  const opened = openSafetensors(source)
  const header = file.length - 24
  assert.equal(ranges.splice(0), [
    [0, 8],
    [8, header],
  ])
  assert.equal(opened.tensors.get('b')!.data, Float32Array.of(1, 1))
  assert.equal(ranges, [[header + 8, header + 16]])
})

test.run()
