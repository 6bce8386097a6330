/** The kernels of convolution in groups; depthwise is as many groups as channels. Unrecorded: conv2d has the gradients. */
import { Kernel, spread } from '../kernel.ts'
import forwardSource from '../shaders/conv2d_grouped.wgsl'
import dataSource from '../shaders/conv2d_grouped_data.wgsl'
import paramsSource from '../shaders/conv2d_grouped_params.wgsl'
import weightSource from '../shaders/conv2d_grouped_weight.wgsl'
import epilogueSource from '../shaders/gemm_epilogue.wgsl'
import { empty, type Tensor } from '../tensor.ts'
import type { Conv2dLayout } from './conv2d_layout.ts'
import { type Epilogue, epilogueBindings, epilogueFlags } from './gemm.ts'
import { cutRows, sumInSlices } from './slices.ts'

const forwardKernel = new Kernel('conv2d_grouped', [paramsSource, epilogueSource, forwardSource])
const dataKernel = new Kernel('conv2d_grouped_data', [paramsSource, dataSource])
const weightKernel = new Kernel('conv2d_grouped_weight', [paramsSource, weightSource])

/** Threads of a workgroup of these kernels. */
const GROUP = 64

export function groupedForward(layout: Conv2dLayout, x: Tensor, weight: Tensor, epilogue: Epilogue, out: Tensor) {
  const params = { ...paramsOf(layout), size: out.size, ...epilogueFlags(epilogue) }
  const bindings = [x, weight, ...epilogueBindings(epilogue, weight), out]
  forwardKernel.run(x.device, params, bindings, spread(x.device, out.size, GROUP))
}

export function groupedData(layout: Conv2dLayout, dy: Tensor, weight: Tensor): Tensor {
  const dx = empty(dy.device, [layout.images, layout.height, layout.width, layout.channels])
  const params = { ...paramsOf(layout), size: dx.size }
  dataKernel.run(dy.device, params, [dy, weight, dx], spread(dy.device, dx.size, GROUP))
  return dx
}

export function groupedWeight(layout: Conv2dLayout, x: Tensor, dy: Tensor): Tensor {
  const { device } = x
  const { kernelHeight, kernelWidth, channels, groups, outputs } = layout
  const shape = [kernelHeight, kernelWidth, channels / groups, outputs]
  const params = paramsOf(layout)
  const size = shape.reduce((product, extent) => product * extent)
  const cut = cutRows(device, params.rows, Math.ceil(size / GROUP))
  return sumInSlices(device, shape, cut, (parts) => {
    const workgroups = spread(device, size * cut.slices, GROUP)
    weightKernel.run(device, { ...params, size, ...cut }, [x, dy, parts], workgroups)
  })
}

function paramsOf({ images, groups, ...layout }: Conv2dLayout) {
  const { channels, outputs, outHeight, outWidth } = layout
  const rows = images * outHeight * outWidth
  const inGroup = { groupChannels: channels / groups, groupOutputs: outputs / groups }
  return { ...layout, ...inGroup, rows, slices: 1, sliceRows: rows, ...epilogueFlags({}) }
}
