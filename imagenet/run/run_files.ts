/** The files of a run: metrics.jsonl, checkpoints, summary.json. Where several ranks share it, only the first has any. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { memoryOf } from '../../engine/index.ts'
import { saveRunCheckpoint } from '../checkpoint.ts'
import { writeFileAtomic } from '../files.ts'
import { describeAdapter } from '../gpu.ts'
import { type Averages, MetricsLog, type Stopwatch } from '../metrics.ts'
import type { Session } from './session.ts'

export class RunFiles {
  readonly #session: Session
  readonly #log: MetricsLog | null

  constructor(session: Session) {
    const { output } = session.options
    this.#session = session
    if (session.ownsFiles) mkdirSync(output, { recursive: true })
    this.#log = session.ownsFiles ? new MetricsLog(join(output, 'metrics.jsonl'), session.resumedAt) : null
  }

  /** A line of metrics. @param step batches of the epoch done. @param time a batch's */
  write(phase: 'train' | 'val', epoch: number, step: number, average: Averages, time: Stopwatch): void {
    const { options, optimizer } = this.#session
    const images = options.batchSize / time.average
    this.#log?.write({ phase, epoch, step, ...average, lr: optimizer.lr, images_per_s: images })
  }

  /** Saves the run as it is. Returns the checkpoint's path. @param best whether it is the best so far */
  async save(best = false): Promise<string> {
    const { ownsFiles, state, options, parts, batches } = this.#session
    if (!ownsFiles) return ''
    return saveRunCheckpoint(options.output, { state, options, parts, classes: batches.train.source.classes, best })
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
