/**
 * Writes what was measured as Markdown, on stdout:
 *
 *     npm run bench -- --json bench.json
 *     npm run bench:peers -- --json peers.json
 *     node dist/bench/results.js bench.json peers.json > bench/RESULTS.md
 *
 * Peers may have been measured in several runs: of one that stands in more than one file, the last counts.
 */
import { readFileSync } from 'node:fs'
import { BARS, type Bar, holds, type Measurements, type PeerResult, worst } from './bars.ts'
import type { Circumstances } from './machine.ts'
import { duration, percent, rateOf } from './report.ts'
import type { BenchFile } from './run.ts'
import type { Row } from './work.ts'

interface PeersFile extends Circumstances {
  results: PeerResult[]
}

const [benchName, ...peersNames] = process.argv.slice(2)
if (peersNames.length === 0) throw new Error('usage: node dist/bench/results.js bench.json peers.json...')
const bench: BenchFile = JSON.parse(readFileSync(benchName, 'utf8'))
const peersFiles = peersNames.map((name): PeersFile => JSON.parse(readFileSync(name, 'utf8')))
const peersIn = ({ results }: PeersFile) => [...new Set(results.map(({ peer }) => peer))]
const lastOf = (peer: string) => peersFiles.findLast((file) => peersIn(file).includes(peer))
const peerResults = peersFiles.flatMap((file) => file.results.filter(({ peer }) => lastOf(peer) === file))
const measurements: Measurements = { rows: bench.rows, peers: peerResults }

const table = (head: string[], rows: string[][]): string =>
  [head, head.map((_, i) => (i ? '---:' : '---')), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const source = ({ adapter, cpu, cores, node, date, command, load }: Circumstances): string =>
  [
    `\`${command}\`, begun ${date.slice(0, 16).replace('T', ' ')} UTC`,
    `${adapter.name}, ${adapter.backend} driver ${adapter.driver}`,
    `${cores} cores of ${cpu}, Node ${node}`,
    `load average ${load.before.toFixed(1)} before and ${load.after.toFixed(1)} after.`,
  ].join('; ')

/** A run of bench:peers, and which peers' figures are from it. */
function peersSource(file: PeersFile): string {
  const counted = peersIn(file).filter((peer) => lastOf(peer) === file)
  return `\n- ${counted.join(', ')}: ${source(file)}`
}

function barCells(bar: Bar): string[] {
  const factors = bar.measured(measurements)
  const sign = bar.sense === 'at least' ? '≥' : '≤'
  const bounds = [`${sign} ${bar.bound} ×`, `${sign} ${bar.aim} ×`]
  const last = worst(bar, measurements)
  if (!last) return [bar.work, ...bounds, 'unmeasured', '']
  const met = factors.filter(({ factor }) => holds(bar, factor, bar.bound)).length
  const aimed = holds(bar, last.factor, bar.aim)
  const many = factors.length > 1
  return [
    bar.work,
    ...bounds,
    `${last.factor.toFixed(2)} ×${many ? ` (${last.name})` : ''}`,
    aimed ? 'aim' : met === factors.length ? 'yes' : many ? `${met} of ${factors.length}` : 'no',
  ]
}

function peerTable(): string {
  const names = [...new Set(peerResults.map(({ peer }) => peer))]
  const rows = [...new Set(peerResults.map(({ row }) => row))]
  const cell = (row: string, peer: string) => {
    const result = peerResults.find((result) => result.row === row && result.peer === peer)
    if (result?.ratio === undefined) return result?.failed ? 'failed' : 'cannot'
    return `**${result.ratio.toFixed(2)} ×** (${duration(result.theirs!)} : ${duration(result.ours!)})`
  }
  return table(
    ['', ...names],
    rows.map((row) => [row, ...names.map((peer) => cell(row, peer))]),
  )
}

function rowCells(row: Row): string[] {
  const { work, seconds, spread, share, ratio } = row
  return [
    work,
    duration(seconds),
    percent(spread),
    rateOf(row),
    share === undefined ? '' : percent(share),
    ratio ? `${ratio.value.toFixed(2)} × ${ratio.to}` : '',
  ]
}

function familyTable(family: string): string {
  const rows = bench.rows.filter((row) => row.family === family)
  const cells = rows.flatMap((row, i) => {
    const title = row.group !== rows[i - 1]?.group ? [[`**${row.group}**`, '', '', '', '', '']] : []
    return [...title, rowCells(row)]
  })
  return table(['', 'time', '±', 'rate', 'of best', 'ratio'], cells)
}

const failures = peerResults.filter(({ failed }) => failed)

console.log(`# Results

Written by \`node dist/bench/results.js\` from the JSON of the two commands; nothing in it was typed. Times are medians of
rounds in which the works of a group, or kakuritsu and a peer, run in turn; a ratio is the median of the rounds' own
ratios, and ± half the distance between the quartiles. Every result was checked before it was timed: against float64
references or PyTorch's record, and peers against kakuritsu. "Of best" is the part of the adapter's own ceiling: of a loop
of multiply-adds, or, where memory is the bound, of a copy of the same tensor in bytes a second. (A kernel that reads more
than it writes can be above a copy: on a CPU a write costs the transfer of a read as well.)

## What must hold

The factor is the worst of those measured.

${table(['', 'bound', 'aim', 'measured', 'met'], BARS.map(barCells))}

GPU bytes that the mask takes: 0; \`npm run bench\` times no Kakuritsu layer that takes room enough to store one.

On a GPU: unmeasured, kakuritsu and peers alike, and \`bench/peers/torch_bench.py\` with them.

## Beside other frameworks

Their time over ours, and the two times.
${peersFiles.map(peersSource).join('')}

${peerTable()}
${failures.map(({ row, peer, failed }) => `\n- ${peer}, ${row}: ${failed}`).join('')}

## Kernels and jobs

${source(bench)}
${[...new Set(bench.rows.map(({ family }) => family))].map((family) => `\n### ${family || 'ceilings'}\n\n${familyTable(family)}`).join('\n')}`)
