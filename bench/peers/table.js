/** Results as lines of a terminal. */
import { OURS } from './peers.js'

/** One comparison, printed when it is done. */
export function lineOf({ row, ours, theirs, ratio, failed, cannot }) {
  const name = `  ${row}`.padEnd(40)
  if (cannot) return `${name}cannot do it`
  if (failed) return `${name}failed: ${failed}`
  return `${name}${duration(theirs).padStart(10)}, ${OURS} ${duration(ours).padStart(10)}: ${ratio.toFixed(2)} ×`
}

/** All peers' times over kakuritsu's, a line a row. */
export function summaryOf(rows, results) {
  const peers = [...new Set(results.map(({ peer }) => peer))]
  const head = ['time over ours', OURS, ...peers, 'best WebGPU peer']
  const lines = rows.map(({ name }) => {
    const ofRow = results.filter(({ row }) => row === name)
    const measured = ofRow.filter(({ ratio }) => ratio !== undefined)
    const cells = peers.map((peer) => ratioOf(ofRow.find((result) => result.peer === peer)))
    const onGpu = measured.filter(({ webgpu }) => webgpu).map(({ ratio }) => ratio)
    const oursSeconds = measured.map(({ ours }) => ours).sort((a, b) => a - b)
    const ours = oursSeconds.length ? duration(oursSeconds[oursSeconds.length >> 1]) : ''
    return [name, ours, ...cells, onGpu.length ? `${Math.min(...onGpu).toFixed(2)} ×` : '']
  })
  const table = [head, ...lines]
  const widths = head.map((_, column) => Math.max(...table.map((line) => line[column].length)))
  return table
    .map((line) => line.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  '))
    .join('\n')
}

const ratioOf = (result) =>
  result?.ratio !== undefined ? `${result.ratio.toFixed(2)} ×` : result?.failed ? 'failed' : '–'

function duration(seconds) {
  if (seconds < 1) return `${(seconds * 1e3).toFixed(2)} ms`
  return `${seconds.toFixed(2)} s`
}
