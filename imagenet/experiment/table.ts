/** The nine rows of the published table: a trained head, a way to evaluate it, and what the original found. */
import type { Arch, HeadNoise } from '../../nn/index.ts'

export interface TableRow {
  trained: Arch
  evaluated: HeadNoise
  /** ILSVRC2012 validation, 20 epochs, best epoch; percent. */
  published: { acc1: number; acc5: number }
}

const noise = {
  kakuritsu: { kind: 'kakuritsu', p: 0.5 },
  dropout: { kind: 'dropout', p: 0.5 },
  plain: { kind: 'plain' },
} as const satisfies Record<string, HeadNoise>

const row = (trained: Arch, evaluated: HeadNoise, acc1: number, acc5: number): TableRow => ({
  trained,
  evaluated,
  published: { acc1, acc5 },
})

export const TABLE: readonly TableRow[] = [
  row('Kakuritsu', noise.kakuritsu, 67.11, 87.186),
  row('Kakuritsu', noise.plain, 75.718, 92.24),
  row('Kakuritsu', noise.dropout, 39.09, 46.162),
  row('Dropout', noise.dropout, 36.366, 44.176),
  row('Dropout', noise.plain, 72.996, 90.21),
  row('Dropout', noise.kakuritsu, 61.772, 81.744),
  row('White', noise.plain, 76.124, 93.134),
  row('White', noise.kakuritsu, 59.63, 85.538),
  row('White', noise.dropout, 38.678, 46.282),
]

/** `Kakuritsu p = 0.5`, `Dropout 0.5`, `plain`, with what differs from the original. */
export function describeNoise(noise: HeadNoise): string {
  switch (noise.kind) {
    case 'plain':
      return 'plain'
    case 'kakuritsu':
      return `Kakuritsu p = ${noise.p}${noise.rescale ? ', rescaled' : ''}${noise.sharedMask ? ', one mask' : ''}`
    case 'dropout':
      return `Dropout ${noise.p}${noise.keepLogits ? ', hidden only' : ''}`
  }
}
