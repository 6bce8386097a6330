/** What a person sees while a loop runs: a live bar on a terminal, plain lines elsewhere. */
import { SingleBar } from 'cli-progress'

export interface Progress {
  /**
   * @param done steps done so far
   * @param note short words at the end of a bar
   * @param line the line that a log gets in its place; printed only where it is given
   */
  update(done: number, note: string, line?: string): void
  end(): void
}

/**
 * @param title the words before the bar
 * @param steps how many there will be
 * @param perStep units (images) in a step, for the rate
 * @param from steps that were done before
 */
export function startProgress(title: string, steps: number, perStep: number, from = 0): Progress {
  if (!process.stderr.isTTY)
    return {
      update: (_done, _note, line) => {
        if (line) console.log(line)
      },
      end: () => {},
    }
  const bar = new SingleBar({
    format: `${title} {bar} {value}/{total} · {rate} images/s · {eta_formatted} left · {note}`,
    barsize: 24,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    etaBuffer: 20,
    stream: process.stderr,
  })
  const start = performance.now()
  const rate = (done: number) => (((done - from) * perStep * 1000) / (performance.now() - start)).toFixed(0)
  bar.start(steps, from, { rate: '–', note: '' })
  return { update: (done, note) => bar.update(done, { rate: rate(done), note }), end: () => bar.stop() }
}
