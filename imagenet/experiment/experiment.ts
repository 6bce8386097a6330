/** An experiment from options to report. */
import type { Device } from '../../engine/index.ts'
import { openDataset } from '../data/dataset.ts'
import { adapterLine, describeAdapter } from '../gpu/open.ts'
import { startTuning } from '../gpu/tuning.ts'
import { chooseDecoder } from '../images/decoder.ts'
import { onFirst } from '../parallel/agree.ts'
import type { Communicator } from '../parallel/communicator.ts'
import { Interrupt } from '../run/interrupt.ts'
import { withLock } from '../weights/download/lock.ts'
import { openBase } from './base.ts'
import { collectResults } from './collect.ts'
import { ExperimentDevice } from './device.ts'
import { duration, type Estimate, estimate } from './estimate.ts'
import { openFeatures } from './features.ts'
import { ExperimentFolder } from './folder.ts'
import { defaultOutput, type ExperimentOptions, settleExperiment } from './options.ts'
import { describeHead, planRuns, type RunSpec } from './plan.ts'
import { differencesTable, publishedTable, textTable } from './report/tables.ts'
import { writeReport } from './report/write.ts'
import type { Results } from './results.ts'
import { completeRuns, runPlan } from './runner.ts'
import type { Settings } from './settings.ts'
import { mergeRuns, runsOf, type Shard } from './shard.ts'
import type { Study } from './study.ts'
import { startView } from './view.ts'

export interface Outcome {
  /** 0; 1 when a run failed; 130 after Ctrl-C. */
  status: number
  /** The report's path; null where there is none: after a dry run, an interruption, or when no run is complete. */
  report: string | null
}

export interface ExperimentContext {
  /** What the user typed, for the report. */
  command: string
  dryRun: boolean
  /** Opens the device, after everything that can be refused without one; and another one once that is lost. */
  open: () => Promise<Device>
  /** Does this part of the runs alone. */
  shard?: Shard
  /** The ranks that divide the runs; the first one reports. */
  comm?: Communicator
  /** Folders of shards, whose results are taken over first. */
  merge?: readonly string[]
}

/**
 * Runs what of an experiment is not done yet, and reports on all of it.
 * @throws UsageError for options, folders and files that cannot be used as given
 */
export async function runExperiment(
  options: ExperimentOptions,
  { command, dryRun, open, comm, merge = [], ...division }: ExperimentContext,
): Promise<Outcome> {
  const shard = comm ? { index: comm.rank, of: comm.size } : division.shard
  const plan = planRuns(options)
  const folder = new ExperimentFolder(options.output ?? defaultOutput(options))
  const dataset = openDataset({ ...options, imageSize: options.imageSize ?? 224 })
  const gpu = new ExperimentDevice(async () => {
    const device = await open()
    startTuning(device, { repeatable: true })
    return device
  })
  const device = await gpu.open()
  const interrupt = new Interrupt()
  const stopped = () => interrupt.requested
  try {
    console.log(adapterLine(describeAdapter(device)))
    const settings = settleExperiment(options, dataset, device)
    const begin = () => (dryRun ? undefined : folder.begin(settings, plan, command))
    if (comm) await onFirst(comm, begin)
    else begin()
    if (merge.length > 0) console.log(`${mergeRuns(folder, plan, merge)} runs taken over`)
    const mine = shard ? runsOf(shard, plan) : plan
    const done = completeRuns(folder, plan)
    const complete = new Set(done.map(({ spec }) => spec.id))
    const pending = mine.filter(({ id }) => !complete.has(id))
    const haveBase = settings.pretrained !== null || folder.base() !== null
    const expected = await gpu.recovering((device) => estimate(device, settings, { pending, done, haveBase }))
    if (shard) console.log(`Of ${plan.length} runs, the ${mine.length} of shard ${shard.index}/${shard.of}:`)
    printPlan(folder, settings, mine, pending, expected)
    if (dryRun) return { status: 0, report: null }

    let failed: RunSpec[] = []
    const { workers, skipCorrupt } = options
    const reading = { workers, skipCorrupt, decoder: chooseDecoder(options.decoder) }
    if (pending.length > 0) {
      const parts = { settings, dataset, folder, reading, stopped }
      const open = () => gpu.recovering((device, onSave) => openStudy(device, { ...parts, onSave }))
      const waiting = () => console.log('waiting for the shard that makes base and features')
      const study = shard ? await withLock(folder.file('study.lock'), open, waiting) : await open()
      if (study) {
        const view = startView(pending, expected.runs)
        try {
          failed = (await runPlan(study, pending, { gpu, watcher: view, stopped })).failed
        } finally {
          view.end()
          study.features.train.close()
          study.features.val.close()
        }
      }
    }
    if (comm) {
      const ids = (await comm.gather(JSON.stringify(failed.map(({ id }) => id)))).flatMap((text) => JSON.parse(text))
      failed = plan.filter(({ id }) => ids.includes(id))
    }
    if (stopped()) {
      console.log(`interrupted: the same command goes on with what is left in ${folder.path}`)
      return { status: interrupt.status, report: null }
    }
    const left = plan.length - completeRuns(folder, plan).length
    if (comm?.rank) return { status: 0, report: null }
    if (shard && !comm && left > 0) {
      console.log(
        `${left} of ${plan.length} runs are not complete yet; once they are, the command without --shard reports`,
      )
      return { status: failed.length > 0 ? 1 : 0, report: null }
    }
    const results = collectResults(folder)
    let report: string | null = null
    if (results.runs.length > 0) {
      report = writeReport(folder, results).html
      printTables(results)
    }
    for (const spec of failed) console.error(`failed: ${spec.id}: ${folder.failure(spec)}`)
    return { status: failed.length > 0 ? 1 : 0, report }
  } finally {
    interrupt.close()
    gpu.close()
  }
}

/** What all runs share: the base's features. Null when it was stopped. */
export async function openStudy(device: Device, options: Parameters<typeof openBase>[1]): Promise<Study | null> {
  const { settings, folder } = options
  const base = await openBase(device, options)
  if (!base) return null
  const features = await openFeatures(device, base, options)
  base.free()
  return features && { device, settings, features, folder }
}

/** The tables that answer the experiment's questions. */
export function printTables(results: Results): void {
  for (const table of [publishedTable(results), differencesTable(results)])
    if (table) console.log(`\n${table.title}\n\n${textTable(table)}\n\n${table.note}`)
}

function printPlan(
  { path }: ExperimentFolder,
  settings: Settings,
  plan: readonly RunSpec[],
  pending: readonly RunSpec[],
  expected: Estimate,
): void {
  const { dataset, base, pretrained, baseSteps, trainImages, valImages, epochs } = settings
  const weights = pretrained ? `weights from ${pretrained}` : `trained from zero in ${baseSteps} steps`
  console.log(`${base}, ${weights}, on ${dataset}: ${trainImages} training and ${valImages} validation images`)
  const kinds = new Map<string, number>()
  for (const spec of plan) kinds.set(describeHead(spec), (kinds.get(describeHead(spec)) ?? 0) + 1)
  console.log(`Plan: ${plan.length} runs of ${epochs} epochs, in ${path}`)
  for (const [kind, count] of kinds) console.log(`  ${kind.padEnd(52)} ${count} seed${count === 1 ? '' : 's'}`)
  if (pending.length < plan.length) console.log(`  ${plan.length - pending.length} of them are complete`)
  if (pending.length === 0) {
    console.log('Nothing is left to run')
    return
  }
  const { features, runs, basis } = expected
  const parts: [string, number | null][] = [
    ['base', expected.base],
    ['features', features],
    ['runs', runs],
  ]
  const known = parts.filter((part): part is [string, number] => part[1] !== null)
  const total = known.reduce((sum, [, seconds]) => sum + seconds, 0)
  const detail = known.map(([name, seconds]) => `${name} ${duration(seconds)}`).join(', ')
  console.log(`Estimate: ${duration(total)} (${detail}; from ${basis}, reading images not counted)`)
}
