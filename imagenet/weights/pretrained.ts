/** torchvision's published weights: where PyTorch keeps them on this machine, and where they come from. */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { ResNetName } from '../../nn/index.ts'
import { UsageError } from '../errors.ts'
import { makeFolder } from '../files.ts'
import { type DownloadOptions, download, sha256Of } from './download/download.ts'
import { DownloadError } from './download/errors.ts'
import { withLock } from './download/lock.ts'
import { downloadProgress } from './download/progress.ts'

/**
 * The files that `pretrained=True` loads in torchvision (models/resnet.py, IMAGENET1K_V1). The eight digits before the
 * dot begin the file's SHA-256.
 */
const PUBLISHED: Record<ResNetName, string> = {
  resnet18: 'resnet18-f37072fd.pth',
  resnet34: 'resnet34-b627a593.pth',
  resnet50: 'resnet50-0676ba61.pth',
  resnet101: 'resnet101-63fe2227.pth',
  resnet152: 'resnet152-394f9c45.pth',
  resnext50_32x4d: 'resnext50_32x4d-7cdf4587.pth',
  resnext101_32x8d: 'resnext101_32x8d-8ba56ff5.pth',
  wide_resnet50_2: 'wide_resnet50_2-95faca4d.pth',
  wide_resnet101_2: 'wide_resnet101_2-32ee1156.pth',
}

const SERVER = 'https://download.pytorch.org/models'

/** The folder in which torch.hub keeps weights. */
export function weightsFolder(env: NodeJS.ProcessEnv = process.env): string {
  const cache = env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const home = env.TORCH_HOME?.replace(/^~(?=$|[\\/])/, homedir())
  return join(home || join(cache, 'torch'), 'hub', 'checkpoints')
}

/** Where a file of weights is published; a mirror's folder can stand in KAKURITSU_WEIGHTS_URL. */
const weightsUrl = (name: string): string =>
  `${(process.env.KAKURITSU_WEIGHTS_URL || SERVER).replace(/\/+$/, '')}/${name}`

/** Where torchvision's weights of a network are, or will be. */
export const publishedFile = (base: ResNetName): string => join(weightsFolder(), PUBLISHED[base])

/** The file with torchvision's weights of a network. @throws as `weightsFile` */
export const publishedWeights = (base: ResNetName): Promise<string> => weightsFile(PUBLISHED[base])

/**
 * A published file: PyTorch's own copy, else downloaded to where PyTorch looks for it.
 * @param name with the beginning of its SHA-256: `resnet152-394f9c45.pth`
 * @throws UsageError when the copy is damaged or the folder cannot be written; DownloadError when the download fails
 */
export async function weightsFile(
  name: string,
  timing: Pick<DownloadOptions, 'stallMs' | 'retryMs'> = {},
): Promise<string> {
  const folder = weightsFolder()
  const file = join(folder, name)
  const sha256 = name.match(/-([0-9a-f]{8,})\.pth$/)![1]
  if (existsSync(file)) {
    await refuseDamaged(file, sha256)
    return file
  }
  const url = weightsUrl(name)
  try {
    makeFolder(folder)
    await withLock(
      `${file}.lock`,
      async () => {
        if (existsSync(file)) return
        console.error(`downloading ${url} to ${folder}`)
        const progress = downloadProgress(name)
        try {
          await download(url, file, { sha256, ...timing, onProgress: progress.update })
        } finally {
          progress.end()
        }
      },
      () => console.error(`waiting for another process that downloads ${name}`),
    )
  } catch (error) {
    throw advise(error as Error, folder, name)
  }
  return file
}

async function refuseDamaged(file: string, sha256: string): Promise<void> {
  const found = await sha256Of(file)
  if (!found.startsWith(sha256))
    throw new UsageError(
      `${file} is damaged: its SHA-256 begins with ${found.slice(0, 8)}, not ${sha256}; remove it, and it is downloaded anew`,
    )
}

/** What went wrong, and what the user can do. */
function advise(error: Error & { code?: string }, folder: string, name: string): Error {
  if (error instanceof DownloadError)
    return new DownloadError(`${error.message}; bring the file into ${folder} by other means, or try again`)
  if (error.code === undefined) return error
  return new UsageError(`cannot write to ${folder} (${error.code}): set TORCH_HOME to a folder that can hold ${name}`)
}
