/** The variants of kernels by name, each taken whatever the adapter would take. */
import type { Device } from '../../engine/index.ts'
import { forceGemmVariant, type GemmVariant } from '../../engine/ops/gemm_variants.ts'
import { kakuritsuSharing } from '../../engine/ops/kakuritsu.ts'

export interface Variant {
  name: string
  able: (device: Device) => boolean
  /** Has the ops take it, until what is returned is called. */
  force: (device: Device) => () => void
}

/** Lengths of walks, slices and tiles as ops choose them for a GPU and for an adapter that runs on a CPU. */
type Kind = 'gpu' | 'cpu'
const KINDS: readonly Kind[] = ['gpu', 'cpu']

function asIfOn(kind: Kind, device: Device): () => void {
  const { software } = device
  Object.assign(device, { software: kind === 'cpu' })
  return () => Object.assign(device, { software })
}

/** Of ops that choose by the kind of adapter alone. */
export const kinds: readonly Variant[] = KINDS.map((kind) => ({
  name: kind,
  able: () => true,
  force: (device) => asIfOn(kind, device),
}))

/** Here, so that a new variant cannot be forgotten. gemm_matrix has a family of its own. */
const PRODUCTS: Record<Exclude<GemmVariant, 'matrix'>, true> = {
  tiled: true,
  tiled32: true,
  tiled128: true,
  subgroup: true,
}

const hasEight = ({ subgroups }: Device): boolean => subgroups !== null && subgroups.min >= 8

/** Of products: on a GPU a deep one is cut into slices. */
export const products: readonly Variant[] = KINDS.flatMap((kind) =>
  (Object.keys(PRODUCTS) as (keyof typeof PRODUCTS)[]).map((name) => ({
    name: `${name} ${kind}`,
    able: (device: Device) => name !== 'subgroup' || hasEight(device),
    force: (device: Device) => {
      const back = asIfOn(kind, device)
      forceGemmVariant(name)
      return () => {
        forceGemmVariant(null)
        back()
      }
    },
  })),
)

/** Of the Kakuritsu layer: how threads share what all of them need. */
export const sharings: readonly Variant[] = KINDS.flatMap((kind) =>
  (['subgroup', 'each'] as const).map((name) => ({
    name: `${name} ${kind}`,
    able: (device: Device) => name === 'each' || hasEight(device),
    force: (device: Device) => {
      const back = asIfOn(kind, device)
      kakuritsuSharing.name = name
      return () => {
        kakuritsuSharing.name = null
        back()
      }
    },
  })),
)
