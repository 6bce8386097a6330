/** Pictures and folders of them, for the tests that need some. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { encode } from 'jpeg-js'
import { PNG } from 'pngjs'
import type { Image } from '../../imagenet/images/image.ts'

/** Smooth waves that differ by seed: what JPEG is made for. */
export function picture(width: number, height: number, seed = 0): Image {
  const data = new Uint8Array(width * height * 3)
  for (let i = 0; i < data.length; i++) {
    const x = Math.floor(i / 3) % width
    const y = Math.floor(i / 3 / width)
    data[i] = 128 + 100 * Math.sin((x * (1 + (i % 3)) + y * 2) / 20 + seed)
  }
  return { width, height, channels: 3, data }
}

const withAlpha = ({ data }: Image): Buffer =>
  Buffer.from(
    Uint8Array.from({ length: (data.length / 3) * 4 }, (_, i) => (i % 4 === 3 ? 255 : data[(i >> 2) * 3 + (i % 4)])),
  )

export const jpegOf = (image: Image): Buffer =>
  encode({ width: image.width, height: image.height, data: withAlpha(image) }, 90).data

export function pngOf(image: Image): Buffer {
  const png = new PNG({ width: image.width, height: image.height })
  png.data = withAlpha(image)
  return PNG.sync.write(png)
}

/** A new temporary folder with these files in it. */
export function temporaryFolder(files: Record<string, Uint8Array | string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'kakuritsu-'))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

export const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true })
