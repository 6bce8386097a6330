#!/usr/bin/env node
/** `node bin/predict.js`: what a network says of images. */
import { Command, Option } from 'commander'
import {
  adapterLine,
  type Classifier,
  DEFAULTS,
  describeAdapter,
  listImages,
  type Outcome,
  openClassifier,
  openDevice,
  type Prediction,
  parseCount,
  parseHeadNoise,
  predict,
  printable,
  publishedWeights,
  runCommand,
  UsageError,
} from '../imagenet/index.ts'
import { archs, type HeadNoise, type ResNetName, resnetNames } from '../nn/index.ts'

interface Options {
  weights?: string
  base?: ResNetName
  topk: number
  samples?: number
  evalHead?: HeadNoise
  seed: number
  imageSize?: number
  batchSize: number
  workers: number
  json?: true
  gpu?: string
}

const count = (option: string, least?: number) => (text: string) => parseCount(option, text, least)

const command = new Command('predict')
  .description('Names what images show: the most probable classes of a network, and how sure it is.')
  .argument('<IMAGE...>', 'JPEG or PNG files, or folders of them')
  .option('--weights <FILE>', `a checkpoint, or torchvision's weights (without it: those that it publishes for --base)`)
  .addOption(new Option('--base <name>', 'what the weights are of (as the file says)').choices([...resnetNames]))
  .option('--topk <n>', 'classes to name', count('--topk'), 5)
  .option(
    '--samples <n>',
    'passes under random masks: their mean, their spread, and what they disagree on',
    count('--samples'),
  )
  .option(
    '--eval-head <noise>',
    'kakuritsu:P, dropout:P or plain (with --samples as trained, else plain)',
    parseHeadNoise,
  )
  .option('--seed <n>', 'of the masks', count('--seed', 0), 0)
  .option('--image-size <n>', 'pixels a side (as trained; 224)', count('--image-size'))
  .option('-b, --batch-size <n>', 'images at a time', count('--batch-size'), 16)
  .option('-j, --workers <n>', 'threads that read images', count('--workers', 0), 4)
  .option('--json', 'prints a line of JSON an image')
  .option('--gpu <which>', 'number of an adapter, or a part of its name')
  .action(async (paths: string[], options: Options) => {
    const files = listImages(paths)
    const { base, seed, topk, batchSize, workers, samples = 1, imageSize, gpu } = options
    const weights = options.weights ?? (await publishedWeights(base ?? DEFAULTS.base))
    const classifier = await openClassifier(weights, { base, seed })
    classifier.setNoise(noiseFor(classifier, options))
    if (imageSize !== undefined) classifier.recipe.imageSize = imageSize
    const device = await openDevice({ gpu })
    try {
      classifier.place(device)
      console.error(adapterLine(describeAdapter(device)))
      const asked = { batchSize, workers, passes: samples, topk }
      for await (const outcome of predict(device, classifier, files, asked)) {
        if ('error' in outcome) {
          console.error(`predict: cannot decode ${outcome.file}: ${outcome.error}`)
          process.exitCode = 1
        }
        if (options.json) console.log(JSON.stringify(asJson(outcome, classifier, samples)))
        else if ('prediction' in outcome) console.log(asTable(outcome.file, outcome.prediction, classifier, samples))
      }
    } finally {
      device.destroy()
    }
  })

/** How the head is asked: with `--samples` as it was trained, else without noise, unless `--eval-head` says how. */
function noiseFor({ hasHead, arch }: Classifier, { samples, evalHead }: Options): HeadNoise | null {
  if (!hasHead && (evalHead || samples !== undefined))
    throw new UsageError(
      `--${evalHead ? 'eval-head' : 'samples'} is for heads (${archs.join(', ')}): these weights have a plain last layer`,
    )
  const noisy = evalHead ? evalHead.kind !== 'plain' : arch === 'Kakuritsu' || arch === 'Dropout'
  if (samples !== undefined && !noisy)
    throw new UsageError('--samples wants noise, which this head has not: add --eval-head kakuritsu:0.5')
  return evalHead ?? (samples === undefined ? { kind: 'plain' } : null)
}

function asJson(outcome: Outcome, { classes }: Classifier, samples: number): object {
  if ('error' in outcome) return outcome
  const { top, entropy, mutualInformation } = outcome.prediction
  const answers = top.map(({ class: label, probability, std }) => ({
    class: label,
    name: classes[label],
    probability,
    ...(std === null ? {} : { std }),
  }))
  const doubt = mutualInformation === null ? {} : { mutual_information: mutualInformation }
  return { file: outcome.file, samples, top: answers, entropy, ...doubt }
}

function asTable(
  file: string,
  { top, entropy, mutualInformation }: Prediction,
  { classes }: Classifier,
  samples: number,
): string {
  const nameOf = (label: number) => printable(classes[label])
  const width = Math.max(...top.map(({ class: label }) => nameOf(label).length))
  const percent = (share: number, digits: number) => (100 * share).toFixed(2).padStart(digits)
  const lines = top.map(({ class: label, probability, std }) => {
    const spread = std === null ? '' : ` ± ${percent(std, 5)}`
    return `  ${nameOf(label).padEnd(width)}  ${percent(probability, 6)} %${spread}`
  })
  const doubt =
    mutualInformation === null
      ? ''
      : `, ${mutualInformation.toFixed(2)} of it between the ${samples} passes: the network's own`
  return [file, ...lines, `  entropy ${entropy.toFixed(2)} nats${doubt}`].join('\n')
}

await runCommand(command)
