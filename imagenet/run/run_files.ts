/** The files of a run: metrics.jsonl, checkpoints, summary.json. Where several ranks share it, only the first has any. */
import { join } from 'node:path'
import { memoryOf, scope, totalNorm } from '../../engine/index.ts'
import { DivergedError, FileError, UsageError } from '../errors.ts'
import { makeFolder, removeLeftovers, writeFileAtomic } from '../files.ts'
import { describeAdapter } from '../gpu/open.ts'
import { checkpointName, saveRunCheckpoint } from './checkpoint.ts'
import { type Averages, MetricsLog, type Stopwatch } from './metrics.ts'
import { SAVE_MINUTES } from './options.ts'
import type { Session } from './session.ts'

export class RunFiles {
  readonly #session: Session
  readonly #log: MetricsLog | null

  /** When the last checkpoint was written, and of which step. */
  #saved: { time: number; step: number }
  /** The last checkpoint that was written. */
  last: string | null = null

  /** @throws UsageError when the folder cannot be written to */
  constructor(session: Session) {
    this.#session = session
    this.#log = session.ownsFiles ? this.#open() : null
    this.#saved = { time: performance.now(), step: session.state.globalStep }
  }

  #open(): MetricsLog {
    const { options, resumedAt } = this.#session
    const file = (name: string) => join(options.output, name)
    try {
      makeFolder(options.output)
      const checkpoints = checkpointName(options).replace(/\.safetensors$/, '')
      removeLeftovers(options.output, ['metrics.jsonl', 'summary.json', checkpoints])
      return new MetricsLog(file('metrics.jsonl'), resumedAt)
    } catch (error) {
      const { message } = error instanceof FileError ? error : new FileError(options.output, error)
      throw new UsageError(`--output ${options.output} cannot be used: ${message}`)
    }
  }

  /** Whether a checkpoint is due before a step of the run. */
  isDue(step: number): boolean {
    const { ownsFiles, options } = this.#session
    const { time, step: saved } = this.#saved
    if (!ownsFiles) return false
    if (options.saveEvery !== undefined) return step - saved >= options.saveEvery
    return step > saved && performance.now() - time > SAVE_MINUTES * 60_000
  }

  /** A line of metrics. @param step batches of the epoch done. @param time a batch's */
  write(
    phase: 'train' | 'val',
    epoch: number,
    step: number,
    average: Averages,
    time: Stopwatch,
    gradNorm?: number,
  ): void {
    const { options, optimizer } = this.#session
    const images = options.batchSize / time.average
    this.#log?.write({ phase, epoch, step, ...average, lr: optimizer.lr, images_per_s: images, grad_norm: gradNorm })
  }

  /** Saves the run as it is, with no step under way. Returns the checkpoint's path. @param best whether it is the best so far */
  async save(best = false): Promise<string> {
    const { ownsFiles, state, options, parts, batches } = this.#session
    if (!ownsFiles) return ''
    const { classes } = batches.train.source
    await this.#refuseNonFinite()
    this.#log?.sync()
    this.last = await saveRunCheckpoint(options.output, { state, options, parts, classes, best })
    this.#saved = { time: performance.now(), step: state.globalStep }
    this.#session.onSave(this.last)
    return this.last
  }

  /** A step's loss tells of the weights before it; what it left behind must not take the place of a good checkpoint. */
  async #refuseNonFinite(): Promise<void> {
    const { optimizer, state } = this.#session
    const norm = await scope(() => totalNorm(optimizer.params.map(({ tensor }) => tensor)).item())
    if (Number.isFinite(norm)) return
    throw new DivergedError(
      `the run has diverged before epoch ${state.epoch}, step ${state.step}: weights are not finite; lower --lr or set --clip-grad-norm`,
    )
  }

  /** @param last of the last validation, where there was one */
  async summarize(last: Averages | null): Promise<void> {
    const { device, options, state, batches, replicas, ownsFiles } = this.#session
    const skipped = replicas ? await replicas.together(batches.skipped) : batches.skipped
    if (!ownsFiles) return
    if (skipped.length > 0)
      console.log(`${skipped.length} files that cannot be decoded were left out; summary.json lists them`)
    const summary = {
      epochs: state.epoch,
      best_acc1: state.bestAcc1,
      last,
      options,
      adapter: describeAdapter(device),
      peak_gpu_bytes: memoryOf(device).peakBytes,
      skipped: skipped.sort().map(([file, reason]) => ({ file, reason })),
    }
    writeFileAtomic(join(options.output, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`)
  }
}
