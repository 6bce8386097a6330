/**
 * `npm run soak`: many training steps of a head on features and of a small ResNet on images, a checkpoint each hundred. GPU
 * memory, tensors, the process's memory and its open files must stay as they are, and the steps as fast: exit status 1
 * says that they did not.
 */
import { Command } from 'commander'
import { adapterLine, describeAdapter, openDevice, parseCount, runCommand } from '../imagenet/index.ts'
import { soakHead, soakNetwork } from './soaks.ts'
import { type Sample, unsteady } from './steady.ts'

/** Lines that are printed of a run. */
const LINES = 10

const count = (option: string) => (text: string) => parseCount(option, text, 0)

const command = new Command('soak')
  .description('Trains for many steps and says whether memory, files and the time of a step stay as they are.')
  .option('--head-steps <n>', 'steps of a head on features', count('--head-steps'), 20_000)
  .option('--steps <n>', 'steps of a whole ResNet-18', count('--steps'), 300)
  .option('--gpu <which>', 'number of an adapter, or a part of its name')
  .action(async ({ headSteps, steps, gpu }: { headSteps: number; steps: number; gpu?: string }) => {
    const device = await openDevice({ gpu })
    console.log(adapterLine(describeAdapter(device)))
    try {
      if (headSteps > 0) report(`${headSteps} steps of a head`, await soakHead(device, headSteps))
      if (steps > 0) report(`${steps} steps of ResNet-18`, await soakNetwork(device, steps))
    } finally {
      device.destroy()
    }
  })

function report(what: string, samples: readonly Sample[]): void {
  console.log(`\n${what}\n    step   GPU MiB  tensors   RSS MiB  files   ms a step`)
  const stride = Math.ceil(samples.length / LINES)
  const shown = samples.filter((_, i) => i % stride === 0 || i === samples.length - 1)
  for (const { step, gpuBytes, tensors, rss, files, stepTime } of shown)
    console.log(
      `${String(step).padStart(8)}${mebibytes(gpuBytes).padStart(10)}${String(tensors).padStart(9)}${mebibytes(rss).padStart(10)}${String(files ?? '–').padStart(7)}${stepTime.toFixed(2).padStart(12)}`,
    )
  const found = unsteady(samples)
  for (const line of found) console.log(`not steady: ${line}`)
  if (found.length > 0) process.exitCode = 1
  else console.log('steady')
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)

await runCommand(command)
