/**
 * `node dist/bench/loading.js FILE`: the memory that loading a ResNet takes, as a ratio to its file. FILE holds the
 * weights of one of torchvision's networks; its memory is that of the process, so on a software adapter, whose buffers
 * are the process's own, one copy of the weights is what stays.
 */
import { statSync } from 'node:fs'
import { Command } from 'commander'
import { adapterLine, describeAdapter, openDevice, openWeights, runCommand, UsageError } from '../imagenet/index.ts'
import { loadWeights, recognizeResNet, resnet } from '../nn/index.ts'

const MIB = 2 ** 20

/** The most memory that the process ever had, in MiB. */
const peak = (): number => process.resourceUsage().maxRSS / 1024

const command = new Command('loading').argument('<FILE>').action(async (file: string) => {
  const device = await openDevice()
  try {
    const weights = await openWeights(file)
    const name = recognizeResNet(weights.tensors)
    if (!name) throw new UsageError(`${file} holds the weights of no ResNet of torchvision`)
    const before = peak()
    const start = performance.now()
    const network = resnet(name, { convOnly: true })
    loadWeights(network, weights.tensors)
    network.to(device)
    weights.close()
    // One element read back: the writes before it are done.
    await network.layer1.parameters()[0].tensor.read()
    const seconds = (performance.now() - start) / 1000
    const size = statSync(file).size / MIB
    const taken = peak() - before
    console.log(adapterLine(describeAdapter(device)))
    console.log(
      `${name}, ${size.toFixed(0)} MiB: ${taken.toFixed(0)} MiB more at the peak, ${(taken / size).toFixed(2)} × the file, in ${seconds.toFixed(1)} s`,
    )
  } finally {
    device.destroy()
  }
})

await runCommand(command)
