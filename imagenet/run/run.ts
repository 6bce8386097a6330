/** One run: a base under a head, trained epoch by epoch and validated after each, or only evaluated. */
import { join } from 'node:path'
import { GpuError } from '../../engine/index.ts'
import { DivergedError } from '../errors.ts'
import { RankFailure } from '../parallel/communicator.ts'
import { Interrupt } from './interrupt.ts'
import { type Averages, noTotals } from './metrics.ts'
import { StepProfile } from './profile.ts'
import { RunFiles } from './run_files.ts'
import { Session, type SessionOptions } from './session.ts'
import { trainEpoch } from './training.ts'
import { validate } from './validation.ts'

export class Run {
  readonly #session: Session

  /** @throws UsageError when weights or checkpoint do not fit the network */
  constructor(options: SessionOptions) {
    this.#session = new Session(options)
  }

  /** Trains to the last epoch, validating and saving after each. Returns the exit status. */
  async train(): Promise<number> {
    const session = this.#session
    const { device, options, replicas, schedule } = session
    const files = await this.#start()
    const { profile: steps } = options
    let profile =
      steps !== undefined && session.ownsFiles
        ? new StepProfile(device, steps, join(options.output, 'trace.json'))
        : null
    const interrupt = replicas?.listen() ?? new Interrupt()
    const asked = () => (replicas ? replicas.any(interrupt.requested) : interrupt.requested)
    let last: Averages | null = null
    try {
      while (session.state.epoch < options.epochs) {
        await trainEpoch(session, files, interrupt, profile)
        profile = null // of the first epoch's first steps
        if (await asked()) return await this.#leave(files, interrupt)
        last = await validate(session, files, interrupt)
        if (!last) return await this.#leave(files, interrupt)
        const { state } = session
        const best = last.acc1 > state.bestAcc1
        if (best) state.bestAcc1 = last.acc1
        schedule.step()
        Object.assign(state, { epoch: state.epoch + 1, step: 0, totals: noTotals() })
        await files.save(best)
        if (await asked()) return await this.#leave(files, interrupt)
      }
    } catch (error) {
      await this.#rescue(files, error)
      throw error
    } finally {
      interrupt.close()
    }
    await files.summarize(last)
    return 0
  }

  /** Validates once. Returns the exit status. */
  async evaluate(): Promise<number> {
    const files = await this.#start()
    await files.summarize(await validate(this.#session, files))
    return 0
  }

  async close(): Promise<void> {
    await this.#session.batches.close()
  }

  async #start(): Promise<RunFiles> {
    const session = this.#session
    const { replicas, options, optimizer, schedule, batches } = session
    const { output, seed, arch, base, pretrained, resume, microBatch, batchSize, freezeBn, cacheFeatures } = options
    if (replicas && (pretrained !== undefined || resume !== undefined))
      session.state = await replicas.shareRun(optimizer, schedule, session.state)
    const files = new RunFiles(session)
    if (microBatch !== undefined && microBatch < batchSize && !freezeBn)
      console.log(`BatchNorm normalises each micro-batch of ${microBatch} by itself`)
    const { train, val } = batches
    console.log(
      `${base} under ${arch}, ${train.source.classes.length} classes, ${train.length} training and ${val.length} validation images, seed ${seed}, files in ${output}`,
    )
    if (cacheFeatures !== undefined)
      await batches.cacheFeatures(session.device, session.model.base.eval(), cacheFeatures)
    return files
  }

  /** Saves where the run is and says how to go on. A run that left in a validation begins that anew. */
  async #leave(files: RunFiles, interrupt: Interrupt): Promise<number> {
    const { epoch, step } = this.#session.state
    const file = await files.save()
    console.log(`interrupted: epoch ${epoch}, step ${step} saved; go on with --resume ${file}`)
    return interrupt.status
  }

  /** Saves a run that failed where what failed has left its state whole, and says what there is to go on from. */
  async #rescue(files: RunFiles, error: unknown): Promise<void> {
    const session = this.#session
    const ofRank = error instanceof RankFailure
    if (!session.ownsFiles || error instanceof GpuError || error instanceof DivergedError) return
    // Steps of several ranks need all of them.
    if (session.replicas && !ofRank) return
    if (ofRank) session.device.dropKeptBack()
    else await session.settled
    session.countTaken()
    const { epoch, step } = session.state
    try {
      console.error(`epoch ${epoch}, step ${step} saved; go on with --resume ${await files.save()}`)
    } catch (unsaved) {
      if (files.last) console.error(`the last checkpoint is ${files.last}`)
      if ((unsaved as Error).message !== (error as Error).message) console.error((unsaved as Error).message)
    }
  }
}
