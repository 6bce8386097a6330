#!/usr/bin/env node
/** `node bin/experiment.js` (and `npm start`): heads K, D and W from several seeds, evaluated in every way, and a report. */
import { Command, Option } from 'commander'
import {
  DECODERS,
  EXPERIMENT_DEFAULTS as DEFAULTS,
  type ExperimentOptions,
  experimentDistributed,
  openDevice,
  PRECISIONS,
  parseAblations,
  parseArchs,
  parseCount,
  parseProbabilities,
  parseRate,
  parseShard,
  runCommand,
} from '../imagenet/index.ts'
import { resnetNames } from '../nn/index.ts'

const count = (option: string, least?: number) => (text: string) => parseCount(option, text, least)
const rate = (option: string) => (text: string) => parseRate(option, text)

const command = new Command('experiment')
  .description(
    'Trains heads K, D and W on the features of a frozen base, evaluates each in every way of the published table, and reports. What is complete is not run again.',
  )
  .argument('[DIR]', `an ImageFolder (train/<class>/*, val/<class>/*) of JPEG or PNG files, or 'mnist'`, DEFAULTS.dir)
  .optionsGroup('What to compare:')
  .option('--archs <list>', 'heads: some of K, D, W', parseArchs, DEFAULTS.archs as ExperimentOptions['archs'])
  .option('--p <list>', 'probabilities that a synapse fires, in training (Kakuritsu)', parseProbabilities, DEFAULTS.p)
  .option('--seeds <n>', 'trained heads of each kind', count('--seeds'), DEFAULTS.seeds)
  .option('--seed <n>', 'the first of the seeds', count('--seed', 0), DEFAULTS.seed)
  .option('--ablate [list]', 'what to change, one at a time: gradient, logits, rescale, mask, p (all)')
  .option('--samples <n>', 'stochastic passes of an evaluation', count('--samples'), DEFAULTS.samples)
  .optionsGroup('How to train:')
  .option('--epochs <n>', 'epochs of each head (20; 5 on MNIST)', count('--epochs'))
  .option('-b, --batch-size <n>', 'images a step', count('--batch-size'), DEFAULTS.batchSize)
  .option('--lr, --learning-rate <rate>', 'learning rate of the heads', rate('--lr'), DEFAULTS.lr)
  .option('--momentum <m>', 'momentum of SGD', rate('--momentum'), DEFAULTS.momentum)
  .option('--wd, --weight-decay <w>', 'weight decay', rate('--weight-decay'), DEFAULTS.weightDecay)
  .optionsGroup('The base and its images:')
  .addOption(
    new Option('--base <name>', 'network under the heads (resnet152; for MNIST without a GPU resnet18)').choices([
      ...resnetNames,
    ]),
  )
  .option('--pretrained [FILE]', `the base's weights; without a file, torchvision's, downloaded when not there`)
  .option('--base-steps <n>', 'train the base from zero, in so many steps (MNIST: 100)', count('--base-steps'))
  .option('--image-size <n>', 'pixels a side (224; 32 on MNIST)', count('--image-size'))
  .option('--dummy', 'made-up images in the number and size of ImageNet', false)
  .option('--limit-train <n>', 'use so many training images (2000 on MNIST)', count('--limit-train'))
  .option('--limit-val <n>', 'use so many validation images (2000 on MNIST)', count('--limit-val'))
  .addOption(
    new Option('--precision <type>', 'of the frozen base; f16 halves its memory')
      .choices([...PRECISIONS])
      .default(DEFAULTS.precision),
  )
  .option('--views <k>', 'augmentations of each training image, taken in turn epoch by epoch (none)', count('--views'))
  .addOption(
    new Option('--decoder <name>', 'what decodes JPEG files (auto: sharp where it is installed)')
      .choices(['auto', ...DECODERS])
      .default(DEFAULTS.decoder),
  )
  .option('--skip-corrupt', 'leave out images that cannot be decoded', false)
  .option('-j, --workers <n>', 'threads that read images', count('--workers', 0), DEFAULTS.workers)
  .optionsGroup('Running:')
  .option('--dry-run', 'print the plan and an estimate of the time, and end')
  .option('--gpu <which>', 'number of an adapter, or a part of its name')
  .option('--debug', 'keep the checks that the GPU library makes of shaders')
  .option('--output <DIR>', 'folder for runs and report (runs/mnist, runs/experiment-<DIR>)')
  .option('--shard <I/N>', 'do every Nth run alone, from the Ith (0/4 to 3/4), for job arrays', parseShard)
  .option('--merge <DIR...>', 'take over the results of shards that had folders of their own')
  .option('--share-gpu <n>', 'ranks, under mpirun, that may share an adapter', count('--share-gpu'), 1)
  .showHelpAfterError('(--help lists the options)')
  .action(async (dir: string, { gpu, debug, dryRun, ablate, learningRate, shard, merge, shareGpu, ...values }) => {
    const options: ExperimentOptions = {
      ...DEFAULTS,
      ...values,
      dir,
      lr: learningRate,
      ablate: ablate === undefined ? DEFAULTS.ablate : parseAblations(ablate),
    }
    const command = ['node bin/experiment.js', ...process.argv.slice(2)].join(' ')
    const { status, report } = await experimentDistributed(
      options,
      { command, dryRun: dryRun === true, shard, merge },
      { gpu, shareGpu },
      (options) => openDevice({ ...options, fast: debug !== true }),
    )
    process.exitCode = status
    if (status === 0 && report && dir === 'mnist') printNext()
    if (report) console.log(`\nReport: ${report}`)
  })

function printNext(): void {
  console.log(`
Next:
  node bin/experiment.js --ablate --seeds 5                                                 what makes the difference
  node bin/train.js --dummy --base resnet18 --limit-train 640 --limit-val 128 --epochs 1    made-up images, no download
  node bin/train.js mnist --base resnet18 --image-size 32 --lr 0.05 --epochs 1              all of MNIST, from zero
  node bin/experiment.js IMAGES --pretrained                                                your images, in train/ and val/`)
}

await runCommand(command)
