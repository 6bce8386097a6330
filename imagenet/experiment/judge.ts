/** What answers are worth: accuracy, calibration, and agreement between stochastic passes. */
import type { Averages } from '../run/metrics.ts'

/** Bins of confidence, as many as Guo et al. ("On Calibration of Modern Neural Networks", ICML 2017) take. */
export const CONFIDENCE_BINS = 15

export interface ConfidenceBin {
  count: number
  /** Means over the bin's answers, in [0, 1]; 0 for none. */
  confidence: number
  accuracy: number
}

export interface Calibration {
  /** Of equal width over [0, 1]. */
  bins: ConfidenceBin[]
  /** Expected calibration error: Σ_bin share of answers · |accuracy − confidence|, in [0, 1]. */
  ece: number
}

/** Takes in logits, one pass over the images after the other. */
export class Judge {
  readonly #classes: number
  /** Of each pass: the class answered for each image. */
  readonly #answers: Uint32Array[] = []
  readonly #passes: { loss: number; correct1: number; correct5: number }[] = []
  readonly #bins = Array.from({ length: CONFIDENCE_BINS }, () => ({ count: 0, confidence: 0, correct: 0 }))
  readonly #images: number
  /** Images of the pass so far; all passes see the same ones. */
  #next = 0

  /** @param images of a pass, at most */
  constructor(images: number, classes: number) {
    this.#images = images
    this.#classes = classes
  }

  beginPass(): void {
    this.#answers.push(new Uint32Array(this.#images))
    this.#passes.push({ loss: 0, correct1: 0, correct5: 0 })
    this.#next = 0
  }

  /**
   * The next images of the pass.
   * @param logits [labels.length, classes]
   * @throws Error when a logit is not finite
   */
  add(logits: Float32Array, labels: Uint32Array): void {
    const answers = this.#answers.at(-1)!
    const totals = this.#passes.at(-1)!
    labels.forEach((label, row) => {
      const own = logits.subarray(row * this.#classes, (row + 1) * this.#classes)
      const { answer, confidence, rank, loss } = judge(own, label)
      answers[this.#next++] = answer
      totals.loss += loss
      if (rank < 1) totals.correct1++
      if (rank < Math.min(5, this.#classes)) totals.correct5++
      const bin = this.#bins[Math.min(Math.floor(confidence * CONFIDENCE_BINS), CONFIDENCE_BINS - 1)]
      bin.count++
      bin.confidence += confidence
      if (answer === label) bin.correct++
    })
  }

  /** Of each pass. */
  get passes(): Averages[] {
    const percent = (count: number) => (100 * count) / this.#next
    return this.#passes.map(({ loss, correct1, correct5 }) => ({
      loss: loss / this.#next,
      acc1: percent(correct1),
      acc5: percent(correct5),
    }))
  }

  /** Of all answers of all passes. */
  get calibration(): Calibration {
    const answers = this.#next * this.#passes.length
    let ece = 0
    const bins = this.#bins.map(({ count, confidence, correct }) => {
      ece += Math.abs(correct - confidence) / answers
      return { count, confidence: count && confidence / count, accuracy: count && correct / count }
    })
    return { bins, ece }
  }

  /** The chance that two passes answer an image alike: the mean over images and pairs of passes; null for one pass. */
  get agreement(): number | null {
    const passes = this.#answers.length
    if (passes < 2) return null
    let alike = 0
    for (let image = 0; image < this.#next; image++)
      for (let a = 1; a < passes; a++)
        for (let b = 0; b < a; b++) if (this.#answers[a][image] === this.#answers[b][image]) alike++
    return alike / (this.#next * ((passes * (passes - 1)) / 2))
  }
}

interface Judged {
  /** The class of the greatest logit; of equal ones the lowest, as `topkCorrect` has it. */
  answer: number
  /** Its probability. */
  confidence: number
  /** How many classes come before the label. */
  rank: number
  /** −log of the label's probability. */
  loss: number
}

function judge(logits: Float32Array, label: number): Judged {
  let answer = 0
  let rank = 0
  const own = logits[label]
  for (let k = 0; k < logits.length; k++) {
    if (!Number.isFinite(logits[k])) throw new Error(`a logit is ${logits[k]}: the head has diverged; lower --lr`)
    if (logits[k] > logits[answer]) answer = k
    if (logits[k] > own || (logits[k] === own && k < label)) rank++
  }
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - logits[answer])
  return { answer, confidence: 1 / sum, rank, loss: Math.log(sum) + logits[answer] - own }
}
