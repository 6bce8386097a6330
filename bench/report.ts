/** Rows of numbers, as a table on a terminal and as JSON. */
import { ratio } from './measure.ts'
import type { Measured, Row } from './work.ts'

/**
 * The rows of a group, in the order of its works.
 * @param best the adapter's ceiling of floating point operations a second, once it is known
 */
export function rowsOf(family: string, group: string, { works, timings }: Measured, best?: number): Row[] {
  return works.map(({ name, flops, bytes, images, against }, i) => {
    const base = works.findIndex((other) => other.name === against)
    const row: Row = { family, group, work: name, ...timings[i], flops, bytes, images }
    if (base >= 0) row.ratio = { to: works[base].name, value: ratio(timings[i], timings[base]) }
    // Memory is as fast as the cache that a tensor fits in: a copy of that very tensor is what it can do at best.
    if (bytes && row.ratio && works[base].bytes) row.share = bytes / works[base].bytes / row.ratio.value
    else if (flops && best) row.share = flops / row.seconds / best
    return row
  })
}

const WIDTHS = { work: 44, time: 11, spread: 7, rate: 15, share: 8, ratio: 0 }

export const tableHead = (): string => line(['', 'time', '±', 'rate', 'of best', 'ratio'])

/** `12.3 GFLOP/s`, `4.5 GB/s` or `678 images/s`; '' where there is nothing to count. */
export function rateOf({ seconds, flops, bytes, images }: Row): string {
  if (images !== undefined) return `${(images / seconds).toFixed(0)} images/s`
  const [count, unit] = bytes === undefined ? [flops, 'GFLOP/s'] : [bytes, 'GB/s']
  return count === undefined ? '' : `${(count / seconds / 1e9).toFixed(1)} ${unit}`
}

export function tableLine(row: Row): string {
  const { work, seconds, spread, share, ratio } = row
  return line([
    `  ${work}`,
    duration(seconds),
    percent(spread),
    rateOf(row),
    share === undefined ? '' : percent(share),
    ratio ? `${ratio.value.toFixed(2)} × ${ratio.to}` : '',
  ])
}

function line(cells: string[]): string {
  const [work, ...numbers] = cells
  const [first, ...widths] = Object.values(WIDTHS)
  return `${work.padEnd(first)}${numbers.map((cell, i) => (widths[i] ? cell.padStart(widths[i]) : `  ${cell}`)).join('')}`.trimEnd()
}

export const percent = (part: number): string => `${(100 * part).toFixed(0)} %`

export function duration(seconds: number): string {
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`
  return seconds < 1 ? `${(seconds * 1e3).toFixed(seconds < 0.1 ? 2 : 1)} ms` : `${seconds.toFixed(2)} s`
}
