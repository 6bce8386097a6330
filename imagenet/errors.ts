/** Wrong use: a folder, file or option that cannot be used as given. Commands print the message alone and exit with 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** A file that is no image this package can read; the message names the file. */
export class DecodeError extends Error {
  override name = 'DecodeError'
  readonly file: string
  readonly reason: string

  /** `reason` follows the file's name in the message: `cannot decode cat.jpg: the file is empty`. */
  constructor(file: string, reason: string) {
    super(`cannot decode ${file}: ${reason}`)
    this.file = file
    this.reason = reason
  }
}

/** An image whose file cannot be read at all, though it was there when the images were listed. */
export class UnreadableError extends DecodeError {
  override name = 'UnreadableError'
}

/** What codes of the operating system mean to whoever reads them. */
const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'files may not be that long here',
  EROFS: 'the file system is read-only',
  EACCES: 'that is not permitted',
  EPERM: 'that is not permitted',
  ENOENT: 'its folder is not there',
  ENOTDIR: 'a part of its path is no folder',
  EEXIST: 'a part of its path is no folder',
  EIO: 'the disk fails',
}

/** A file cannot be written: `cannot write runs/a/metrics.jsonl: the disk is full (ENOSPC)`. */
export class FileError extends Error {
  override name = 'FileError'
  /** The operating system's: `ENOSPC`. */
  readonly code: string

  constructor(file: string, cause: unknown) {
    const { code = '', message } = cause as NodeJS.ErrnoException
    super(`cannot write ${file}: ${REASONS[code] ? `${REASONS[code]} (${code})` : message}`, { cause })
    this.code = code
  }
}

/** A run's numbers ceased to be finite. */
export class DivergedError extends Error {
  override name = 'DivergedError'
}
