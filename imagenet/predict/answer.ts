/** What a network says of one image, from its logits in one pass or in several under random masks. */

export interface Answer {
  /** The class's number. */
  class: number
  /** The mean over the passes. */
  probability: number
  /** The standard deviation of the passes' probabilities (n − 1); null for one pass. */
  std: number | null
}

export interface Prediction {
  /** The most probable classes, the first one first. */
  top: Answer[]
  /** Of the mean probabilities, in nats: H[E p]. Doubt of any origin. */
  entropy: number
  /**
   * H[E p] − E H[p], in nats: how far the passes contradict each other, which is the network's own doubt, where the rest
   * is in the image (Houlsby et al., "Bayesian Active Learning for Classification and Preference Learning", 2011). Null
   * for one pass.
   */
  mutualInformation: number | null
}

/** Takes in an image's logits, a pass after the other. */
export class AnswerSum {
  #passes = 0
  #entropies = 0
  readonly #mean: Float64Array
  /** Sums of squared deviations from the mean, by Welford's update. */
  readonly #deviations: Float64Array

  constructor(classes: number) {
    this.#mean = new Float64Array(classes)
    this.#deviations = new Float64Array(classes)
  }

  /** @throws Error when a logit is not finite */
  add(logits: Float32Array): void {
    const probabilities = softmax(logits)
    this.#passes++
    this.#entropies += entropyOf(probabilities)
    for (const [k, p] of probabilities.entries()) {
      const before = p - this.#mean[k]
      this.#mean[k] += before / this.#passes
      this.#deviations[k] += before * (p - this.#mean[k])
    }
  }

  /** @param topk how many classes; all of them where there are fewer */
  result(topk: number): Prediction {
    const mean = this.#mean
    const several = this.#passes > 1
    const entropy = entropyOf(mean)
    // Of equal ones the lowest number first, as `topkCorrect` has it.
    const order = Array.from(mean.keys()).sort((a, b) => mean[b] - mean[a] || a - b)
    return {
      top: order.slice(0, topk).map((k) => ({
        class: k,
        probability: mean[k],
        std: several ? Math.sqrt(this.#deviations[k] / (this.#passes - 1)) : null,
      })),
      entropy,
      // It is never negative; rounding may make it so.
      mutualInformation: several ? Math.max(0, entropy - this.#entropies / this.#passes) : null,
    }
  }
}

function softmax(logits: Float32Array): Float64Array {
  const max = logits.reduce((a, b) => Math.max(a, b))
  if (!logits.every(Number.isFinite)) throw new Error('a logit is not finite: the weights are of a run that diverged')
  const exponentials = Float64Array.from(logits, (logit) => Math.exp(logit - max))
  const sum = exponentials.reduce((a, b) => a + b)
  return exponentials.map((value) => value / sum)
}

/** −Σ p log p, in nats. */
const entropyOf = (probabilities: Float64Array): number =>
  probabilities.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0)
