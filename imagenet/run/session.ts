/** What a run is made of, and how far it is: what its rooms share. */
import type { Device } from '../../engine/index.ts'
import { Generator, type HeadNoise, type Module, SGD, StepLR } from '../../nn/index.ts'
import type { Dataset } from '../data/sources/source.ts'
import { setPrecision } from '../gpu/precision.ts'
import type { Communicator } from '../parallel/communicator.ts'
import { Replicas } from '../parallel/replicas.ts'
import type { WeightsFile } from '../weights/formats/weights.ts'
import { Batches } from './batches.ts'
import { loadBaseFrom, type RunCheckpoint, type RunParts, type RunState } from './checkpoint.ts'
import { addBatch, type BatchResult, noTotals } from './metrics.ts'
import { ExperimentNet, type Network } from './model.ts'
import { isFrozen, SCHEDULE, type SettledOptions } from './options.ts'

export interface SessionOptions {
  device: Device
  options: SettledOptions
  dataset: Dataset
  /** How the head is evaluated; null: as it trains. */
  evaluationNoise: HeadNoise | null
  /** Where to go on; null: from the start, or where rank 0 is. */
  checkpoint: RunCheckpoint | null
  /** Of the base; null: drawn, or the checkpoint's, or rank 0's. */
  weights: WeightsFile | null
  /** Makes what is trained; the options' `ExperimentNet` unless given. */
  network?: (classes: number, generator: Generator) => Network
  /** Called with each checkpoint that was written. */
  onSave?: (file: string) => void
  /** The ranks that share the run: rank 0 prints, and owns the files. */
  comm?: Communicator
}

export class Session {
  readonly device: Device
  readonly options: SettledOptions
  readonly evaluationNoise: HeadNoise | null
  readonly generator: Generator
  readonly model: Network
  readonly optimizer: SGD
  readonly schedule: StepLR
  readonly batches: Batches
  /** This process's copy among those of other ranks, where several share the run. */
  readonly replicas: Replicas | undefined
  /** Where the run was resumed. */
  readonly resumedAt: RunState | undefined
  readonly onSave: (file: string) => void
  /** The numbers of steps that were taken and are yet to be counted, in order. */
  readonly taken: BatchResult[] = []
  /** Ends when the steps under way have. */
  settled: Promise<void> = Promise.resolve()
  state: RunState

  /** @throws UsageError when weights or checkpoint do not fit the network */
  constructor(parts: SessionOptions) {
    const { device, options, dataset, evaluationNoise, checkpoint, weights, network, onSave = () => {}, comm } = parts
    const classes = dataset.train.classes.length
    const { seed, lr, momentum, weightDecay } = options
    this.device = device
    this.options = options
    this.evaluationNoise = evaluationNoise
    this.onSave = onSave
    this.generator = new Generator(seed)
    this.model = network?.(classes, this.generator) ?? new ExperimentNet(options, classes, this.generator)
    if (checkpoint) checkpoint.loadModel(this.model)
    else if (weights) loadBaseFrom(this.model.base, weights)
    setPrecision(this.model.base, options.precision, device)
    this.model.to(device, { seed })
    if (isFrozen(options)) this.model.base.requiresGrad(false)
    const trained = this.model.parameters().filter(({ requiresGrad }) => requiresGrad)
    this.optimizer = new SGD(trained, { lr, momentum, weightDecay })
    this.schedule = new StepLR(this.optimizer, SCHEDULE.stepSize, SCHEDULE.gamma)
    for (let epoch = 0; epoch < options.startEpoch; epoch++) this.schedule.step()
    if (comm) this.replicas = new Replicas(comm, this.model, trained, options.syncBn)
    this.batches = new Batches(dataset, options, this.replicas)
    this.state = { epoch: options.startEpoch, step: 0, globalStep: 0, totals: noTotals(), bestAcc1: 0 }
    if (checkpoint) {
      checkpoint.loadProgress(this.optimizer, this.schedule)
      this.state = structuredClone(checkpoint.state)
      this.resumedAt = checkpoint.state
    }
  }

  /** What batches go through. */
  get network(): Module {
    return this.batches.areFeatures ? this.model.exp : this.model
  }

  get parts(): RunParts {
    return { model: this.model, optimizer: this.optimizer, scheduler: this.schedule }
  }

  /** Whether the run's files are this process's to write. */
  get ownsFiles(): boolean {
    return !this.replicas?.comm.rank
  }

  /** Notes a step that is under way. */
  follow(step: Promise<BatchResult>): void {
    const noted = step.then(
      (result) => void this.taken.push(result),
      () => {},
    )
    this.settled = this.settled.then(() => noted)
  }

  /** Counts the steps that were taken and are not yet counted. */
  countTaken(): void {
    while (this.taken.length > 0) this.count(this.taken[0])
  }

  /** Counts a step that was taken. */
  count(result: BatchResult): void {
    this.taken.shift()
    addBatch(this.state.totals, result)
    this.state.globalStep++
    this.state.step++
  }
}
