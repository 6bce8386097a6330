#!/usr/bin/env node
/** `node bin/train.js`: trains or evaluates ResNet with a Kakuritsu, Dropout or White head. */
import { Command, Option } from 'commander'
import {
  DECODERS,
  DEFAULTS,
  DISTRIBUTED_DEFAULTS,
  distributedOptions,
  MOST,
  openDevice,
  PRECISIONS,
  PROFILING_TOGGLES_OFF,
  parseCount,
  parseHeadNoise,
  parseProbability,
  parseRate,
  remarks,
  requestOf,
  runCommand,
  trainDistributed,
} from '../imagenet/index.ts'
import { archs, resnetNames } from '../nn/index.ts'

const count = (option: string, least?: number, most?: number) => (text: string) => parseCount(option, text, least, most)
const rate = (option: string) => (text: string) => parseRate(option, text)

const command = new Command('train')
  .description('Trains ResNet with a head of two layers whose synapses fire with probability p, or evaluates it.')
  .argument('[DIR]', `an ImageFolder (train/<class>/*, val/<class>/*) of JPEG or PNG files, or 'mnist'`, DEFAULTS.dir)
  .optionsGroup('What to train:')
  .addOption(new Option('-a, --arch <name>', 'head').choices([...archs]).default(DEFAULTS.arch))
  .addOption(new Option('--base <name>', 'network under the head').choices([...resnetNames]).default(DEFAULTS.base))
  .option(
    '--p <p>',
    'probability that a synapse fires (Kakuritsu)',
    (text) => parseProbability('--p', text),
    DEFAULTS.p,
  )
  .addOption(
    new Option('--mask-gradient <mode>', 'gradient of a Kakuritsu layer: the original ignores the mask going back')
      .choices(['straight-through', 'exact'])
      .default(DEFAULTS.maskGradient),
  )
  .option(
    '--pretrained [FILE]',
    `the base's weights in torchvision's names (without FILE: those it publishes); trains the head only`,
  )
  .option('--freeze', 'train the head only, on a base of random weights')
  .option('--freeze-bn', `keep a frozen base's BatchNorm from using and tracking batch statistics`)
  .addOption(
    new Option('--precision <type>', 'of a frozen base; f16 halves its memory')
      .choices([...PRECISIONS])
      .default(DEFAULTS.precision),
  )
  .optionsGroup('How to train:')
  .option('--epochs <n>', 'epochs in all', count('--epochs', 0), DEFAULTS.epochs)
  .option('--start-epoch <n>', 'epoch to start at', count('--start-epoch', 0), DEFAULTS.startEpoch)
  .option('-b, --batch-size <n>', 'images a step', count('--batch-size'), DEFAULTS.batchSize)
  .option('--micro-batch <n>', 'images at a time, for batches that do not fit the memory', count('--micro-batch'))
  .option('--lr, --learning-rate <rate>', 'learning rate (0.01; 0.1 when the base is trained too)', rate('--lr'))
  .option('--momentum <m>', 'momentum of SGD', rate('--momentum'), DEFAULTS.momentum)
  .option('--wd, --weight-decay <w>', 'weight decay', rate('--weight-decay'), DEFAULTS.weightDecay)
  .option('--clip-grad-norm <max>', "the most that the gradient's norm may be", rate('--clip-grad-norm'))
  .option('--detect-anomaly', 'look at every output and gradient, and name the first that is not finite')
  .option('--seed <n>', 'makes runs repeat bit for bit on one adapter', count('--seed', 0))
  .option('--resume <FILE>', 'checkpoint to go on from; options not given are those of its run')
  .option('--save-every <steps>', 'steps between checkpoints within an epoch (every 10 minutes)', count('--save-every'))
  .option(
    '--keep <n>',
    'checkpoints kept, the newest and those before it',
    count('--keep', 1, MOST.keep),
    DEFAULTS.keep,
  )
  .optionsGroup('How to evaluate:')
  .option('-e, --evaluate', 'evaluate on the validation set, and end')
  .option('--switch', 'evaluate without noise: p = 1, dropout off (also -sw)')
  .option('--eval-head <noise>', 'evaluate with kakuritsu:P, dropout:P or plain in any head', parseHeadNoise)
  .optionsGroup('Images:')
  .option('--image-size <n>', 'pixels a side', count('--image-size', 1, MOST.imageSize), DEFAULTS.imageSize)
  .option('--dummy', 'made-up images in the number and size of ImageNet')
  .option('--limit-train <n>', 'use so many training images', count('--limit-train'))
  .option('--limit-val <n>', 'use so many validation images', count('--limit-val'))
  .option('-j, --workers <n>', 'threads that read images', count('--workers', 0, MOST.workers), DEFAULTS.workers)
  .addOption(
    new Option('--decoder <name>', 'what decodes JPEG files (auto: sharp where it is installed)')
      .choices(['auto', ...DECODERS])
      .default(DEFAULTS.decoder),
  )
  .addOption(
    new Option('--resize <where>', 'where images are resized, to the same pixels')
      .choices(['cpu', 'gpu'])
      .default(DEFAULTS.resize),
  )
  .option('--skip-corrupt', 'leave images that cannot be decoded out, and list them in summary.json')
  .option(
    '--cache-features <DIR>',
    `keep a frozen base's features there (with --freeze-bn), and compute the head alone`,
  )
  .option('--views <k>', 'augmentations of each training image, taken in turn epoch by epoch', count('--views'))
  .optionsGroup('Running:')
  .option('--gpu <which>', 'number of an adapter, or a part of its name')
  .option('--output <DIR>', 'folder for checkpoints, metrics.jsonl and summary.json (a new one under runs/)')
  .option(
    '--profile [STEPS]',
    'time the GPU by op and shader over some steps (5), and write a trace',
    count('--profile'),
  )
  .option('--debug', 'keep the checks that the GPU library makes of shaders')
  .option('-p, --print-freq <n>', 'steps between progress lines', count('--print-freq'), DEFAULTS.printFreq)
  .optionsGroup('Several processes (docs/parallel.md):')
  .option('--sync-bn', `join BatchNorm's statistics over all ranks while training`)
  .option('--multiprocessing-distributed', 'start mpirun with a process for each adapter')
  .option('--world-size <n>', 'hosts to start processes on; without --multiprocessing-distributed, processes in all')
  .option('--dist-url <hosts>', `hosts to start processes on (hostA,hostB); the scheduler's by default`)
  .addOption(
    new Option('--dist-backend <name>', 'what sums gradients: MPI, whichever').choices(['mpi', 'nccl', 'gloo']),
  )
  .option('--rank <n>', `this process's number, which MPI knows`)
  .option('--share-gpu <n>', 'ranks that may share an adapter', count('--share-gpu'), DISTRIBUTED_DEFAULTS.shareGpu)
  .option(
    '--rank-timeout <s>',
    'seconds after which a silent rank is lost',
    count('--rank-timeout'),
    DISTRIBUTED_DEFAULTS.rankTimeout,
  )
  .configureHelp({ optionTerm: (option) => (option.long === '--switch' ? '-sw, --switch' : option.flags) })
  .showHelpAfterError('(--help lists the options)')
  .action(async (dir: string, all: Record<string, unknown>) => {
    const {
      distributed,
      values: { debug, ...values },
    } = distributedOptions(all)
    const given = command.options.filter((option) => command.getOptionValueSource(option.attributeName()) === 'cli')
    const names = new Set(given.map((option) => option.attributeName()))
    const request = requestOf(values, names, command.args.length > 0 ? dir : undefined)
    const disabledToggles = request.options.profile === undefined ? [] : PROFILING_TOGGLES_OFF
    const here = { gpu: values.gpu as string | undefined, remarks: remarks(all) }
    process.exitCode = await trainDistributed(request, distributed, here, (options) =>
      openDevice({ ...options, fast: debug !== true, disabledToggles }),
    )
  })

// Commander knows no short option of two letters.
await runCommand(
  command,
  process.argv.map((argument) => (argument === '-sw' ? '--switch' : argument)),
)
