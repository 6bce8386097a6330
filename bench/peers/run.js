/** `npm run bench:peers`: kakuritsu and other frameworks in turn, on the same rows and the same adapter. */
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { circumstances } from '../../dist/bench/machine.js'
import { PEER_ROWS } from '../../dist/bench/rows.js'
import { adapterLine, describeAdapter, openAdapter, parseCount, runCommand, UsageError } from '../../dist/imagenet.js'
import { compare } from './compare.js'
import { OURS, PEERS } from './peers.js'
import { PeerProcess } from './process.js'
import { lineOf, summaryOf } from './table.js'

/** Seconds until a process that does not answer is given up. A runtime's first session may take most of a minute. */
const OPEN_LIMIT = 120

const folder = dirname(fileURLToPath(import.meta.url))
const seconds = (option) => (text) => parseCount(option, text)

const command = new Command('bench:peers')
  .description('Times kakuritsu and other frameworks in turn, after checking that they compute the same.')
  .option('--filter <text...>', 'only rows whose name holds each of these', [])
  .option('--peer <name...>', `only these: ${Object.keys(PEERS).slice(1).join('; ')}`)
  .option('--json <FILE>', 'write the numbers there')
  .option('--gpu <which>', 'number of an adapter, or a part of its name')
  .option('--rounds <n>', 'how often each is timed', seconds('--rounds'), 5)
  .option('--sample <ms>', 'how long one timing lasts at least', seconds('--sample'), 200)
  .option('--limit <s>', 'seconds that a row of one peer may take', seconds('--limit'), 600)
  .action(run)

async function run({ filter, peer: wanted, json, gpu, rounds, sample, limit }) {
  const rows = PEER_ROWS.filter(({ name }) => filter.every((text) => name.includes(text)))
  const peers = Object.keys(PEERS).filter(
    (name) => name !== OURS && (!wanted || wanted.some((text) => name.includes(text))),
  )
  if (rows.length === 0 || peers.length === 0)
    throw new UsageError(
      `nothing to do; rows: ${PEER_ROWS.map(({ name }) => name).join('; ')}; peers: ${Object.keys(PEERS).slice(1).join('; ')}`,
    )
  install()
  const adapter = describeAdapter(await openAdapter({ gpu }))
  const ended = circumstances('npm run bench:peers', adapter)
  console.log(`${adapterLine(adapter)}\n`)
  const options = { rounds, sample: sample / 1000, limit }
  const results = []
  for (const peer of peers) {
    console.log(peer)
    // kakuritsu starts anew for each peer: it has the same past in each comparison.
    const pair = [OURS, peer].map((name) => new PeerProcess(name, adapter.name))
    try {
      for (const row of rows) {
        const result = await compareOnce(pair, row, options)
        results.push({ row: row.name, peer, webgpu: PEERS[peer].webgpu, ...result })
        console.log(lineOf(results.at(-1)))
      }
    } finally {
      for (const side of pair) side.end()
    }
  }
  console.log(`\n${summaryOf(rows, results)}`)
  if (json === undefined) return
  const file = { ...ended(), results }
  writeFileSync(json, `${JSON.stringify(file, null, 2)}\n`)
  console.log(`\nwritten: ${json}`)
}

/** A row by both; what goes wrong is a result too, and the next row goes on in a new process. */
async function compareOnce(pair, row, options) {
  for (const [i, side] of pair.entries()) if (side.failure) pair[i] = side.again()
  try {
    for (const side of pair) await side.open(OPEN_LIMIT)
    return await compare(pair, row, options)
  } catch (error) {
    return { failed: error.message }
  }
}

/** The peers' packages are no dependency of kakuritsu: they are installed when they are wanted. */
function install() {
  if (existsSync(join(folder, 'node_modules'))) return
  console.log('installing the peers (npm ci in bench/peers), once')
  // onnxruntime-node's script would only download CUDA's libraries.
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts'], {
    cwd: folder,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (status !== 0) throw new Error('npm ci in bench/peers failed')
}

await runCommand(command)
