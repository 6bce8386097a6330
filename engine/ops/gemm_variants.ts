/** The kernels behind every product of matrices, by variant, and which of them a device can run. */
import type { Device } from '../device.ts'
import { type Constants, Kernel } from '../kernel.ts'
import epilogueSource from '../shaders/gemm_epilogue.wgsl'
import joinSource from '../shaders/gemm_join.wgsl'
import matrixSource from '../shaders/gemm_matrix.wgsl'
import matrixCoresSource from '../shaders/gemm_matrix_cores.wgsl'
import overRowsMoveSource from '../shaders/gemm_over_rows_move.wgsl'
import overRowsParamsSource from '../shaders/gemm_over_rows_params.wgsl'
import overRowsStoreSource from '../shaders/gemm_over_rows_store.wgsl'
import overRowsSubgroupSource from '../shaders/gemm_over_rows_subgroup.wgsl'
import overRowsTiledSource from '../shaders/gemm_over_rows_tiled.wgsl'
import patchesSource from '../shaders/gemm_patches.wgsl'
import subgroupSource from '../shaders/gemm_subgroup.wgsl'
import subgroupRowsSource from '../shaders/gemm_subgroup_rows.wgsl'
import subgroupTransposedSource from '../shaders/gemm_subgroup_transposed.wgsl'
import tiledSource from '../shaders/gemm_tiled.wgsl'
import sgdStepSource from '../shaders/sgd_step.wgsl'
import type { DType } from '../tensor.ts'

/**
 * - tiled: stages tiles of 64 × 64 in workgroup memory; any device, any size. tiled32 and tiled128: of 32 and 128 rows.
 * - subgroup: for adapters that run on a CPU; see gemm_subgroup_rows.wgsl.
 * - matrix: f16 by matrix cores; no weight's gradient, nor a transposed weight, as nothing of f16 has gradients.
 */
export type GemmVariant = 'tiled' | 'tiled32' | 'tiled128' | 'subgroup' | 'matrix'

/** The kernels of a variant, and the tile of the result that one of their workgroups makes. */
export interface Kernels {
  straight: Kernel
  transposed?: Kernel
  overRows?: OverRows
  tile: { rows: number; columns: number }
  /** The first two for a depth in slices, each of at least `least` and a multiple of it; absent where they take none. */
  sliced?: { straight: Kernel; transposed: Kernel; least: number }
  /** For a straight weight of columns that leave a quarter of a tile empty, or up to half; fewer are few in either. */
  narrow?: Kernels
}

/** patches(x)ᵀ · dy, and what becomes of it: it is stored, or a parameter is moved by it, which is its gradient. */
export interface OverRows {
  store: Kernel
  move: Kernel
}

/** @param constants of either */
function overRows(name: string, sources: readonly string[], constants: Constants = {}): OverRows {
  return {
    store: new Kernel(name, [...sources, overRowsStoreSource], constants),
    move: new Kernel(`${name}_move`, [...sources, sgdStepSource, overRowsMoveSource], constants),
  }
}

export const joinKernel = new Kernel('gemm_join', [patchesSource, epilogueSource, joinSource])

/** Rows of the result that a thread of gemm_tiled.wgsl makes: a 16th of its tile's. */
function tiled(name: string, ROWS: number): Kernels {
  const kernel = (suffix: string, constants: Constants) =>
    new Kernel(name + suffix, [patchesSource, epilogueSource, tiledSource], { ROWS, ...constants })
  return {
    straight: kernel('', {}),
    transposed: kernel('_transposed', { TRANSPOSED: 1 }),
    tile: { rows: 16 * ROWS, columns: 64 },
    // Eight steps of DEPTH: a slice costs each of its results one store and one load.
    sliced: {
      straight: kernel('_sliced', { Stored: 'f32' }),
      transposed: kernel('_sliced_transposed', { Stored: 'f32', TRANSPOSED: 1 }),
      least: 128,
    },
  }
}

const subgroupSources = [subgroupRowsSource, patchesSource, epilogueSource, subgroupSource]

const kernels: Record<Exclude<GemmVariant, 'matrix'>, Kernels> = {
  tiled: {
    ...tiled('gemm_tiled', 4),
    overRows: overRows('gemm_over_rows_tiled', [overRowsParamsSource, overRowsTiledSource], { Floats: 'f32' }),
  },
  tiled32: tiled('gemm_tiled32', 2),
  tiled128: tiled('gemm_tiled128', 8),
  subgroup: {
    straight: new Kernel('gemm_subgroup', subgroupSources),
    transposed: new Kernel('gemm_subgroup_transposed', [
      subgroupRowsSource,
      patchesSource,
      epilogueSource,
      subgroupTransposedSource,
    ]),
    overRows: overRows('gemm_over_rows_subgroup', [subgroupRowsSource, overRowsParamsSource, overRowsSubgroupSource]),
    tile: { rows: 32, columns: 64 },
    narrow: {
      straight: new Kernel('gemm_subgroup48', subgroupSources, {
        Part: 'vec2f',
        PARTS: 3,
        WIDTH: 2,
        Stored: 'vec2<Element>',
      }),
      tile: { rows: 32, columns: 48 },
    },
  },
}

/** @param cores gemm_matrix_cores.wgsl, or what stands for it in a test */
export const matrixKernels = (cores: string): Kernels => ({
  straight: new Kernel('gemm_matrix', [cores, patchesSource, epilogueSource, matrixSource], { Element: 'f16' }),
  tile: { rows: 64, columns: 64 },
})

const matrix = matrixKernels(matrixCoresSource)

export function kernelsOf(variant: GemmVariant, { matrixCores }: Device): Kernels {
  if (variant !== 'matrix') return kernels[variant]
  return { ...matrix, straight: matrix.straight.with({ ...matrixCores }) }
}

let forced: GemmVariant | null = null

/** For tests and benchmarks: takes this variant wherever the device can, or (null) the one that suits it. */
export function forceGemmVariant(variant: Exclude<GemmVariant, 'matrix'> | null): void {
  forced = variant
}

export const forcedVariant = (): GemmVariant | null => forced

/** Subgroup kernels give each of 8 lanes a share. */
const canSubgroup = ({ subgroups }: Device): boolean => subgroups !== null && subgroups.min >= 8

/**
 * Which variant suits a device for products in f32. On a GPU the memory of a workgroup is fast and 8 lanes would leave most
 * of a subgroup idle; on a CPU that memory is memory like any other, and a barrier costs a switch between coroutines.
 */
export function gemmVariant(device: Device): 'tiled' | 'subgroup' {
  if (!canSubgroup(device)) return 'tiled'
  if (forced) return forced === 'subgroup' ? 'subgroup' : 'tiled'
  return device.software ? 'subgroup' : 'tiled'
}

/** The variants that a device can run for a product of these operands; the one that suits it comes first. */
export function variantsOf(device: Device, dtype: DType, transposed: boolean): readonly GemmVariant[] {
  if (forced) return [forced === 'subgroup' ? gemmVariant(device) : forced]
  const matrix = dtype === 'f16' && !transposed && device.matrixCores !== null
  const standard = gemmVariant(device)
  const others = (['tiled', 'tiled32', 'tiled128', 'subgroup'] as const).filter(
    (variant) => variant !== standard && (variant !== 'subgroup' || canSubgroup(device)),
  )
  return matrix ? ['matrix', standard, ...others] : [standard, ...others]
}
