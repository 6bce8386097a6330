import { map, type Nd, nd, type Reference } from './nd.ts'

/** x − log Σ exp(x) along the last axis of x: [N, K], shifted by each row's maximum so that exp cannot overflow. */
export function logSoftmax(x: Nd): Reference {
  const [rows, classes] = x.shape
  const out = nd(x.shape)
  for (let n = 0; n < rows; n++) {
    const row = x.data.subarray(n * classes, (n + 1) * classes)
    const max = Math.max(...row)
    const logSum = Math.log(row.reduce((sum, value) => sum + Math.exp(value - max), 0))
    row.forEach((value, k) => {
      out.data[n * classes + k] = value - max - logSum
    })
  }
  return {
    out,
    backward: (dOut) => {
      const sums = nd([rows])
      dOut.data.forEach((d, i) => {
        sums.data[Math.floor(i / classes)] += d
      })
      return { x: map(dOut, (d, i) => d - Math.exp(out.data[i]) * sums.data[Math.floor(i / classes)]) }
    },
  }
}

/** −mean over rows of logp[n, labels[n]], a scalar. logp: [N, K], labels: [N] of whole numbers. */
export function nllLoss(logp: Nd, labels: Nd): Reference {
  const [rows, classes] = logp.shape
  const at = Array.from(labels.data, (label, n) => n * classes + label)
  const out = nd([], [-at.reduce((sum, i) => sum + logp.data[i], 0) / rows])
  return {
    out,
    backward: (dOut) => {
      const x = nd(logp.shape)
      for (const i of at) x.data[i] = -dOut.data[0] / rows
      return { x }
    },
  }
}

/** Softmax cross-entropy with mean reduction: nllLoss(logSoftmax(x)). */
export function crossEntropy(x: Nd, labels: Nd): Reference {
  const logp = logSoftmax(x)
  const loss = nllLoss(logp.out, labels)
  return { out: loss.out, backward: (dOut) => logp.backward(loss.backward(dOut).x) }
}

/**
 * For each k, the number of rows whose label is among the k greatest logits. Of equal logits the lower class comes
 * first; NaN is greater than every number, but a row whose own label has a NaN logit is never right.
 */
export function topkCorrect(logits: Nd, labels: Nd, ks: readonly number[]): Nd {
  const [rows, classes] = logits.shape
  const counts = nd([ks.length])
  for (let n = 0; n < rows; n++) {
    const row = Array.from(logits.data.subarray(n * classes, (n + 1) * classes))
    const key = (k: number) => (Number.isNaN(row[k]) ? Infinity : row[k])
    const nanFirst = (k: number) => (Number.isNaN(row[k]) ? 0 : 1)
    const order = row.map((_, k) => k).sort((a, b) => nanFirst(a) - nanFirst(b) || Math.sign(key(b) - key(a)) || a - b)
    const label = labels.data[n]
    if (Number.isNaN(row[label])) continue
    const rank = order.indexOf(label)
    ks.forEach((k, j) => {
      if (rank < k) counts.data[j]++
    })
  }
  return counts
}
