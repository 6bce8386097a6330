/** Matrices copied into their transposes. Unrecorded: for operands, inside ops. */
import { Kernel } from '../kernel.ts'
import transposeSource from '../shaders/transpose.wgsl'
import quadsSource from '../shaders/transpose_quads.wgsl'
import { empty, type Tensor } from '../tensor.ts'

const elementsKernel = new Kernel('transpose', transposeSource)
const quadsKernel = new Kernel('transpose_quads', quadsSource)

/** Rows and columns, or quads of them, that a workgroup of the shaders takes: their LANES and RUN. */
const GROUP = 64
const RUN = 16

/** x: [..., rows, columns] → [matrices, columns, rows]. */
export function transposeMatrices(x: Tensor, rows: number, columns: number): Tensor {
  const matrices = x.size / (rows * columns)
  const out = empty(x.device, [matrices, columns, rows])
  const inQuads = rows % 4 === 0 && columns % 4 === 0
  const [kernel, width] = inQuads ? [quadsKernel, 4] : [elementsKernel, 1]
  const workgroups = [Math.ceil(rows / width / GROUP), Math.ceil(columns / width / RUN), matrices] as const
  kernel.run(x.device, { rows, columns }, [x, out], workgroups)
  return out
}
