#!/usr/bin/env node
/** `node bin/experiment.js` (and `npm start`): the experiment on MNIST, its nine rows beside the published ones. */
import { join } from 'node:path'
import { Command, Option } from 'commander'
import {
  adapterLine,
  describeAdapter,
  describeNoise,
  EXPERIMENT_DEFAULTS,
  type ExperimentOptions,
  type ExperimentResult,
  openDevice,
  parseCount,
  runCommand,
  runExperiment,
} from '../imagenet/index.ts'
import { resnetNames } from '../nn/index.ts'

const count = (option: string, least?: number) => (text: string) => parseCount(option, text, least)
const { steps, batchSize, trainImages, valImages, epochs, seed } = EXPERIMENT_DEFAULTS

const command = new Command('experiment')
  .description(
    'Trains a base on MNIST from zero, then heads K, D and W on its features, and evaluates each in every way.',
  )
  .addOption(
    new Option('--base <name>', 'network under the heads (resnet18; resnet152 on a GPU)').choices([...resnetNames]),
  )
  .option('--steps <n>', `steps of the base's training`, count('--steps'), steps)
  .option('-b, --batch-size <n>', 'images a step', count('--batch-size'), batchSize)
  .option('--train-images <n>', 'images that the heads are trained on', count('--train-images'), trainImages)
  .option('--val-images <n>', 'images that all is evaluated on', count('--val-images'), valImages)
  .option('--epochs <n>', 'epochs of each head', count('--epochs'), epochs)
  .option('--seed <n>', 'of weights, order and masks', count('--seed', 0), seed)
  .option('--gpu <which>', 'number of an adapter, or a part of its name')
  .option('--output <DIR>', 'folder for the files', join('runs', 'mnist'))
  .action(async ({ gpu, ...options }: ExperimentOptions & { gpu?: string }) => {
    const start = performance.now()
    const device = await openDevice({ gpu })
    try {
      console.log(adapterLine(describeAdapter(device)))
      const result = await runExperiment(device, options)
      printResult(result, (performance.now() - start) / 1000)
    } finally {
      device.destroy()
    }
  })

function printResult({ base, baseAcc1, rows, files }: ExperimentResult, seconds: number): void {
  console.log(`\n${base}, trained from zero on MNIST: Acc@1 ${baseAcc1.toFixed(2)}\n`)
  console.log('                                      MNIST, this run     ImageNet, published')
  console.log('trained     evaluated                 Acc@1    Acc@5        Acc@1    Acc@5')
  for (const { trained, evaluated, measured, published } of rows) {
    const numbers = [measured.acc1, measured.acc5, published.acc1, published.acc5].map((x) => x.toFixed(2).padStart(6))
    const [acc1, acc5, published1, published5] = numbers
    const names = `${trained.padEnd(11)} ${describeNoise(evaluated).padEnd(24)}`
    console.log(`${names} ${acc1}   ${acc5}       ${published1}   ${published5}`)
  }
  console.log(`\n${Math.round(seconds)} s. Files:`)
  for (const file of files) console.log(`  ${file}`)
  console.log(`
Next:
  node bin/train.js --dummy --base resnet18 --limit-train 640 --limit-val 128 --epochs 1    made-up images, no download
  node bin/train.js mnist --base resnet18 --image-size 32 --lr 0.05 --epochs 1              all of MNIST, from zero
  node bin/train.js IMAGES --pretrained resnet152.safetensors                               your images, in train/ and val/
  node bin/train.js --help`)
}

await runCommand(command)
