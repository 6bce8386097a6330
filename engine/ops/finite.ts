/** Whether all numbers are finite, and which tensor is the first of which they are not. */
import { record } from '../autograd.ts'
import type { Device } from '../device.ts'
import { Kernel, spread } from '../kernel.ts'
import nonFiniteSource from '../shaders/non_finite.wgsl'
import { Tensor } from '../tensor.ts'

const nonFiniteKernel = new Kernel('non_finite', nonFiniteSource)

/** Elements that one workgroup looks at: LANES · STEPS of non_finite.wgsl. */
const SLICE = 64 * 32

/** What `readFirst` finds where nothing was noted. */
const NONE = 2 ** 32 - 1

/** u32 [1]: the lowest place noted. */
export const newFirst = (device: Device): Tensor => Tensor.from(device, Uint32Array.of(NONE))

/** Notes `place` in `first` if x holds an infinity or NaN. Unrecorded. x: any shape, f32 or f16. */
export function noteNonFinite(x: Tensor, first: Tensor, place: number): void {
  nonFiniteKernel.run(x.device, { size: x.size, place }, [x, first], spread(x.device, x.size, SLICE))
}

/** The lowest place noted so far; null if none was. */
export async function readFirst(first: Tensor): Promise<number | null> {
  const [place] = await first.readU32()
  return place === NONE ? null : place
}

/** x itself; `look` is called with its gradient, once that is known. */
export const lookAtGradient = (x: Tensor, look: (dy: Tensor) => void): Tensor =>
  record('lookAtGradient', x.view(x.shape), [x], [], (dy) => {
    look(dy)
    return [dy]
  })
