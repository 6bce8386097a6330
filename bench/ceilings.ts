/** What the adapter can do at best: multiply-adds on registers, and a copy. The other families are seen beside these. */
import { empty, type Tensor } from '../engine/index.ts'
import { Kernel, spread } from '../engine/kernel.ts'
import { nd } from '../test/reference/nd.ts'
import { close, read } from './check.ts'
import copySource from './copy.wgsl'
import multiplyAddSource from './multiply_add.wgsl'
import type { Group, Work, Workbench } from './work.ts'

const multiplyAddKernel = new Kernel('multiply_add', multiplyAddSource)
const copyKernel = new Kernel('copy', copySource)

/** Constants of the shaders. */
const CHAINS = 3
const THREADS = 64
const COPY_GROUP = 64 * 8

/**
 * Steps of a thread, and workgroups: 0.8 GFLOP on a software adapter, some 13 ms; 100 GFLOP on a GPU, with 2^18 threads
 * to hide the arithmetic's latency.
 */
const LOAD = { software: { steps: 4096, groups: 128 }, gpu: { steps: 16384, groups: 4096 } }

/** Of the buffer that is copied: beyond any cache, within any adapter's limit of 128 MiB. */
const COPY_BYTES = 2 ** 26

/** x ← x + 2, so that a sum can be told exactly: it stays below 2^24. */
const [A, B] = [1, 2]

function multiplyAdd({ device }: Workbench): Work {
  const { steps, groups } = device.software ? LOAD.software : LOAD.gpu
  const threads = groups * THREADS
  const run = () => {
    const out = empty(device, [threads, 4])
    multiplyAddKernel.run(device, { steps, a: A, b: B }, [out], [groups])
    return out
  }
  const expected = nd([threads, 4])
  for (let i = 0; i < expected.data.length; i++)
    for (let chain = 0; chain < CHAINS; chain++) expected.data[i] += (Math.floor(i / 4) % 64) + chain + B * steps
  return {
    name: 'multiply-add',
    run,
    check: async () => close(await read(run), expected, { rtol: 0, atol: 0 }),
    flops: threads * steps * CHAINS * 4 * 2,
  }
}

/** The name of the copy in a group of memory-bound works. */
export const COPY = 'copy'

/** A copy of a tensor of `size` bytes, which moves twice as many: what memory-bound works on it are seen beside. */
export function copyOf(bench: Workbench, size: number): Work {
  const vectors = Math.ceil(size / 16)
  const x = bench.random('copy', [vectors * 4])
  const run = () => copy(x.tensor)
  return {
    name: COPY,
    run,
    check: async () => close(await read(run), nd(x.shape, x.values), { rtol: 0, atol: 0 }),
    bytes: vectors * 32,
  }
}

function copy(x: Tensor): Tensor {
  const y = empty(x.device, x.shape)
  const vectors = x.size / 4
  copyKernel.run(x.device, { vectors }, [x, y], spread(x.device, vectors, COPY_GROUP))
  return y
}

/** The first group of every run; what it measures is what the others' shares are of. */
export const ceilings: Group = {
  name: 'ceilings',
  prepare: (bench) => [multiplyAdd(bench), copyOf(bench, COPY_BYTES)],
}
