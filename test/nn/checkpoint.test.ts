import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { backward, crossEntropy, scope, Tensor } from '../../engine/index.ts'
import {
  CheckpointError,
  type CheckpointInfo,
  decodeCheckpoint,
  encodeCheckpoint,
  Generator,
  Head,
  Module,
  ResNet,
  readSafetensors,
  SGD,
  StepLR,
  writeSafetensors,
} from '../../nn/index.ts'
import { testDevice } from '../device.ts'

const device = await testDevice()
const test = suite('checkpoint')

class Net extends Module {
  readonly base = new ResNet({ block: 'bottleneck', layers: [1, 1, 1, 1], widthPerGroup: 8 }, { convOnly: true })
  readonly exp: Head

  constructor(generator: Generator) {
    super()
    this.exp = new Head('Kakuritsu', { features: this.base.features, hidden: 20, classes: 5, generator })
  }

  override forward(x: Tensor): Tensor {
    return this.exp.call(this.base.call(x))
  }
}

/** Everything that a run has. */
function makeRun(seed: number) {
  const generator = new Generator(7)
  const model = new Net(generator).to(device, { seed })
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 })
  const scheduler = new StepLR(optimizer, 1, 0.5)
  const step = (number: number) => {
    generator.moveTo({ step: number })
    scope(() => {
      const x = Float32Array.from({ length: 2 * 32 * 32 * 3 }, (_, i) => Math.sin(i * (number + 1)))
      optimizer.zeroGrad()
      const logits = model.call(Tensor.from(device, x, [2, 32, 32, 3]))
      backward(crossEntropy(logits, Tensor.from(device, Uint32Array.of(1, 4))))
      optimizer.step()
    })
  }
  return { model, optimizer, scheduler, step }
}

const info: CheckpointInfo = {
  base: 'resnet50',
  arch: 'Kakuritsu',
  epoch: 1,
  step: 3,
  globalStep: 13,
  seed: 2 ** 53 - 1,
  bestAcc1: 67.11,
  totals: { loss: NaN, correct1: 5 },
  options: { batchSize: 64, maskGradient: 'straight-through', output: 'runs/ü' },
}

const join = (pieces: Iterable<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat([...pieces]))

test('a run goes on from its checkpoint bit for bit', async () => {
  const run = makeRun(1)
  run.step(0)
  run.scheduler.step()
  const bytes = join(await encodeCheckpoint(info, run))
  run.step(1)

  const checkpoint = decodeCheckpoint(bytes)
  assert.equal(checkpoint.info, info)
  const resumed = makeRun(2)
  resumed.model.loadStateDict(checkpoint.model)
  resumed.optimizer.loadStateDict(checkpoint.optimizer)
  resumed.scheduler.loadStateDict(checkpoint.scheduler)
  assert.is(resumed.optimizer.lr, 0.005)
  resumed.step(1)
  assert.equal(await resumed.model.stateDict(), await run.model.stateDict())
  assert.equal(await resumed.optimizer.stateDict(), await run.optimizer.stateDict())
  assert.equal(resumed.scheduler.stateDict(), run.scheduler.stateDict())
})

test("has the original's names, and readable metadata", async () => {
  const { tensors, metadata } = readSafetensors(join(await encodeCheckpoint(info, makeRun(1))))
  assert.equal(tensors.get('base.layer4.0.conv2.weight')!.shape, [64, 64, 3, 3])
  assert.equal(tensors.get('base.bn1.num_batches_tracked')!.dtype, 'I64')
  assert.equal(tensors.get('exp.li1.weight')!.shape, [20, 2048])
  assert.equal(tensors.get('optimizer.state.0.momentum_buffer')!.shape, [64, 3, 7, 7])
  assert.equal(metadata, {
    format: 'pt',
    base: 'resnet50',
    arch: 'Kakuritsu',
    epoch: '1',
    step: '3',
    seed: '9007199254740991',
    best_acc1: '67.11',
    totals: '{"loss":null,"correct1":5}',
    random_state: '{"generator":"threefry4x32-13","seed":9007199254740991,"step":13}',
    optimizer: '{"name":"SGD","lr":0.01,"momentum":0.9,"weight_decay":0.0001}',
    scheduler: '{"step_size":1,"gamma":0.5,"last_epoch":0}',
    options: '{"batch_size":64,"mask_gradient":"straight-through","output":"runs/ü"}',
  })
})

test('refuses a file that is no checkpoint', async () => {
  const { tensors, metadata } = readSafetensors(join(await encodeCheckpoint(info, makeRun(1))))
  const broken: [change: Record<string, string | undefined>, message: RegExp][] = [
    [{ epoch: undefined }, /no checkpoint of this program: its metadata has no 'epoch'/],
    [{ epoch: '"1"' }, /'epoch' is no number/],
    [{ epoch: '1,' }, /'epoch' is not JSON/],
    [{ options: '[]' }, /'options' is no object/],
    [{ scheduler: '{"gamma":0.5}' }, /'scheduler\.step_size' is no number/],
    [{ random_state: '{"generator":"philox"}' }, /random numbers are by philox, not by threefry4x32-13/],
  ]
  for (const [change, message] of broken) {
    const kept = Object.entries({ ...metadata, ...change }).filter((entry) => entry[1] !== undefined)
    const bytes = join(writeSafetensors(tensors, Object.fromEntries(kept) as Record<string, string>))
    assert.throws(
      () => decodeCheckpoint(bytes),
      (error: Error) => error instanceof CheckpointError && message.test(error.message),
    )
  }
})

test.run()
