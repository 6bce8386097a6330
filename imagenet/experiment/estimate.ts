/** How long the rest of an experiment will take: from runs that are done, and from steps that are measured. */
import { type Device, noGrad, scope, Tensor } from '../../engine/index.ts'
import { Generator, head, type Module, resnet, SGD } from '../../nn/index.ts'
import type { Samples } from '../data/samples.ts'
import { tuningOf } from '../gpu/tuning.ts'
import { evaluateStep, trainStep } from '../run/loop.ts'
import type { RunSpec } from './plan.ts'
import type { RunResult } from './results.ts'
import type { Settings } from './settings.ts'

export interface Estimate {
  /** Seconds; null for what is done already. */
  base: number | null
  features: number | null
  runs: number
  /** What the numbers come from, for people. */
  basis: string
}

/** Steps of each kind that are timed, after one that compiles. */
const TIMED = 3

/**
 * Estimates what is left. Steps are timed on made-up inputs, so reading and decoding images is not in the numbers.
 * @param pending runs that are not complete
 * @param done complete runs, whose times stand for those of the same kind
 * @param haveBase whether the base is there
 */
export async function estimate(
  device: Device,
  settings: Settings,
  { pending, done, haveBase }: { pending: readonly RunSpec[]; done: readonly RunResult[]; haveBase: boolean },
): Promise<Estimate> {
  if (pending.length === 0) return { base: null, features: null, runs: 0, basis: 'everything is done' }
  const { batchSize, trainImages, valImages, epochs } = settings
  const [trainSteps, valSteps] = [trainImages, valImages].map((images) => Math.ceil(images / batchSize))
  const base = await timeBase(device, settings, haveBase)
  const known = new Map(done.map((run) => [kindOf(run.spec), secondsOf(run)]))
  let measured = 0
  let runs = 0
  for (const spec of pending) {
    let seconds = known.get(kindOf(spec))
    if (seconds === undefined) {
      const step = await timeHead(device, settings, spec, base.features)
      const passes = spec.evaluations.reduce((sum, { passes }) => sum + passes, 0)
      seconds = epochs * (trainSteps * step.train + valSteps * step.evaluate) + passes * valSteps * step.evaluate
      known.set(kindOf(spec), seconds)
      measured++
    }
    runs += seconds
  }
  const basis = measured === 0 ? `${done.length} runs that are done` : `${TIMED} steps of each kind, measured just now`
  return {
    base: haveBase ? null : settings.baseSteps! * base.train! + valSteps * base.forward,
    features: ((settings.views ?? 1) * trainSteps + valSteps) * base.forward,
    runs,
    basis,
  }
}

/** Runs of one kind take about the same time. */
const kindOf = ({ head }: RunSpec): string => JSON.stringify(head)

const secondsOf = ({ epochs, evaluations }: RunResult): number =>
  [...epochs, ...evaluations].reduce((sum, { seconds }) => sum + seconds, 0)

/** Seconds of a step of the base: forward, and trained where it has to be. */
async function timeBase(
  device: Device,
  { base, batchSize, imageSize, classes }: Settings,
  haveBase: boolean,
): Promise<{ forward: number; train: number | null; features: number }> {
  const batch = madeUp(batchSize, [imageSize, imageSize, 3], classes)
  const net = resnet(base, { convOnly: true }).to(device)
  net.eval().requiresGrad(false)
  const { features } = net
  const forward = await time(device, () =>
    scope(() => noGrad(() => net.call(batch.input(device, 0, batchSize)).read())),
  )
  net.free()
  if (haveBase) return { forward, train: null, features }
  const whole = resnet(base, { numClasses: classes }).to(device)
  const train = await timeTraining(device, whole, batch)
  whole.free()
  return { forward, train, features }
}

async function timeHead(
  device: Device,
  { batchSize, classes }: Settings,
  spec: RunSpec,
  features: number,
): Promise<{ train: number; evaluate: number }> {
  const batch = madeUp(batchSize, [features], classes)
  const generator = new Generator(0)
  const exp = head(spec.head.arch, { ...spec.head, features, classes, generator }).to(device)
  const train = await timeTraining(device, exp, batch)
  const evaluate = await time(device, () => evaluateStep(device, exp, batch))
  exp.free()
  return { train, evaluate }
}

async function timeTraining(device: Device, net: Module, batch: Samples): Promise<number> {
  const optimizer = new SGD(net.parameters(), { lr: 0, momentum: 0.9 })
  const seconds = await time(device, () => trainStep(device, net, optimizer, batch))
  optimizer.zeroGrad()
  optimizer.free()
  return seconds
}

/** Seconds of one call, over some that are under way together, as in a loop. The first one compiles, and has kernels tuned. */
async function time(device: Device, work: () => Promise<unknown>): Promise<number> {
  await work()
  const tuning = tuningOf(device)
  if (tuning) {
    await tuning.settle()
    await work()
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: TIMED }, work))
  return (performance.now() - start) / 1000 / TIMED
}

function madeUp(size: number, shape: readonly number[], classes: number): Samples {
  const perSample = shape.reduce((product, n) => product * n, 1)
  const values = Float32Array.from({ length: size * perSample }, (_, i) => Math.abs(Math.sin(i)))
  return {
    labels: Uint32Array.from({ length: size }, (_, i) => i % classes),
    input: (device, start, end) =>
      Tensor.from(device, values.subarray(start * perSample, end * perSample), [end - start, ...shape]),
  }
}

/** `0.4 s`, `40 s`, `12 min`, `5.3 h`. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 90) return `${Math.round(seconds)} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}
