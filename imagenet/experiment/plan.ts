/** Which heads an experiment trains, and how each is evaluated. */
import type { MaskGradient } from '../../engine/index.ts'
import { type Arch, archs, type HeadNoise, noiseOf } from '../../nn/index.ts'

/** What is changed, one thing at a time, to learn how much of a difference comes from it. */
export const ABLATIONS = {
  gradient: { arch: 'Kakuritsu', change: { maskGradient: 'exact' }, name: 'exact gradient' },
  logits: { arch: 'Dropout', change: { keepLogits: true }, name: 'hidden layer only' },
  rescale: { arch: 'Kakuritsu', change: { rescale: true }, name: 'rescaled by 1/p' },
  mask: { arch: 'Kakuritsu', change: { sharedMask: true }, name: 'one mask for the batch' },
} as const satisfies Record<string, { arch: Arch; change: Partial<HeadSpec>; name: string }>

export type Ablation = keyof typeof ABLATIONS
export const ablations = Object.keys(ABLATIONS) as Ablation[]

/** Beside them, `p` sweeps the p of training over these. */
export const SWEPT_P = [0.1, 0.3, 0.5, 0.7, 0.9]

/** The dropout of the experiment, and the p at which heads are evaluated that were trained without one. */
const PUBLISHED_P = 0.5

/** A head's kind and how it is trained. */
export interface HeadSpec {
  arch: Arch
  /** Probability that a synapse fires (Kakuritsu) or that a cell is dropped (Dropout); 0 for White, which has no noise. */
  p: number
  maskGradient: MaskGradient
  rescale: boolean
  sharedMask: boolean
  keepLogits: boolean
}

/** A way to evaluate a trained head. */
export interface EvaluationSpec {
  noise: HeadNoise
  /** How often all images pass; more than once for noise alone. */
  passes: number
}

/** One run: a head to be trained from a seed, then evaluated. */
export interface RunSpec {
  /** Names it, and its folder: `Kakuritsu-p0.5-gradient-seed0`. */
  id: string
  /** 'published' for the original's head. */
  variant: 'published' | Ablation
  head: HeadSpec
  /** Of weights, order and masks. Runs of one seed start from the same weights and see the images in the same order. */
  seed: number
  /** The first is the noise that the head is trained with. */
  evaluations: EvaluationSpec[]
}

export interface PlanOptions {
  archs: readonly Arch[]
  /** Kakuritsu's, in training. */
  p: readonly number[]
  seeds: number
  /** The first seed; the others follow. */
  seed: number
  ablate: readonly (Ablation | 'p')[]
  /** Passes of an evaluation under noise. */
  samples: number
}

/** All runs, seed by seed, so that an experiment that is cut short has whole tables of fewer seeds. */
export function planRuns(options: PlanOptions): RunSpec[] {
  const { seeds, seed, samples } = options
  const sweep = options.ablate.includes('p')
  const trainedP = ascending(sweep ? [...options.p, ...SWEPT_P] : options.p)
  const evaluatedP = ascending([...trainedP, ...SWEPT_P])
  // The one that ablations change something of: the reference.
  const p = trainedP.reduce((best, p) => (Math.abs(p - PUBLISHED_P) < Math.abs(best - PUBLISHED_P) ? p : best))
  const runs: RunSpec[] = []
  for (let i = 0; i < seeds; i++) {
    const add = (variant: RunSpec['variant'], head: HeadSpec) => {
      const name = [head.arch, head.arch === 'Kakuritsu' && `p${head.p}`, variant !== 'published' && variant]
      const id = [...name.filter(Boolean), `seed${seed + i}`].join('-')
      runs.push({ id, variant, head, seed: seed + i, evaluations: evaluationsOf(head, evaluatedP, samples) })
    }
    for (const arch of archs.filter((arch) => options.archs.includes(arch)))
      for (const trained of arch === 'Kakuritsu' ? trainedP : [arch === 'Dropout' ? PUBLISHED_P : 0])
        add('published', headSpec(arch, trained))
    for (const ablation of ablations.filter((name) => options.ablate.includes(name))) {
      const { arch, change } = ABLATIONS[ablation]
      if (options.archs.includes(arch))
        add(ablation, { ...headSpec(arch, arch === 'Kakuritsu' ? p : PUBLISHED_P), ...change })
    }
  }
  return runs
}

const headSpec = (arch: Arch, p: number): HeadSpec => ({
  arch,
  p,
  maskGradient: 'straight-through',
  rescale: false,
  sharedMask: false,
  keepLogits: false,
})

/** The rows of the published table for its kind, then Kakuritsu at every p. */
function evaluationsOf(head: HeadSpec, evaluatedP: readonly number[], samples: number): EvaluationSpec[] {
  const own = noiseOf(head.arch, head)
  const fire = (p: number): HeadNoise => (own.kind === 'kakuritsu' ? { ...own, p } : { kind: 'kakuritsu', p })
  const rows: HeadNoise[] = [own, { kind: 'plain' }]
  if (head.arch !== 'Kakuritsu') rows.push(fire(PUBLISHED_P))
  if (head.arch !== 'Dropout') rows.push({ kind: 'dropout', p: PUBLISHED_P })
  const evaluations = new Map<string, EvaluationSpec>()
  const add = (noise: HeadNoise, passes: number) => {
    const key = noiseKey(noise)
    if (!evaluations.has(key)) evaluations.set(key, { noise, passes: noise.kind === 'plain' ? 1 : passes })
  }
  for (const noise of rows) add(noise, samples)
  // One pass each: the seeds average, and these are for curves.
  for (const p of evaluatedP.filter((p) => p > 0 && p < 1)) add(fire(p), 1)
  return [...evaluations.values()]
}

/** Equal for equal noise, whatever the order of its fields. */
export const noiseKey = (noise: HeadNoise): string => JSON.stringify(Object.entries(noise).sort())

const ascending = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => a - b)

/**
 * Whether it is what changed heads are compared with: of the original's heads of its kind the one whose p is nearest to the
 * original's.
 */
export function isReference(
  { variant, head }: Pick<RunSpec, 'variant' | 'head'>,
  all: readonly Pick<RunSpec, 'variant' | 'head'>[],
): boolean {
  if (variant !== 'published') return false
  const distance = (p: number) => Math.abs(p - PUBLISHED_P)
  return !all.some(
    (other) =>
      other.variant === 'published' && other.head.arch === head.arch && distance(other.head.p) < distance(head.p),
  )
}

/** `Kakuritsu p = 0.5, exact gradient`: the kind of head that a run trains. */
export function describeHead({ head, variant }: Pick<RunSpec, 'head' | 'variant'>): string {
  const name = head.arch === 'Kakuritsu' ? `Kakuritsu p = ${head.p}` : head.arch
  return variant === 'published' ? name : `${name}, ${ABLATIONS[variant].name}`
}
