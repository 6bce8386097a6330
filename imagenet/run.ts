/** One run: a base under a head, trained epoch by epoch and validated after each, or only evaluated. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Device, memoryOf } from '../engine/index.ts'
import { Generator, type HeadNoise, type Module, SGD, StepLR } from '../nn/index.ts'
import { loadBaseFrom, type RunCheckpoint, type RunParts, type RunState, saveRunCheckpoint } from './checkpoint.ts'
import { CachedFeatures, weightsDigest } from './features/index.ts'
import { writeFileAtomic } from './files.ts'
import type { WeightsFile } from './formats/weights.ts'
import { describeAdapter } from './gpu.ts'
import { INTERRUPTED, Interrupt } from './interrupt.ts'
import { Loader } from './loader.ts'
import { evaluateStep, pipelined, type Samples, trainStep } from './loop.ts'
import {
  type Averages,
  addBatch,
  averages,
  type BatchResult,
  countOf,
  MetricsLog,
  noTotals,
  progressLine,
  Stopwatch,
  validationLine,
} from './metrics.ts'
import { ExperimentNet } from './model.ts'
import { isFrozen, SCHEDULE, type SettledOptions } from './options.ts'
import { type Communicator, RankFailure } from './parallel/communicator.ts'
import { Replicas } from './parallel/replicas.ts'
import { setPrecision } from './precision.ts'
import { StepProfile } from './profile.ts'
import { startProgress } from './progress.ts'
import { rehearsed } from './rehearsal.ts'
import { imageEpoch } from './samples.ts'
import type { Dataset } from './sources/source.ts'

export class Run {
  readonly #device: Device
  readonly #options: SettledOptions
  readonly #model: ExperimentNet
  readonly #optimizer: SGD
  readonly #schedule: StepLR
  readonly #trainLoader: Loader
  readonly #valLoader: Loader
  /** What stands for a loader, where features are cached. */
  readonly #features = new Map<Loader, CachedFeatures>()
  /** How the head is evaluated; null: as it trains. */
  readonly #evaluationNoise: HeadNoise | null
  readonly #generator: Generator
  #state: RunState
  /** Where an existing metrics.jsonl is cut. */
  #resumedAt: RunState | undefined
  #log: MetricsLog | null = null
  /** Of the first epoch's first steps. */
  #profile: StepProfile | null = null
  /** This process's copy among those of other ranks, where several share the run. */
  readonly #replicas: Replicas | undefined
  /** The numbers of steps that were taken and are yet to be counted, in order. */
  readonly #taken: BatchResult[] = []

  /**
   * @param checkpoint where to go on; null: from the start, or where rank 0 is
   * @param weights of the base; null: drawn, or the checkpoint's, or rank 0's
   * @param comm the ranks that share the run: rank 0 prints, and owns the files
   * @throws UsageError when weights or checkpoint do not fit the network
   */
  constructor(
    device: Device,
    options: SettledOptions,
    dataset: Dataset,
    evaluationNoise: HeadNoise | null,
    { checkpoint, weights }: { checkpoint: RunCheckpoint | null; weights: WeightsFile | null },
    comm?: Communicator,
  ) {
    const { batchSize, imageSize, seed, workers, decoder, views, skipCorrupt, resize } = options
    this.#device = device
    this.#options = options
    this.#evaluationNoise = evaluationNoise
    this.#generator = new Generator(seed)
    this.#model = new ExperimentNet(options, dataset.train.classes.length, this.#generator)
    if (checkpoint) checkpoint.loadModel(this.#model)
    else if (weights) loadBaseFrom(this.#model.base, weights)
    setPrecision(this.#model.base, options.precision, device)
    this.#model.to(device, { seed })
    if (isFrozen(options)) this.#model.base.requiresGrad(false)
    const { lr, momentum, weightDecay } = options
    const trained = this.#model.parameters().filter(({ requiresGrad }) => requiresGrad)
    this.#optimizer = new SGD(trained, { lr, momentum, weightDecay })
    this.#schedule = new StepLR(this.#optimizer, SCHEDULE.stepSize, SCHEDULE.gamma)
    for (let epoch = 0; epoch < options.startEpoch; epoch++) this.#schedule.step()
    if (comm) this.#replicas = new Replicas(comm, this.#model, trained, options.syncBn)
    const divide = this.#replicas?.divide
    const common = { batchSize, imageSize, seed, workers, decoder, skipCorrupt, resizeOnGpu: resize === 'gpu', divide }
    this.#trainLoader = new Loader(dataset.train, { ...common, shuffle: true, limit: options.limitTrain, views })
    this.#valLoader = new Loader(dataset.val, { ...common, shuffle: false, limit: options.limitVal })
    this.#state = { epoch: options.startEpoch, step: 0, globalStep: 0, totals: noTotals(), bestAcc1: 0 }
    if (checkpoint) {
      checkpoint.loadProgress(this.#optimizer, this.#schedule)
      this.#state = structuredClone(checkpoint.state)
      this.#resumedAt = checkpoint.state
    }
  }

  /** Trains to the last epoch, validating and saving after each. Returns the exit status. */
  async train(): Promise<number> {
    const { epochs } = this.#options
    await this.#start()
    const replicas = this.#replicas
    const interrupt = replicas?.listen() ?? new Interrupt()
    const asked = () => (replicas ? replicas.any(interrupt.requested) : interrupt.requested)
    let last: Averages | null = null
    try {
      while (this.#state.epoch < epochs) {
        await this.#trainEpoch(interrupt)
        if (await asked()) return await this.#leave()
        last = await this.#validate(this.#state.epoch, interrupt)
        if (!last) return await this.#leave()
        const best = last.acc1 > this.#state.bestAcc1
        if (best) this.#state.bestAcc1 = last.acc1
        this.#schedule.step()
        Object.assign(this.#state, { epoch: this.#state.epoch + 1, step: 0, totals: noTotals() })
        await this.#save(best)
        if (await asked()) return await this.#leave()
      }
    } catch (error) {
      if (error instanceof RankFailure) await this.#rescue()
      throw error
    } finally {
      interrupt.close()
    }
    await this.#summarize(last)
    return 0
  }

  /** Validates once. Returns the exit status. */
  async evaluate(): Promise<number> {
    await this.#start()
    await this.#summarize(await this.#validate(this.#state.epoch))
    return 0
  }

  async close(): Promise<void> {
    for (const cached of this.#features.values()) cached.close()
    await Promise.all([this.#trainLoader.close(), this.#valLoader.close()])
  }

  async #start(): Promise<void> {
    const { output, seed, arch, base, profile, pretrained, resume } = this.#options
    if (this.#replicas && (pretrained !== undefined || resume !== undefined))
      this.#state = await this.#replicas.shareRun(this.#optimizer, this.#schedule, this.#state)
    if (this.#ownsFiles) {
      mkdirSync(output, { recursive: true })
      this.#log = new MetricsLog(join(output, 'metrics.jsonl'), this.#resumedAt)
    }
    if (profile !== undefined && this.#ownsFiles)
      this.#profile = new StepProfile(this.#device, profile, join(output, 'trace.json'))
    const { microBatch, batchSize, freezeBn } = this.#options
    if (microBatch !== undefined && microBatch < batchSize && !freezeBn)
      console.log(`BatchNorm normalises each micro-batch of ${microBatch} by itself`)
    const { source: train, length } = this.#trainLoader
    console.log(
      `${base} under ${arch}, ${train.classes.length} classes, ${length} training and ${this.#valLoader.length} validation images, seed ${seed}, files in ${output}`,
    )
    if (this.#options.cacheFeatures !== undefined) await this.#cacheFeatures(this.#options.cacheFeatures)
  }

  /** From here on the network is the head alone, on features. */
  async #cacheFeatures(folder: string): Promise<void> {
    const base = this.#model.base.eval()
    const { microBatch } = this.#options
    const options = { folder, weights: await weightsDigest(base), microBatch }
    for (const [name, loader] of Object.entries({ train: this.#trainLoader, val: this.#valLoader }))
      if (name === 'val' || !this.#options.evaluate)
        this.#features.set(loader, new CachedFeatures(this.#device, base, loader, { ...options, name }))
  }

  /** What batches go through. */
  get #network(): Module {
    return this.#features.size > 0 ? this.#model.exp : this.#model
  }

  async #trainEpoch(interrupt: Interrupt): Promise<void> {
    const { batchSize, microBatch, printFreq, freezeBn } = this.#options
    const state = this.#state
    const steps = this.#trainLoader.steps
    this.#model.train()
    if (freezeBn) this.#model.base.eval()
    this.#model.exp.noise = null
    const times = { batch: new Stopwatch(), data: new Stopwatch() }
    const progress = startProgress(`Epoch ${state.epoch}`, steps, batchSize, state.step)
    const peers = this.#replicas
    let started = state.globalStep
    const work = (batch: Samples) => {
      this.#profile?.beforeStep()
      const position = started++
      const beforePass = (sample: number) => this.#generator.moveTo({ step: position, sample })
      const options = { microBatch, beforePass, peers }
      const step = trainStep(this.#device, this.#network, this.#optimizer, batch, options)
      step.then(
        (result) => this.#taken.push(result),
        () => {},
      )
      return step
    }
    // All ranks stop at the same step: they hear of it with the numbers of an earlier one.
    let heard = false
    const stopped = () => (peers ? heard : interrupt.requested)
    const batches = this.#samples(this.#trainLoader, state.epoch, times.data, { fromStep: state.step, stopped })
    const rehearse = (batch: Samples) => trainStep(this.#device, this.#network, this.#optimizer, batch, { microBatch })
    const ready = rehearsed(this.#device, this.#network, batches, (batch) =>
      peers ? peers.silently(() => rehearse(batch)) : rehearse(batch),
    )
    let before = performance.now()
    for await (const result of pipelined(ready, work, stopped)) {
      times.batch.add((performance.now() - before) / 1000)
      before = performance.now()
      this.#count(result)
      heard ||= result.interrupted === true
      const step = state.step - 1
      const average = averages(state.totals)
      const printed = step % printFreq === 0
      const line = `Epoch: [${state.epoch}][${countOf(step, steps)}] ${progressLine(times, result, average)}`
      progress.update(state.step, shortNote(average), printed ? line : undefined)
      if (printed) this.#writeMetrics('train', state.epoch, state.step, average, times.batch)
    }
    progress.end()
    await this.#profile?.end()
    this.#profile = null
  }

  /** Loss and accuracy on the validation images, the head under its evaluation noise; null when interrupted. */
  async #validate(epoch: number, interrupt?: Interrupt): Promise<Averages | null> {
    const { batchSize, printFreq } = this.#options
    const { steps } = this.#valLoader
    const replicas = this.#replicas
    await replicas?.shareStatistics()
    this.#model.eval()
    this.#model.exp.noise = this.#evaluationNoise
    const times = { batch: new Stopwatch(), data: new Stopwatch() }
    const totals = noTotals()
    const progress = startProgress(`Test  ${epoch}`, steps, batchSize)
    let sample = 0
    const work = (batch: Samples) => {
      const { first, total } = batch.part ?? { first: 0, total: batch.labels.length }
      this.#generator.moveTo({ phase: 'validation', step: epoch, sample: sample + first })
      sample += total
      const own = evaluateStep(this.#device, this.#network, batch)
      return replicas ? replicas.reduce(own) : own
    }
    let heard = false
    const stopped = () => (replicas ? heard : interrupt?.requested === true)
    const samples = this.#samples(this.#valLoader, 0, times.data, { fromStep: 0, stopped })
    const ready = rehearsed(this.#device, this.#network, samples, (batch) =>
      evaluateStep(this.#device, this.#network, batch),
    )
    let step = 0
    let before = performance.now()
    for await (const result of pipelined(ready, work, stopped)) {
      times.batch.add((performance.now() - before) / 1000)
      before = performance.now()
      addBatch(totals, result)
      heard ||= result.interrupted === true
      const average = averages(totals)
      const line = `Test: [${countOf(step, steps)}] ${progressLine(times, result, average)}`
      progress.update(step + 1, shortNote(average), step % printFreq === 0 ? line : undefined)
      step++
    }
    progress.end()
    if (interrupt && (replicas ? await replicas.any(interrupt.requested) : interrupt.requested)) return null
    const result = averages(totals)
    console.log(validationLine(result))
    this.#writeMetrics('val', epoch, step, result, times.batch)
    return result
  }

  /** Batches of a loader as the loops take them; notes how long each was waited for. */
  async *#samples(
    loader: Loader,
    epoch: number,
    waited: Stopwatch,
    options: { fromStep: number; stopped: () => boolean },
  ): AsyncGenerator<Samples> {
    const cached = this.#features.get(loader)
    let before = performance.now()
    const whole = cached?.epoch(epoch, options)
    const parts = whole && this.#replicas ? this.#replicas.partsOf(whole) : whole
    for await (const samples of parts ?? imageEpoch(loader, epoch, options)) {
      waited.add((performance.now() - before) / 1000)
      yield samples
      before = performance.now()
    }
  }

  #writeMetrics(phase: 'train' | 'val', epoch: number, step: number, average: Averages, time: Stopwatch): void {
    const images = this.#options.batchSize / time.average
    this.#log?.write({ phase, epoch, step, ...average, lr: this.#optimizer.lr, images_per_s: images })
  }

  get #parts(): RunParts {
    return { model: this.#model, optimizer: this.#optimizer, scheduler: this.#schedule }
  }

  /** Counts a step that was taken. */
  #count(result: BatchResult): void {
    this.#taken.shift()
    addBatch(this.#state.totals, result)
    this.#state.globalStep++
    this.#state.step++
  }

  /** Whether the run's files are this process's to write. */
  get #ownsFiles(): boolean {
    return !this.#replicas?.comm.rank
  }

  async #save(best: boolean): Promise<string> {
    if (!this.#ownsFiles) return ''
    const { classes } = this.#trainLoader.source
    const contents = { state: this.#state, options: this.#options, parts: this.#parts, classes, best }
    return saveRunCheckpoint(this.#options.output, contents)
  }

  /** Saves where the run is and says how to go on. A run that left in a validation begins that anew. */
  async #leave(): Promise<number> {
    const { epoch, step } = this.#state
    const file = await this.#save(false)
    console.log(`interrupted: epoch ${epoch}, step ${step} saved; go on with --resume ${file}`)
    return INTERRUPTED
  }

  /** When another rank ends the run: saves it as the last step that all took has left it. */
  async #rescue(): Promise<void> {
    if (!this.#ownsFiles) return
    this.#device.dropKeptBack()
    while (this.#taken.length > 0) this.#count(this.#taken[0])
    const { epoch, step } = this.#state
    console.error(`epoch ${epoch}, step ${step} saved; go on with --resume ${await this.#save(false)}`)
  }

  async #summarize(last: Averages | null): Promise<void> {
    const { output } = this.#options
    const memory = memoryOf(this.#device)
    const own = [...this.#trainLoader.skipped, ...this.#valLoader.skipped]
    const skipped = this.#replicas ? await this.#replicas.together(own) : own
    if (!this.#ownsFiles) return
    if (skipped.length > 0)
      console.log(`${skipped.length} files that cannot be decoded were left out; summary.json lists them`)
    const summary = {
      epochs: this.#state.epoch,
      best_acc1: this.#state.bestAcc1,
      last,
      options: this.#options,
      adapter: describeAdapter(this.#device),
      peak_gpu_bytes: memory.peakBytes,
      skipped: skipped.sort().map(([file, reason]) => ({ file, reason })),
    }
    writeFileAtomic(join(output, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`)
  }
}

const shortNote = ({ loss, acc1 }: Averages): string => `loss ${loss.toFixed(3)} acc@1 ${acc1.toFixed(2)}`
