/** What a person sees while runs go on: a live picture on a terminal, plain lines elsewhere. */
import { createLogUpdate } from 'log-update'
import { duration } from './estimate.ts'
import type { RunSpec } from './plan.ts'
import type { EpochRecord, RunResult } from './results.ts'
import type { Watcher } from './runner.ts'
import { meanOf, ownEvaluation } from './summary.ts'

export interface View extends Watcher {
  end(): void
}

/** @param seconds the estimate for all of `pending` */
export function startView(pending: readonly RunSpec[], seconds: number): View {
  return process.stderr.isTTY ? new LiveView(new WorkState(pending, seconds)) : plainView(pending.length)
}

function plainView(runs: number): View {
  let ended = 0
  return {
    started() {},
    stepped() {},
    epochEnded(spec, epochs) {
      const { epoch, train, val } = epochs.at(-1)!
      console.log(`${spec.id}: epoch ${epoch}, loss ${train.loss.toFixed(3)}, Acc@1 ${val.acc1.toFixed(2)}`)
    },
    finished(spec, result) {
      console.log(`${spec.id}: ${outcome(result)} (${++ended} of ${runs} runs)`)
    },
    failed(spec, error) {
      console.error(`${spec.id}: failed: ${error.message} (${++ended} of ${runs} runs)`)
    },
    noted(spec, line) {
      console.error(`${spec.id}: ${line}`)
    },
    end() {},
  }
}

/** `best epoch 7, Acc@1 94.15`: under the noise that the head is trained with, over all passes. */
const outcome = (result: RunResult): string =>
  `best epoch ${result.bestEpoch}, Acc@1 ${meanOf(ownEvaluation(result), 'acc1').toFixed(2)}`

/** Where the work stands. */
export class WorkState {
  readonly #runs: number
  readonly #seconds: number
  readonly #start = performance.now()
  readonly #ended: string[] = []
  #done = 0
  #failed = 0
  #running: { spec: RunSpec; share: number; epochs: readonly EpochRecord[] } | null = null

  constructor(pending: readonly RunSpec[], seconds: number) {
    this.#runs = pending.length
    this.#seconds = seconds
  }

  started(spec: RunSpec): void {
    this.#running = { spec, share: 0, epochs: [] }
  }

  stepped(_spec: RunSpec, done: number, steps: number): void {
    this.#running!.share = done / steps
  }

  epochEnded(_spec: RunSpec, epochs: readonly EpochRecord[]): void {
    this.#running!.epochs = epochs
  }

  finished(spec: RunSpec, result: RunResult): void {
    this.#done++
    const curve = sparkline(result.epochs.map(({ val }) => val.acc1))
    this.#ended.push(`✓ ${spec.id.padEnd(32)} ${curve} ${outcome(result)}`)
    this.#running = null
  }

  failed(spec: RunSpec, error: Error): void {
    this.#failed++
    this.#ended.push(`✗ ${spec.id.padEnd(32)} ${error.message}`)
    this.#running = null
  }

  /** @param rows how many lines there is room for */
  lines(rows: number): string[] {
    const ended = this.#done + this.#failed
    const running = this.#running ? 1 : 0
    const counts = [`${this.#done} done`, `${running} running`, `${this.#runs - ended - running} left`]
    if (this.#failed > 0) counts.push(`${this.#failed} failed`)
    const left = ended < this.#runs ? ` · about ${duration(this.#secondsLeft())} to go` : ''
    const header = `${this.#runs} runs: ${counts.join(', ')}${left}`
    const shown = Math.max(1, rows - 4)
    return [header, ...this.#ended.slice(-shown), ...this.#runningLines()]
  }

  /** What the work so far took says more than the estimate, once a run is done. */
  #secondsLeft(): number {
    const share = (this.#done + this.#failed + (this.#running?.share ?? 0)) / this.#runs
    const elapsed = (performance.now() - this.#start) / 1000
    return this.#done > 0 ? (elapsed * (1 - share)) / share : Math.max(0, this.#seconds - elapsed)
  }

  #runningLines(): string[] {
    if (!this.#running) return []
    const { spec, share, epochs } = this.#running
    const lines = [`▶ ${spec.id.padEnd(32)} ${bar(share)} ${Math.round(100 * share)} %`]
    const last = epochs.at(-1)
    if (last) {
      const acc1 = `Acc@1 ${sparkline(epochs.map(({ val }) => val.acc1))} ${last.val.acc1.toFixed(2)}`
      const loss = `loss ${sparkline(epochs.map(({ train }) => train.loss))} ${last.train.loss.toFixed(3)}`
      lines.push(`  epoch ${last.epoch}  ${acc1}  ${loss}`)
    }
    return lines
  }
}

/** Milliseconds between two pictures. */
const REFRESH = 100

class LiveView implements View {
  readonly #state: WorkState
  readonly #update = createLogUpdate(process.stderr)
  #drawn = 0

  constructor(state: WorkState) {
    this.#state = state
  }

  started(spec: RunSpec): void {
    this.#state.started(spec)
    this.#draw()
  }

  stepped(spec: RunSpec, done: number, steps: number): void {
    this.#state.stepped(spec, done, steps)
    if (performance.now() - this.#drawn > REFRESH) this.#draw()
  }

  epochEnded(spec: RunSpec, epochs: readonly EpochRecord[]): void {
    this.#state.epochEnded(spec, epochs)
    this.#draw()
  }

  finished(spec: RunSpec, result: RunResult): void {
    this.#state.finished(spec, result)
    this.#draw()
  }

  failed(spec: RunSpec, error: Error): void {
    this.#state.failed(spec, error)
    this.#draw()
  }

  /** Lines stay above the picture. */
  noted(spec: RunSpec, line: string): void {
    this.#update.clear()
    console.error(`${spec.id}: ${line}`)
    this.#draw()
  }

  end(): void {
    this.#draw()
    this.#update.done()
  }

  #draw(): void {
    this.#drawn = performance.now()
    this.#update(this.#state.lines(process.stderr.rows || 24).join('\n'))
  }
}

const LEVELS = '▁▂▃▄▅▆▇█'

/** Values as bars of eight heights, from the least to the greatest. Of many, the last. */
export function sparkline(values: readonly number[], width = 20): string {
  const shown = values.slice(-width)
  const least = Math.min(...shown)
  const range = Math.max(...shown) - least
  const level = (value: number) => (range > 0 ? Math.round(((value - least) / range) * (LEVELS.length - 1)) : 0)
  return shown.map((value) => LEVELS[level(value)] ?? '?').join('')
}

const BAR = 24
const bar = (share: number): string => '█'.repeat(Math.round(share * BAR)).padEnd(BAR, '░')
