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
