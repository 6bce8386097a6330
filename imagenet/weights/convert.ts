/** From one format of weights and checkpoints to the other. */
import { existsSync } from 'node:fs'
import { extname } from 'node:path'
import {
  type Checkpoint,
  CheckpointError,
  FormatError,
  isCheckpoint,
  writeCheckpoint,
  writeSafetensors,
} from '../../nn/index.ts'
import { UsageError } from '../errors.ts'
import { writeFileAtomic } from '../files.ts'
import { checkpointOf } from '../run/checkpoint.ts'
import { OrderedDict } from './formats/pickle.ts'
import { isTorchCheckpoint, torchCheckpoint } from './formats/torch_checkpoint.ts'
import type { WeightsFile } from './formats/weights.ts'
import { writePth } from './formats/write_pth.ts'
import { seal, UNSEALED } from './seal.ts'

export interface ConvertOptions {
  /** Writes over a file that is there. */
  force?: boolean
  /** Leaves out what a checkpoint holds beside weights. */
  weightsOnly?: boolean
}

export interface Converted {
  kind: 'checkpoint' | 'weights'
  /** Keys of metadata that the new format has no place for. */
  leftOut: string[]
}

const EXTENSIONS: Readonly<Record<string, WeightsFile['format']>> = {
  '.safetensors': 'safetensors',
  '.pth': 'pth',
  '.pt': 'pth',
}

/**
 * Writes what `input` holds as `output`, in the format that its extension names: a checkpoint as a checkpoint, so that
 * a run goes on from it, anything else as a state dict. Tensors go one by one and keep their bits.
 * @throws UsageError when `output` exists, has another extension, or cannot hold what is in `input`
 */
export async function convert(input: WeightsFile, output: string, options: ConvertOptions = {}): Promise<Converted> {
  const format = EXTENSIONS[extname(output).toLowerCase()]
  if (!format) throw new UsageError(`${output}: the name must end with one of ${Object.keys(EXTENSIONS).join(', ')}`)
  if (!options.force && existsSync(output)) throw new UsageError(`${output} exists; --force writes over it`)
  const { saved, tensors } = input
  const { sha256: _, ...metadata } = input.metadata // of that file
  const whole = !options.weightsOnly && (saved ? isTorchCheckpoint(saved) : isCheckpoint(input))
  try {
    if (whole) {
      await writeWhole(checkpointOf(input), output, format)
      return { kind: 'checkpoint', leftOut: [] }
    }
    if (format === 'safetensors') writeFileAtomic(output, writeSafetensors(tensors, { format: 'pt', ...metadata }))
    else await writePth(output, new OrderedDict(tensors))
    const leftOut = format === 'pth' ? Object.keys(metadata).filter((key) => key !== 'format') : []
    return { kind: 'weights', leftOut }
  } catch (error) {
    if (error instanceof CheckpointError)
      throw new UsageError(`${input.file}: ${error.message}; --weights-only takes its weights`)
    if (error instanceof FormatError) throw new UsageError(`${input.file}: ${error.message}`)
    const { code } = error as NodeJS.ErrnoException
    throw code === undefined ? error : new UsageError(`cannot write ${output} (${code})`)
  }
}

async function writeWhole(checkpoint: Checkpoint, output: string, format: WeightsFile['format']): Promise<void> {
  if (format === 'safetensors') writeFileAtomic(output, seal(writeCheckpoint(checkpoint, UNSEALED)))
  else await writePth(output, torchCheckpoint(checkpoint))
}

/** A line a tensor: name, dtype, shape, in columns. */
export function listing({ tensors }: Pick<WeightsFile, 'tensors'>): string[] {
  const width = Math.max(0, ...[...tensors.keys()].map((name) => name.length))
  return [...tensors].map(
    ([name, { dtype, shape }]) => `${printable(name).padEnd(width)}  ${dtype.padEnd(4)}  [${shape.join(', ')}]`,
  )
}

/** A name from a file, fit for a terminal. */
export const printable = (name: string): string => name.replace(/\p{Cc}/gu, '?')
