/**
 * Every variant of every shader through the compiler of an adapter that has all features that kernels may use. Dawn's null
 * backend computes nothing, but it checks shaders and pipelines as a GPU's would: so variants that no adapter here can
 * run are at least valid. Run after the other tests, it also sees the variants that those made.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { create } from 'webgpu'
import { backward, Device, kakuritsuLinear, scope, Tensor } from '../engine/index.ts'
import { Kernel } from '../engine/kernel.ts'
import { kernelsOf } from '../engine/ops/gemm_variants.ts'
import { testDevice } from './device.ts'

const test = suite('variants')
const SHADERS = 'engine/shaders'

// The first opening puts WebGPU's constants where the engine finds them.
await testDevice()
const nullBackend = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis'])
const adapter = await nullBackend.requestAdapter()
const device = await Device.create(adapter!)

// Variants that are made when they are first asked for.
for (const software of [true, false]) {
  Object.assign(device, { software, subgroups: { min: 8, max: 8 } })
  for (const [p, inputs] of [
    [0.5, 64],
    [0.3, 64],
    [0.5, 65],
    [0.3, 65],
  ])
    scope(() => {
      const [x, weight] = [Tensor.zeros(device, [33, inputs]), Tensor.zeros(device, [inputs, 36])]
      x.requiresGrad = weight.requiresGrad = true
      const y = kakuritsuLinear(x, weight, p, { key: { seed: 0, layer: 0, step: 0 }, maskGradient: 'exact' })
      backward(y, Tensor.zeros(device, y.shape))
    })
}

/** Whether the null backend, which binds fewer buffers than other adapters, can make a pipeline of a kernel. */
const canBind = ({ source }: Kernel): boolean =>
  source.match(/var<storage/g)!.length <= device.limits.maxStorageBuffersPerShaderStage

/** What the compiler says against a kernel's shader, or else against its pipeline, if there can be one. */
async function faultOf(kernel: Kernel): Promise<string | null> {
  if (!canBind(kernel)) {
    const info = await device.gpu.createShaderModule({ code: kernel.source }).getCompilationInfo()
    return info.messages.find(({ type }) => type === 'error')?.message ?? null
  }
  device.gpu.pushErrorScope('validation')
  const prepared = kernel.prepare(device).then(
    () => null,
    ({ message }: Error) => message,
  )
  const shader = await device.gpu.popErrorScope()
  return shader?.message ?? prepared
}

test('the null backend has what the kernels may ask for', () => {
  assert.ok(device.features.has('subgroups'))
  assert.ok(device.features.has('shader-f16'))
  assert.ok(device.features.has('chromium-experimental-subgroup-matrix'))
})

test('every shader file is part of some kernel', () => {
  const sources = Kernel.all.map(({ source }) => source)
  for (const file of readdirSync(SHADERS)) {
    const [, header] = readFileSync(`${SHADERS}/${file}`, 'utf8').match(/^(\/\/.+)$/m) ?? []
    assert.ok(header, `${file} opens with a comment that says what it is`)
    assert.ok(
      sources.some((source) => source.includes(header)),
      file,
    )
  }
})

// Products that matrix cores have: NVIDIA's and AMD's, Apple's, Intel's.
for (const cores of [
  { M: 16, N: 16, K: 16, SUBGROUP: 32 },
  { M: 16, N: 16, K: 16, SUBGROUP: 64 },
  { M: 16, N: 8, K: 16, SUBGROUP: 32 },
  { M: 8, N: 8, K: 8, SUBGROUP: 32 },
  { M: 8, N: 16, K: 16, SUBGROUP: 16 },
])
  kernelsOf('matrix', Object.assign(device, { matrixCores: cores }))

// Half precision: reading it makes it one of all kernels.
for (const kernel of [...Kernel.all]) kernel.half

for (const kernel of Kernel.all.filter(({ name }) => name !== 'broken' && name !== 'k'))
  test(kernel.name, async () => {
    assert.is(await faultOf(kernel), null)
  })

test('an invalid shader is noticed', async () => {
  const [kernel] = Kernel.all
  const broken = new Kernel('broken', kernel.source.replace('@compute', 'fn wrong() { return 1; }\n@compute'))
  assert.match(String(await faultOf(broken)), /broken/)
})

test.after(() => {
  device.destroy()
  // Named here, so that the garbage collector does not take the instance, and its devices with it, before.
  assert.ok(nullBackend)
})
test.run()
