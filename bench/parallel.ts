/**
 * `node dist/bench/parallel.js > bench/PARALLEL.md`: communication of data-parallel steps at 1 and 2 ranks on this machine,
 * and, apart, a model of larger ones. The ranks are this program under mpirun.
 */
import { execFileSync } from 'node:child_process'
import { loadavg } from 'node:os'
import type { Device } from '../engine/index.ts'
import { imageEpoch } from '../imagenet/data/samples.ts'
import { describeAdapter, Loader, openDevice, openMnist, trainStep } from '../imagenet/index.ts'
import { BUCKET_BYTES } from '../imagenet/parallel/buckets.ts'
import type { Communicator } from '../imagenet/parallel/communicator.ts'
import { launchedBy } from '../imagenet/parallel/launch.ts'
import { MpiCommunicator } from '../imagenet/parallel/mpi.ts'
import { Replicas } from '../imagenet/parallel/replicas.ts'
import { Generator, head, resnet, SGD } from '../nn/index.ts'
import { circumstances } from './machine.ts'
import { ASSUMED, efficiency, jobs } from './parallel_model.ts'

/** Images a step and rank, pixels a side: small, for a software adapter. */
const IMAGES = 4
const SIDE = 64
const ROUNDS = 7

interface Measured {
  ranks: number
  /**
   * Medians over rounds, in seconds: a step by itself; one whose gradients are read back and written again; one whose
   * gradients are summed between; and the sums, by their own clock.
   */
  alone: number
  copied: number
  joined: number
  sums: number
  /** Of gradients and numbers, that a rank hands to MPI in a step. */
  bytes: number
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]

/** Steps by themselves and steps with sums, in turn, so that what else the machine does falls on both. */
async function measure(device: Device, comm: MpiCommunicator): Promise<Measured> {
  const model = resnet('resnet18', { numClasses: 10 }).to(device, { seed: 1 })
  const optimizer = new SGD(model.parameters(), { lr: 1e-3 })
  const peers = new Replicas(comm, model, model.parameters(), false)
  const echo = new Replicas(echoOf(comm), model, model.parameters(), false)
  const { train } = openMnist()
  const images = { batchSize: IMAGES * comm.size, imageSize: SIDE, seed: 1, workers: 0, shuffle: true, limit: 64 }
  const { value: batch } = await imageEpoch(new Loader(train, { ...images, divide: peers.divide }), 0).next()
  if (!batch) throw new Error('the loader gave no batch')
  const timed = async (step: () => Promise<unknown>) => {
    await peers.any(false)
    const start = performance.now()
    await step()
    await device.idle()
    return (performance.now() - start) / 1000
  }
  const times = { alone: [] as number[], copied: [] as number[], joined: [] as number[], sums: [] as number[] }
  let bytes = 0
  for (let round = 0; round <= ROUNDS; round++) {
    const alone = await timed(() => trainStep(device, model, optimizer, batch))
    const copied = await timed(() => trainStep(device, model, optimizer, batch, { peers: echo }))
    const before = { ...comm.traffic }
    const joined = await timed(() => trainStep(device, model, optimizer, batch, { peers }))
    const sums = comm.traffic.seconds - before.seconds
    bytes = comm.traffic.bytes - before.bytes
    if (round === 0) continue // pipelines were compiled in it
    times.alone.push(alone)
    times.copied.push(copied)
    times.joined.push(joined)
    times.sums.push(sums)
  }
  return {
    ranks: comm.size,
    alone: median(times.alone),
    copied: median(times.copied),
    joined: median(times.joined),
    sums: median(times.sums),
    bytes,
  }
}

/** Ranks whose sums are each one's own values, at once. */
const echoOf = (comm: MpiCommunicator): Communicator => ({
  rank: comm.rank,
  size: comm.size,
  hosts: comm.hosts,
  sum: async (values) => values,
  broadcast: async (bytes) => bytes,
  gather: async (text) => Array<string>(comm.size).fill(text),
  fail: (reason) => comm.fail(reason),
  abort: (status) => comm.abort(status),
  close: async () => {},
})

/** Measures as one of the ranks that mpirun started; rank 0 prints. */
async function asRank(): Promise<void> {
  const device = await openDevice()
  const comm = await MpiCommunicator.join(launchedBy()!, 60)
  const measured = await measure(device, comm)
  if (comm.rank === 0) console.log(JSON.stringify(measured))
  await comm.close()
  device.destroy()
}

function onRanks(ranks: number): Measured {
  const options = ['--oversubscribe', '--bind-to', 'none', '-n', String(ranks)]
  const output = execFileSync('mpirun', [...options, process.execPath, process.argv[1]], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return JSON.parse(output)
}

const ms = (seconds: number): string => `${(1000 * seconds).toFixed(1)} ms`
const percent = (part: number): string => `${(100 * part).toFixed(1)} %`

function measuredRow({ ranks, alone, copied, joined, sums, bytes }: Measured, one: Measured): string {
  const overlap = Math.min(1, Math.max(0, 1 - (joined - copied) / sums))
  const cells = [ms(alone), ms(copied), ms(joined), `${(bytes / 1e6).toFixed(1)} MB`, ms(sums)]
  return `| ${[ranks, ...cells, ranks === 1 ? '' : percent(overlap), percent(one.alone / joined)].join(' | ')} |`
}

function modelTable(): string {
  const generator = new Generator()
  const base = resnet('resnet152', { convOnly: true })
  const exp = head('Kakuritsu', { features: base.features, classes: 1000, generator })
  const sizes = [1, 2, 8, 64, 256, 1024]
  const rows = jobs(base.parameterCount, exp.parameterCount).flatMap((job) =>
    [25, 100, 400].map((gigabits) => {
      const cells = sizes.map((ranks) => percent(efficiency(job, ranks, gigabits, BUCKET_BYTES)))
      return `| ${job.name}, ${((4 * job.parameters) / 1e6).toFixed(1)} MB | ${gigabits} Gb/s | ${cells.join(' | ')} |`
    }),
  )
  const heads = sizes.map((size) => `${size} rank${size > 1 ? 's' : ''}`)
  return [`| | link | ${heads.join(' | ')} |`, `|---|---|${sizes.map(() => '---:|').join('')}`, ...rows].join('\n')
}

async function report(): Promise<void> {
  const device = await openDevice()
  const ended = circumstances('node dist/bench/parallel.js', describeAdapter(device))
  device.destroy()
  const [one, two] = [onRanks(1), onRanks(2)]
  const { adapter, cpu, cores, date, load } = ended()
  const { flops, bus, latency, images } = ASSUMED
  console.log(`# Data-parallel steps

Written by \`node dist/bench/parallel.js\`, begun ${date.slice(0, 16).replace('T', ' ')} UTC; ${adapter.name}, ${adapter.driver}; ${cores} cores
of ${cpu}; load average ${load.before.toFixed(1)} before and ${loadavg()[0].toFixed(1)} after.

## Measured

ResNet-18 from zero, ${IMAGES} images of ${SIDE}×${SIDE} a step and rank, all ranks on this machine's ${cores} cores and one software adapter:
two ranks have half of it each, so that 50 % is what an efficiency can be here. Steps by themselves, steps whose gradients
are copied to the CPU and back, and steps whose gradients are summed between take turns; medians of ${ROUNDS}. Overlap is the part
of the sums' time that steps do not take longer for; efficiency is a step of one rank by itself over one with sums.

| ranks | step alone | with copies | with sums | a rank sends | sums take | overlap | efficiency |
|---:|---:|---:|---:|---:|---:|---:|---:|
${measuredRow(one, one)}
${measuredRow(two, one)}

## A model, not measured

What part of the time ranks compute, by the formula of \`bench/parallel_model.ts\`:

    sum        = 2·(N − 1)/N · G/L + buckets · 2·log2(N) · α
    bus        = 2·G/P
    hidden     = min(sum, backward) · (1 − bucket/G)
    efficiency = step / (step + bus + sum − hidden)

Assumed, and measured nowhere: ${flops / 1e12} TFLOP/s a GPU, ${bus / 1e9} GB/s over its bus (P), ${latency * 1e6} µs a message (α), ${images} images a step and
rank, a link of its own for each rank (L). G is the gradients' size, a bucket ${(BUCKET_BYTES / 2 ** 20).toFixed(0)} MiB. A faster GPU waits more.

${modelTable()}`)
}

await (launchedBy() ? asRank() : report())
