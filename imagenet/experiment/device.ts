/** The GPU device that an experiment works on: a new one after a failure. */
import { type Device, GpuError } from '../../engine/index.ts'
import { type RecoveryOptions, recovering } from '../run/recovery.ts'

export class ExperimentDevice {
  readonly #open: () => Promise<Device>
  #device: Device | null = null

  /** @param open called once, and again whenever the device before has failed */
  constructor(open: () => Promise<Device>) {
    this.#open = open
  }

  /** The device in use; opens one where there is none. */
  async open(): Promise<Device> {
    return (this.#device ??= await this.#open())
  }

  /**
   * Does some work, again and again while the device is lost in it; it goes on from what it has saved.
   * @param work calls `saved` with each file it could go on from
   * @throws GpuError as `recovering` does; what is done next gets another device, since one that failed stays so
   */
  recovering<T>(
    work: (device: Device, saved: (file: string) => void) => Promise<T>,
    options?: RecoveryOptions,
  ): Promise<T> {
    return recovering(async (_, saved) => {
      const device = await this.open()
      try {
        return await work(device, saved)
      } catch (error) {
        if (error instanceof GpuError) this.close()
        throw error
      }
    }, options)
  }

  close(): void {
    this.#device?.destroy()
    this.#device = null
  }
}
