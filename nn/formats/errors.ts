/** A file that breaks the rules of its format; the message says which rule, and names the entry. */
export class FormatError extends Error {
  override name = 'FormatError'
}
