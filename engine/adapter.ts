/** What an adapter is asked for, and what it can do. */

/** Features asked for wherever the adapter has them; kernels look in `Device.features` before they rely on one. */
export const WANTED_FEATURES = [
  'subgroups',
  'shader-f16',
  'timestamp-query',
  'chromium-experimental-subgroup-matrix',
] as GPUFeatureName[]

/** The limits that compute kernels meet. */
export const ADAPTER_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
  'minUniformBufferOffsetAlignment',
  'minStorageBufferOffsetAlignment',
  'maxTextureDimension2D',
] as const

/** A product [M, K] · [K, N], and the lanes that make it together. */
export interface MatrixCores {
  M: number
  N: number
  K: number
  SUBGROUP: number
}

/** Dawn's, an experiment: WebGPU has none yet. */
interface SubgroupMatrixInfo {
  subgroupMatrixConfigs?: readonly {
    componentType: string
    resultComponentType: string
    M: number
    N: number
    K: number
  }[]
}

/** The first product that gemm_matrix.wgsl can use: its tiles are of 64 × 64, its steps of 32, its workgroups of 128. */
export function matrixCoresOf(
  info: GPUAdapterInfo & SubgroupMatrixInfo,
  features: ReadonlySet<string>,
): MatrixCores | null {
  const { subgroupMinSize: lanes = 0, subgroupMaxSize, subgroupMatrixConfigs = [] } = info
  const usable = ['chromium-experimental-subgroup-matrix', 'shader-f16', 'subgroups'].every((name) =>
    features.has(name),
  )
  if (!usable || lanes !== subgroupMaxSize || lanes < 16 || 128 % lanes !== 0) return null
  const config = subgroupMatrixConfigs.find(
    ({ componentType, resultComponentType, M, N, K }) =>
      componentType === 'f16' &&
      resultComponentType === 'f32' &&
      [64 % M, 64 % N, 32 % K, ((64 / M) * (64 / N)) % (128 / lanes)].every((rest) => rest === 0),
  )
  return config ? { M: config.M, N: config.N, K: config.K, SUBGROUP: lanes } : null
}
