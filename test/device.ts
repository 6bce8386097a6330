/** The one device that all tests of a run share, so that each pipeline is compiled once. */
import type { Device } from '../engine/index.ts'
import { openDevice } from '../imagenet/gpu/open.ts'

let opened: Promise<Device> | null = null

export function testDevice(): Promise<Device> {
  return (opened ??= openDevice())
}

/** Lets the process end. */
export async function closeDevice(): Promise<void> {
  if (opened) (await opened).destroy()
}
