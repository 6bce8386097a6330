/** `npm run bench`: times each kernel at ResNet-152's shapes, and whole jobs, after checking what they compute. */
import { writeFileSync } from 'node:fs'
import { Command } from 'commander'
import type { Device } from '../engine/index.ts'
import { adapterLine, describeAdapter, openDevice, parseCount, runCommand, UsageError } from '../imagenet/index.ts'
import { batchnormFamily } from './batchnorm.ts'
import { ceilings as ceilingsGroup } from './ceilings.ts'
import { conv2dFamily } from './conv2d.ts'
import { elementwiseFamily } from './elementwise.ts'
import { jobsFamily } from './jobs.ts'
import { kakuritsuFamily } from './kakuritsu.ts'
import { loaderFamily } from './loader.ts'
import { type Circumstances, circumstances } from './machine.ts'
import { matmulFamily } from './matmul.ts'
import { type MeasureOptions, measure } from './measure.ts'
import { poolFamily } from './pool.ts'
import { rowsOf, tableHead, tableLine } from './report.ts'
import { startFamily } from './start.ts'
import { type ElsewhereGroup, type Group, type Measured, type Row, Workbench } from './work.ts'

const FAMILIES = [
  matmulFamily,
  conv2dFamily,
  kakuritsuFamily,
  batchnormFamily,
  poolFamily,
  elementwiseFamily,
  jobsFamily,
  loaderFamily,
  startFamily,
]

interface Options {
  filter: string[]
  json?: string
  gpu?: string
  list?: boolean
  rounds: number
  sample: number
}

export interface BenchFile extends Circumstances {
  rows: Row[]
}

const command = new Command('bench')
  .description(
    'Times each kernel at the shapes of ResNet-152, and whole jobs. Every result is checked before it is timed.',
  )
  .option('--filter <text...>', 'only groups whose name (family and shape) holds each of these', [])
  .option('--json <FILE>', 'write the numbers there, all rounds of them')
  .option('--gpu <which>', 'number of an adapter, or a part of its name')
  .option('--list', 'name the groups and end')
  .option('--rounds <n>', 'how often each work is timed', (text) => parseCount('--rounds', text), 7)
  .option('--sample <ms>', 'how long one timing lasts at least', (text) => parseCount('--sample', text), 50)
  .action(async (options: Options) => {
    const device = await openDevice({ gpu: options.gpu })
    try {
      await run(device, options)
    } finally {
      device.destroy()
    }
  })

async function run(device: Device, { filter, json, list, rounds, sample }: Options): Promise<void> {
  const chosen = FAMILIES.flatMap((family) => family.groups(device).map((group) => ({ family: family.name, group })))
    .map((entry) => ({ ...entry, name: titleOf(entry.family, entry.group) }))
    .filter(({ name }) => filter.every((text) => name.includes(text)))
  if (chosen.length === 0) throw new UsageError(`no group holds '${filter.join("' and '")}'; --list names them`)
  if (list) return console.log(chosen.map(({ name }) => name).join('\n'))

  const adapter = describeAdapter(device)
  const ended = circumstances('npm run bench', adapter)
  console.log(`${adapterLine(adapter)}\n\n${tableHead()}`)
  const timing = { rounds, sample: sample / 1000 }
  const rows = await timeGroup(device, '', ceilingsGroup, timing)
  const [multiplyAdd] = rows
  const best = multiplyAdd.flops! / multiplyAdd.seconds
  for (const { family, group } of chosen) rows.push(...(await timeGroup(device, family, group, timing, best)))
  for (const { name, conclude } of FAMILIES) {
    const own = rows.filter(({ family }) => family === name)
    if (conclude && own.length > 0) console.log(`\n${conclude(own).join('\n')}`)
  }
  if (json === undefined) return
  const file: BenchFile = { ...ended(), rows }
  writeFileSync(json, `${JSON.stringify(file, null, 2)}\n`)
  console.log(`\nwritten: ${json}`)
}

/** Times a group and prints it. */
async function timeGroup(
  device: Device,
  family: string,
  group: Group | ElsewhereGroup,
  options: MeasureOptions,
  best?: number,
): Promise<Row[]> {
  const title = titleOf(family, group)
  const measured = 'elsewhere' in group ? group.elsewhere() : await checkedAndTimed(device, title, group, options)
  const rows = rowsOf(family, group.name, measured, best)
  console.log(`${title}\n${rows.map(tableLine).join('\n')}`)
  return rows
}

/** @throws Error naming the work whose result is wrong */
async function checkedAndTimed(
  device: Device,
  title: string,
  group: Group,
  options: MeasureOptions,
): Promise<Measured> {
  const bench = new Workbench(device)
  try {
    const works = await group.prepare(bench)
    for (const { name, check } of works)
      await check().catch((error: Error) => {
        throw new Error(`${title}: ${name} is wrong, so it is not timed: ${error.message}`)
      })
    const runs = works.map(({ run }) => run)
    return { works, timings: await measure(device, runs, options) }
  } finally {
    bench.free()
  }
}

const titleOf = (family: string, { name }: { name: string }): string => (family ? `${family}: ${name}` : name)

await runCommand(command)
