/**
 * A model, not a measurement: what part of their time N ranks compute, where each has a GPU and a link of its own.
 *
 *   sum      = 2·(N − 1)/N · G/L + buckets · 2·log₂N · α     reduce-scatter and allgather of G bytes over links of L bytes/s
 *              (Thakur, Rabenseifner and Gropp 2005, section 4), each bucket with its messages' latency α
 *   bus      = 2·G/P                                         gradients read back and sums written, as WebGPU has no other way
 *   hidden   = min(sum, backward) · (1 − bucket/G)           what runs beside the backward pass: all but the last bucket
 *   efficiency = step / (step + bus + sum − hidden)
 */

/** What is assumed of a GPU and its surroundings; nothing here has been measured. */
export interface Assumed {
  /** Floating point operations a second that training reaches. */
  flops: number
  /** Bytes a second over the bus. */
  bus: number
  /** Seconds for a message to start. */
  latency: number
  /** Images a step and rank. */
  images: number
}

/** PCIe 4.0 ×16 carries 32 GB/s, of which copies reach some 25; 10 µs is MPI over Ethernet; f32 without tensor cores. */
export const ASSUMED: Assumed = { flops: 10e12, bus: 25e9, latency: 10e-6, images: 64 }

export interface Job {
  name: string
  /** Trained parameters. */
  parameters: number
  /** Floating point operations an image: forward, and backward. */
  forward: number
  backward: number
}

/** 11.5·10⁹ multiply-adds an image forward (He et al. 2015, table 1: 11.3, with the stride on 1×1), twice that backward. */
const RESNET152 = 2 * 11.5e9

/** @param parameters of ResNet-152's base, and of a head */
export const jobs = (base: number, head: number): Job[] => [
  { name: 'ResNet-152 from zero', parameters: base + head, forward: RESNET152, backward: 2 * RESNET152 },
  { name: 'head only, base forward', parameters: head, forward: RESNET152, backward: 4 * head },
]

/** @param gigabits a second, of a rank's link @param bucket bytes */
export function efficiency(job: Job, ranks: number, gigabits: number, bucket: number, assumed = ASSUMED): number {
  const { flops, bus, latency, images } = assumed
  const bytes = 4 * job.parameters
  const backward = (images * job.backward) / flops
  const step = (images * job.forward) / flops + backward
  const buckets = Math.ceil(bytes / bucket)
  const sum =
    ranks === 1
      ? 0
      : ((2 * (ranks - 1)) / ranks) * (bytes / (gigabits * 1.25e8)) + buckets * 2 * Math.log2(ranks) * latency
  const hidden = Math.min(sum, backward) * (1 - Math.min(bucket, bytes) / bytes)
  return step / (step + (ranks === 1 ? 0 : (2 * bytes) / bus) + sum - hidden)
}
