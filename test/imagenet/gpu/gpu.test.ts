import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { adapterLine, chooseAdapter, describeAdapter, listAdapters, openAdapter } from '../../../imagenet/gpu/open.ts'
import { testDevice } from '../../device.ts'

const test = suite('gpu')

const list = ['NVIDIA GeForce RTX 4090', 'AMD Radeon 890M', 'NVIDIA GeForce RTX 4090', 'AMD Radeon', 'llvmpipe'].map(
  (name) => ({ name, backend: 'vulkan' }),
)

const choices: [gpu: string | undefined, index: number][] = [
  [undefined, 0],
  ['0', 0],
  ['1', 1],
  ['4', 4],
  ['4090', 0],
  ['890m', 1],
  ['geforce', 0],
  ['LLVM', 4],
]
for (const [gpu, index] of choices)
  test(`--gpu ${gpu} is adapter ${index}`, () => {
    assert.is(chooseAdapter(list, gpu), list[index])
  })

test('a choice that fails lists the adapters', () => {
  for (const gpu of ['intel', '5'])
    assert.throws(
      () => chooseAdapter(list, gpu),
      `'${gpu}' is neither a GPU's number nor a part of its name; this machine has:\n  0  NVIDIA GeForce RTX 4090 (vulkan)\n  1  AMD`,
    )
  assert.throws(() => chooseAdapter([]), /there is no WebGPU adapter; run `npm run setup`/)
})

test('an adapter that Dawn would not find by its name is refused', () => {
  assert.throws(() => chooseAdapter(list, '2'), 'GPU 2 cannot be told from 0 by name')
  assert.throws(() => chooseAdapter(list, '3'), 'GPU 3 cannot be told from 1 by name')
})

test('opens an adapter by number and by name, and describes it', async () => {
  const [first] = await listAdapters()
  const byNumber = describeAdapter(await openAdapter({ gpu: '0' }))
  assert.equal(describeAdapter(await openAdapter({ gpu: first.name.slice(1).toUpperCase() })), byNumber)
  assert.equal({ name: byNumber.name, backend: byNumber.backend }, first)
  assert.is(adapterLine(byNumber).includes('software'), byNumber.software)
  assert.match(adapterLine(byNumber), first.name)
})

test('describes an opened device', async () => {
  const device = await testDevice()
  assert.is(describeAdapter(device).software, device.software)
})

test.run()
