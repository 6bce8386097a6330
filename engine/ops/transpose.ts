/** Matrices copied into their transposes. Unrecorded: for operands, inside ops. */
import { Kernel } from '../kernel.ts'
import transposeSource from '../shaders/transpose.wgsl'
import { empty, type Tensor } from '../tensor.ts'

const transposeKernel = new Kernel('transpose', transposeSource)

/** Rows that a workgroup of the shader takes, and its RUN. */
const GROUP = 64
const RUN = 16

/** x: [..., rows, columns] → [matrices, columns, rows]. */
export function transposeMatrices(x: Tensor, rows: number, columns: number): Tensor {
  const matrices = x.size / (rows * columns)
  const out = empty(x.device, [matrices, columns, rows])
  const workgroups = [Math.ceil(rows / GROUP), Math.ceil(columns / RUN), matrices] as const
  transposeKernel.run(x.device, { rows, columns }, [x, out], workgroups)
  return out
}
