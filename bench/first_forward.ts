/**
 * A process of its own, run by start.ts: seconds of its first ResNet-152 forward, pipelines and all, and of its second,
 * as a line of JSON. The network and its image are those that the jobs check.
 */
import { noGrad, scope } from '../engine/index.ts'
import { openDevice } from '../imagenet/index.ts'
import { recordedNetwork } from './network.ts'
import { Workbench } from './work.ts'

const device = await openDevice({ gpu: process.argv[2] })
const { net } = recordedNetwork(device)
net.eval()
const { tensor: image } = new Workbench(device).random('image', [1, 224, 224, 3])
await device.idle()

async function forward(): Promise<{ seconds: number; logits: Float32Array }> {
  const start = performance.now()
  const logits = await scope(() => noGrad(() => net.call(image).read()))
  return { seconds: (performance.now() - start) / 1000, logits }
}

const [first, second] = [await forward(), await forward()]
if (first.logits.some((value, k) => value !== second.logits[k])) throw new Error('two forwards of one image differ')
console.log(JSON.stringify({ first: first.seconds, second: second.seconds }))
device.destroy()
