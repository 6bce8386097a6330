/**
 * "Fancy" chroma upsampling as libjpeg-turbo has it (jdsample.c): across each halved direction a triangle filter, 3/4 of
 * the nearer sample and 1/4 of the farther, its rounding alternating so as not to drift.
 */

/** A colour component's sampling factors across and down, 1 to 4, relative to the largest of the image. */
export interface Component {
  readonly h: number
  readonly v: number
}

/**
 * Replaces samples that were replicated up to full size by interpolated ones, in place.
 *
 * Components halved across, down or both ways are interpolated; other ratios stay replicated, as in libjpeg.
 *
 * @param data u8 [height, width, 3], each sample repeated as often as its component is subsampled
 */
export function upsample(data: Uint8Array, width: number, height: number, components: readonly Component[]): void {
  const maxH = Math.max(...components.map(({ h }) => h))
  const maxV = Math.max(...components.map(({ v }) => v))
  for (const [channel, { h, v }] of components.entries()) {
    const across = maxH === 2 * h
    const down = maxV === 2 * v
    if ((!across && maxH !== h) || (!down && maxV !== v) || !(across || down)) continue
    const plane = takePlane(data, width, height, channel, across ? 2 : 1, down ? 2 : 1)
    // libjpeg replicates planes too narrow for its unrolled loop.
    if (across && plane.width <= 2) continue
    if (across) upsampleAcross(plane, data, width, height, channel, down)
    else upsampleDown(plane, data, width, height, channel)
  }
}

interface Plane {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/** The samples before replication. */
function takePlane(
  data: Uint8Array,
  width: number,
  height: number,
  channel: number,
  stepX: number,
  stepY: number,
): Plane {
  const plane = { width: Math.ceil(width / stepX), height: Math.ceil(height / stepY) }
  const samples = new Uint8Array(plane.width * plane.height)
  for (let y = 0, o = 0; y < plane.height; y++)
    for (let x = 0; x < plane.width; x++) samples[o++] = data[(y * stepY * width + x * stepX) * 3 + channel]
  return { ...plane, data: samples }
}

/** Halved across (h2v1), and with `down` halved both ways (h2v2). */
function upsampleAcross(plane: Plane, data: Uint8Array, width: number, height: number, channel: number, down: boolean) {
  const last = plane.width - 1
  const column = new Int32Array(plane.width)
  // Without `down` the column sums are the samples: weights add up to 4 instead of 16.
  const [shift, roundLeft, roundRight] = down ? [4, 8, 7] : [2, 1, 2]
  for (let y = 0; y < height; y++) {
    const near = (down ? y >> 1 : y) * plane.width
    if (down) {
      const far = farRow(y, plane.height) * plane.width
      for (let x = 0; x <= last; x++) column[x] = 3 * plane.data[near + x] + plane.data[far + x]
    } else for (let x = 0; x <= last; x++) column[x] = plane.data[near + x]
    for (let x = 0; x < width; x++) {
      const at = x >> 1
      const isLeft = (x & 1) === 0
      // Beyond either edge the edge's own sample stands in.
      const beside = isLeft ? Math.max(at - 1, 0) : Math.min(at + 1, last)
      const sum = 3 * column[at] + column[beside]
      data[(y * width + x) * 3 + channel] = (sum + (isLeft ? roundLeft : roundRight)) >> shift
    }
  }
}

/** Halved down only (h1v2). */
function upsampleDown(plane: Plane, data: Uint8Array, width: number, height: number, channel: number) {
  for (let y = 0; y < height; y++) {
    const near = (y >> 1) * width
    const far = farRow(y, plane.height) * width
    const round = (y & 1) === 0 ? 1 : 2
    for (let x = 0; x < width; x++)
      data[(y * width + x) * 3 + channel] = (3 * plane.data[near + x] + plane.data[far + x] + round) >> 2
  }
}

/** The second nearest plane row of an output row: above for even ones, below for odd; the edge's own row beyond it. */
function farRow(y: number, planeHeight: number): number {
  const near = y >> 1
  return (y & 1) === 0 ? Math.max(near - 1, 0) : Math.min(near + 1, planeHeight - 1)
}
