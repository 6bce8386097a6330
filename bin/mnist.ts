#!/usr/bin/env node
/**
 * The original's MNIST demonstration, and the shortest example of this package: a small convolutional network whose
 * last two layers are Kakuritsu layers (p = 0.5 in training, 1 in testing), or plain linear ones with `plain`.
 *
 *     node bin/mnist.js [kakuritsu|plain] [EPOCHS] [IMAGES]
 */
import { backward, logSoftmax, nllLoss, noGrad, relu, scope, Tensor, topkCorrect } from '../engine/index.ts'
import { imageSamples, Loader, openDevice, openMnist } from '../imagenet/index.ts'
import {
  Adadelta,
  Conv2d,
  Flatten,
  Generator,
  KakuritsuLinear,
  Linear,
  MaxPool2d,
  Module,
  pipe,
  StepLR,
  uniform,
} from '../nn/index.ts'

const [kind = 'kakuritsu', epochs = '14', images = '60000'] = process.argv.slice(2)
const generator = new Generator(0)

/** [N, 28, 28, 1] → log-probabilities [N, 10]. */
class Net extends Module {
  conv1 = new Conv2d(1, 32, 3)
  conv2 = new Conv2d(32, 64, 3)
  pool = new MaxPool2d(2)
  flatten = new Flatten()
  li1 = synapses(9216, 128)
  li2 = synapses(128, 10)

  override forward(x: Tensor): Tensor {
    return pipe(x, this.conv1, relu, this.conv2, relu, this.pool, this.flatten, this.li1, relu, this.li2, logSoftmax)
  }
}

function synapses(inFeatures: number, outFeatures: number): Module {
  if (kind === 'kakuritsu') return new KakuritsuLinear(inFeatures, outFeatures, { p: 0.5, evalP: 1, generator })
  const layer = new Linear(inFeatures, outFeatures, { bias: false })
  layer.weight.init = uniform(0.1)
  return layer
}

const device = await openDevice()
const net = new Net().to(device)
const optimizer = new Adadelta(net.parameters(), { lr: 1 })
const schedule = new StepLR(optimizer, 1, 0.7)
const { train, val } = openMnist()
const options = { imageSize: 28, transform: 'none', seed: 0, workers: 0 } as const
const trainLoader = new Loader(train, { ...options, batchSize: 64, shuffle: true, limit: Number(images) })
const valLoader = new Loader(val, { ...options, batchSize: 500, shuffle: false, limit: Number(images) })

let step = 0
for (let epoch = 0; epoch < Number(epochs); epoch++) {
  net.train()
  for await (const batch of trainLoader.epoch(epoch)) {
    generator.moveTo({ step: step++ })
    const { input, labels } = imageSamples(batch, train)
    const loss = scope(() => {
      optimizer.zeroGrad()
      const loss = nllLoss(net.call(input(device, 0, batch.size)), Tensor.from(device, labels))
      backward(loss)
      optimizer.step()
      return loss.item()
    })
    if (step % 10 === 0) console.log(`epoch ${epoch} step ${step} loss ${(await loss).toFixed(4)}`)
  }
  schedule.step()

  net.eval()
  let correct = 0
  for await (const batch of valLoader.epoch(0)) {
    const { input, labels } = imageSamples(batch, val)
    const count = scope(() =>
      noGrad(() => topkCorrect(net.call(input(device, 0, batch.size)), Tensor.from(device, labels), [1]).item()),
    )
    correct += await count
  }
  console.log(`epoch ${epoch} accuracy ${((100 * correct) / valLoader.length).toFixed(2)} %`)
}
device.destroy()
