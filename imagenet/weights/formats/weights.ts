/** Any file of weights: safetensors, or what torch.save wrote. */
import { statSync } from 'node:fs'
import { type ByteSource, FileTensor, FormatError, openSafetensors } from '../../../nn/index.ts'
import { UsageError } from '../../errors.ts'
import { FileSource } from './file_source.ts'
import { isPth, readPth } from './pth.ts'

export interface WeightsFile {
  readonly file: string
  readonly format: 'safetensors' | 'pth'
  /**
   * The state dict's tensors by name, without DataParallel's `module.`: for `loadStateDict`. (In a checkpoint that is a
   * safetensors file there are those of the optimizer too, under `optimizer.`.) Each is read from the file
   * when its `data` is asked for, so the file must be open until all that is wanted was loaded and placed on a device.
   */
  readonly tensors: ReadonlyMap<string, FileTensor>
  /** Of a safetensors file; {} otherwise. */
  readonly metadata: Readonly<Record<string, string>>
  /** What torch.save saved, dicts as Maps, the state dict among it; undefined otherwise. */
  readonly saved: ReadonlyMap<unknown, unknown> | undefined
  close(): void
}

/**
 * Opens a file of weights, whatever its format, and reads what it says of its tensors; its bytes stay where they are.
 * A state dict is found bare, or under `state_dict` or `model`.
 * @throws UsageError that names the file, when it is not there or not in order
 */
export async function openWeights(file: string): Promise<WeightsFile> {
  const source = openSource(file)
  try {
    return { file, ...(await readWeights(source)), close: () => source.close() }
  } catch (error) {
    source.close()
    throw error instanceof FormatError ? new UsageError(`${file}: ${error.message}`) : error
  }
}

function openSource(file: string): FileSource {
  try {
    if (statSync(file).isFile()) return new FileSource(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new UsageError(code === 'ENOENT' ? `there is no file ${file}` : `cannot read ${file} (${code})`)
  }
  throw new UsageError(`${file} is no file`)
}

/** `openWeights` for bytes from anywhere. @throws FormatError */
export async function readWeights(source: ByteSource): Promise<Omit<WeightsFile, 'file' | 'close'>> {
  if (!isPth(source)) {
    if (!beginsJson(source)) throw new FormatError('it is neither a safetensors file nor one that torch.save wrote')
    return { format: 'safetensors', ...openSafetensors(source), saved: undefined }
  }
  const saved = await readPth(source)
  if (!(saved instanceof Map)) throw new FormatError('what it holds is no dict; save a state_dict() or a dict with one')
  return { format: 'pth', tensors: stateDictOf(saved), metadata: {}, saved }
}

/** Whether a JSON object follows the header's length, as in every safetensors file. */
const beginsJson = (source: ByteSource): boolean => source.size > 8 && source.read(8, 9)[0] === 0x7b

/** The tensors of the state dict in what was saved. @throws FormatError when there is none */
function stateDictOf(saved: ReadonlyMap<unknown, unknown>): Map<string, FileTensor> {
  const nested = saved.get('state_dict') ?? saved.get('model')
  const state = nested instanceof Map ? nested : saved
  const tensors = new Map<string, FileTensor>()
  for (const [name, value] of state)
    if (value instanceof FileTensor && typeof name === 'string') tensors.set(name, value)
    else
      throw new FormatError(
        state === saved
          ? `it has no state dict: neither tensors only, nor a dict of them under 'state_dict' or 'model'`
          : `its state dict's entry '${name}' is no tensor`,
      )
  return withoutPrefix(tensors, 'module.')
}

/** DataParallel puts `module.` before every name. */
function withoutPrefix(tensors: Map<string, FileTensor>, prefix: string): Map<string, FileTensor> {
  if (![...tensors.keys()].every((name) => name.startsWith(prefix))) return tensors
  return new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor]))
}
