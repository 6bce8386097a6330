/** SVG to PNG, the same on every machine: by resvg, with the fonts of the npm package dejavu-fonts-ttf alone. */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Resvg } from '@resvg/resvg-js'

const FONTS = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf', 'DejaVuSansMono.ttf']

export interface PngOptions {
  /** Pixels of the PNG for one of the SVG; 2 unless given. */
  zoom?: number
  /** A CSS colour to draw on; transparent unless given. */
  background?: string
}

/** Renders an SVG document whose text is in DejaVu Sans or, failing that, in whatever family: it gets DejaVu Sans. */
export function svgToPng(svg: string, { zoom = 2, background }: PngOptions = {}): Buffer {
  const folder = join(dirname(createRequire(import.meta.url).resolve('dejavu-fonts-ttf/package.json')), 'ttf')
  const font = {
    loadSystemFonts: false,
    fontFiles: FONTS.map((name) => join(folder, name)),
    defaultFontFamily: 'DejaVu Sans',
    sansSerifFamily: 'DejaVu Sans',
    monospaceFamily: 'DejaVu Sans Mono',
  }
  return new Resvg(svg, { font, background, fitTo: { mode: 'zoom', value: zoom } }).render().asPng()
}
