/** What parameters start from. Each rule fills an array in the order in which it draws. */
import type { Stream } from '../engine/random.ts'

export type Init = (data: Float32Array, stream: Stream) => void

export const constant =
  (value: number): Init =>
  (data) => {
    data.fill(value)
  }

/** Uniform in [-bound, bound). */
export const uniform =
  (bound: number): Init =>
  (data, stream) => {
    for (let i = 0; i < data.length; i++) data[i] = stream.uniform(-bound, bound)
  }

/** Normal with mean 0. */
export const normal =
  (std: number): Init =>
  (data, stream) => {
    for (let i = 0; i < data.length; i++) data[i] = std * stream.normal()
  }

/**
 * PyTorch's default for the weight and the bias of convolutions and linear layers, ±1/√fanIn: kaiming_uniform_ with
 * a = √5, whose bound is √(6 / ((1 + a²)·fanIn)).
 */
export const byFanIn = (fanIn: number): Init => uniform(1 / Math.sqrt(fanIn))

/** kaiming_normal_(mode='fan_out', nonlinearity='relu') (He et al. 2015, section 2.2, backward case). */
export const kaimingNormal = (fanOut: number): Init => normal(Math.sqrt(2 / fanOut))
