/** One row by kakuritsu and a peer: agreement first, then times in turn. */

/** How far two float32 results may be apart, in units of their root mean square: sums of up to 4608 terms, 155 deep. */
const TOLERANCE = { default: 1e-4, resnet: 1e-3 }

/**
 * @param pair the two processes, kakuritsu's first
 * @returns `cannot: true` where the peer has no such op; else seconds a run, medians, and the ratio of peer over ours,
 *   the median of the rounds' ratios
 * @throws Error when they disagree, or one fails
 */
export async function compare(pair, row, { rounds, sample, limit }) {
  const deadline = Date.now() + 1000 * limit
  const ask = (side, request, argument) => {
    const left = (deadline - Date.now()) / 1000
    return side.ask(request, argument, Math.max(1, left))
  }
  const [ours, peer] = pair
  try {
    if (!(await ask(peer, 'prepare', row))) return { cannot: true }
    await ask(ours, 'prepare', row)
    // A step changes its weights: both have done one when they are compared.
    for (const side of pair) await ask(side, 'time', 1)
    agree(await ask(ours, 'output'), await ask(peer, 'output'), TOLERANCE[row.kind] ?? TOLERANCE.default)

    const repeats = []
    for (const side of pair) repeats.push(Math.max(1, Math.round(sample / (await ask(side, 'time', 1)))))
    const times = pair.map(() => [])
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? [0, 1] : [1, 0]
      for (const i of order) times[i].push(await ask(pair[i], 'time', repeats[i]))
    }
    return {
      ours: median(times[0]),
      theirs: median(times[1]),
      ratio: median(times[1].map((seconds, round) => seconds / times[0][round])),
      rounds: { ours: times[0], theirs: times[1] },
    }
  } finally {
    for (const side of pair) if (!side.failure) await side.ask('free', undefined, 30).catch(() => {})
  }
}

function agree(ours, theirs, tolerance) {
  if (ours.length !== theirs.length) throw new Error(`it gives ${theirs.length} numbers, kakuritsu ${ours.length}`)
  const rms = Math.sqrt(ours.reduce((sum, value) => sum + value * value, 0) / ours.length)
  let worst = 0
  for (let i = 0; i < ours.length; i++) {
    const distance = Math.abs(ours[i] - theirs[i])
    if (!(distance <= worst)) worst = distance
  }
  if (!(worst <= tolerance * rms))
    throw new Error(
      `its result differs from kakuritsu's by ${(worst / rms).toExponential(1)} of the root mean square, allowed ${tolerance}`,
    )
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
