/** Writes what torch.load reads: the zip archive of torch 1.6 and later. */
import { Readable } from 'node:stream'
import { ZipFile } from 'yazl'
import { byteLengthOf } from '../../../nn/formats/dtypes.ts'
import { storedBytes } from '../../../nn/formats/safetensors.ts'
import type { SavedTensor } from '../../../nn/index.ts'
import { writeStreamAtomic } from '../../files.ts'
import { type Picklable, pickle } from './pickle.ts'

/** Of the archive's layout; torch.load wants it to be there. */
const VERSION = '3\n'

/** The same for each file, so that equal contents are equal files. A zip archive knows no earlier day. */
const DATE = new Date(1980, 0, 1)

/** As torch.save does: nothing is compressed, so that PyTorch can map tensors into memory. */
const STORED = { compress: false, mtime: DATE, forceDosTimestamp: true }

/**
 * Writes `value` so that `torch.load(file)` gives it, `weights_only=True` or not. Tensors that are in another file are
 * read as their turn comes.
 * @throws FormatError for a tensor of a dtype that PyTorch before 2.3 has not
 */
export async function writePth(file: string, value: Picklable): Promise<void> {
  const { bytes, tensors } = pickle(value)
  const zip = new ZipFile()
  const output = zip.outputStream as Readable
  zip.on('error', (error: Error) => output.destroy(error))
  zip.addBuffer(Buffer.from(bytes), 'archive/data.pkl', STORED)
  for (const [i, tensor] of tensors.entries())
    zip.addReadStreamLazy(`archive/data/${i}`, { ...STORED, size: byteLengthOf(tensor.dtype, tensor.shape) }, (give) =>
      streamOf(tensor, give),
    )
  zip.addBuffer(Buffer.from(VERSION), 'archive/version', STORED)
  zip.end()
  await writeStreamAtomic(file, output)
}

function streamOf(tensor: SavedTensor, give: (error: unknown, stream: Readable) => void): void {
  try {
    give(null, Readable.from([storedBytes(tensor)]))
  } catch (error) {
    give(error, Readable.from([]))
  }
}
