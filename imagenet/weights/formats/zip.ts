/** Where the records of a zip archive are, as torch.save makes them: stored as they are, so that they can be mapped. */
import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl'
import { type ByteSource, FormatError } from '../../../nn/index.ts'

/** Bytes of a record in the file. */
export interface ZipRecord {
  begin: number
  end: number
}

/** A checkpoint of ResNet-152 with its optimizer has 1,400. */
const MAX_RECORDS = 100_000

/**
 * Reads the archive's directory and each record's header.
 * @throws FormatError for what no file of torch.save has: compressed or encrypted records, records that overlap or go
 * past the end of the file, two of one name
 */
export async function readZip(source: ByteSource): Promise<Map<string, ZipRecord>> {
  const records = new Map<string, ZipRecord>()
  try {
    const options = { autoClose: false, lazyEntries: true }
    const zip = await fromRandomAccessReaderPromise(new SourceReader(source), source.size, options)
    if (zip.entryCount > MAX_RECORDS) throw new Error(`${zip.entryCount} records; ${MAX_RECORDS} are allowed`)
    for await (const entry of zip.eachEntry()) {
      if (records.has(entry.fileName)) throw new Error(`two records are named '${entry.fileName}'`)
      records.set(entry.fileName, await locate(zip, entry))
    }
  } catch (error) {
    throw new FormatError(`the zip archive is broken or cut short: ${(error as Error).message}`)
  }
  refuseOverlaps(records)
  return records
}

async function locate(zip: ZipFile, entry: Entry): Promise<ZipRecord> {
  const { fileName, compressedSize, uncompressedSize, compressionMethod } = entry
  if (compressionMethod !== 0 || compressedSize !== uncompressedSize || !entry.canDecodeFileData())
    throw new Error(`record '${fileName}' is compressed or encrypted, as torch.save leaves none`)
  const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true })
  return { begin: fileDataStart, end: fileDataStart + compressedSize }
}

/** Records that share bytes would let a small file stand for a large one. */
function refuseOverlaps(records: ReadonlyMap<string, ZipRecord>): void {
  let covered = 0
  for (const [name, { begin, end }] of [...records].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin < covered) throw new FormatError(`the zip archive's record '${name}' overlaps another`)
    covered = end
  }
}

/** A source as yauzl reads it. */
class SourceReader extends RandomAccessReader {
  readonly #source: ByteSource

  constructor(source: ByteSource) {
    super()
    this.#source = source
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    try {
      if (position + length > this.#source.size) throw new Error('it points past the end of the file')
      buffer.set(this.#source.read(position, position + length), offset)
    } catch (error) {
      callback(error as Error)
      return
    }
    callback(null)
  }
}
