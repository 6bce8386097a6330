/**
 * How often Dawn asks its driver whether what is awaited has happened. Under Node it asks in each turn of the event loop,
 * and has `setImmediate`, which it looks up in `globalThis` each time, turn that at once: one core does nothing else as
 * long as anything is awaited. Where the GPU is the CPU, that core is the driver's: on 2 cores, with other work beside it,
 * ten products of 1024³ were measured to take 1.6 times as long.
 */

/** Milliseconds between two questions: short beside a step, long beside a question. */
const PAUSE = 1

let gentle = false

/** Has Dawn ask once in PAUSE, from now on. What JavaScript gives to setImmediate is called as before. */
export function pollGently(): void {
  if (gentle) return
  gentle = true
  const immediate = globalThis.setImmediate
  const patient = (callback: (...args: unknown[]) => void, ...args: unknown[]) =>
    isNative(callback) ? setTimeout(callback, PAUSE, ...args) : immediate(callback, ...args)
  // util.promisify looks for its own version among the properties.
  globalThis.setImmediate = Object.defineProperties(
    patient,
    Object.getOwnPropertyDescriptors(immediate),
  ) as unknown as typeof setImmediate
}

/** Whether a function is an addon's. A bound one shows no source either, but has a name. */
const isNative = (callback: { name: string }): boolean =>
  callback.name === '' && Function.prototype.toString.call(callback).includes('[native code]')
