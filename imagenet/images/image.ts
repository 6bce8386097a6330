/** An image in memory. `data`: u8 [height, width, channels], rows from the top, channels R, G, B or one gray. */
export interface Image {
  readonly width: number
  readonly height: number
  readonly channels: 1 | 3
  readonly data: Uint8Array
}

/** The image with three channels: itself, or its gray value three times over. */
export function toRgb(image: Image): Image {
  if (image.channels === 3) return image
  const { width, height, data } = image
  const rgb = new Uint8Array(data.length * 3)
  for (let i = 0, o = 0; i < data.length; i++) {
    const gray = data[i]
    rgb[o++] = gray
    rgb[o++] = gray
    rgb[o++] = gray
  }
  return { width, height, channels: 3, data: rgb }
}
