/** Losses of a classifier, and how often it is right. Labels are u32 [N], each below the number of classes. */
import { record } from '../autograd.ts'
import type { Device } from '../device.ts'
import { ShapeError, show } from '../errors.ts'
import { Kernel, spread } from '../kernel.ts'
import countBelowSource from '../shaders/count_below.wgsl'
import crossEntropySource from '../shaders/cross_entropy.wgsl'
import crossEntropyBackwardSource from '../shaders/cross_entropy_backward.wgsl'
import labelRanksSource from '../shaders/label_ranks.wgsl'
import logSoftmaxSource from '../shaders/log_softmax.wgsl'
import logSoftmaxBackwardSource from '../shaders/log_softmax_backward.wgsl'
import meanSource from '../shaders/mean.wgsl'
import nllLossSource from '../shaders/nll_loss.wgsl'
import nllLossBackwardSource from '../shaders/nll_loss_backward.wgsl'
import numbersSource from '../shaders/numbers.wgsl'
import softmaxRowSource from '../shaders/softmax_row.wgsl'
import workgroupReduceSource from '../shaders/workgroup_reduce.wgsl'
import { empty, scope, type Tensor } from '../tensor.ts'

const rowPieces = [workgroupReduceSource, softmaxRowSource]
const crossEntropyKernel = new Kernel('cross_entropy', [...rowPieces, numbersSource, crossEntropySource])
const crossEntropyBackwardKernel = new Kernel('cross_entropy_backward', crossEntropyBackwardSource)
const logSoftmaxKernel = new Kernel('log_softmax', [...rowPieces, logSoftmaxSource])
const logSoftmaxBackwardKernel = new Kernel('log_softmax_backward', [workgroupReduceSource, logSoftmaxBackwardSource])
const nllLossKernel = new Kernel('nll_loss', [numbersSource, nllLossSource])
const nllLossBackwardKernel = new Kernel('nll_loss_backward', nllLossBackwardSource)
const meanKernel = new Kernel('mean', [workgroupReduceSource, meanSource])
const labelRanksKernel = new Kernel('label_ranks', [numbersSource, labelRanksSource])
const countBelowKernel = new Kernel('count_below', countBelowSource)

/** LANES of the shaders: threads of a workgroup, which makes one row or this many elements of one. */
const LANES = 64

/**
 * Softmax cross-entropy, the mean over rows of −log softmax(x)[label], as torch.nn.CrossEntropyLoss: a scalar. Any
 * NaN or +∞ among the logits, −∞ at a label, and a label that is no class make it NaN or infinite, never a wrong number.
 * @param x logits [N, K]
 * @param labels u32 [N]
 * @throws ShapeError when the shapes do not fit.
 */
export function crossEntropy(x: Tensor, labels: Tensor): Tensor {
  const params = rowsAndClasses('crossEntropy', x, labels)
  const { device } = x
  const [loss, normalisers] = scope(() => {
    const losses = empty(device, [params.rows])
    const normalisers = empty(device, [params.rows, 2])
    crossEntropyKernel.run(device, params, [x, labels, losses, normalisers], spread(device, params.rows, 1))
    return [mean(losses), normalisers]
  })
  return record('crossEntropy', loss, [x], [x, labels, normalisers], (dy) => {
    const dx = empty(device, x.shape)
    crossEntropyBackwardKernel.run(device, params, [x, labels, normalisers, dy, dx], elementwise(device, params))
    return [dx]
  })
}

/**
 * x − log Σ exp(x) along the classes, as torch.nn.functional.log_softmax(x, 1).
 * @param x logits [N, K]
 * @throws ShapeError when x is no matrix.
 */
export function logSoftmax(x: Tensor): Tensor {
  const params = rowsAndClasses('logSoftmax', x)
  const { device } = x
  const out = empty(device, x.shape)
  logSoftmaxKernel.run(device, params, [x, out], spread(device, params.rows, 1))
  return record('logSoftmax', out, [x], [out], (dy) => {
    const dx = empty(device, x.shape)
    logSoftmaxBackwardKernel.run(device, params, [out, dy, dx], spread(device, params.rows, 1))
    return [dx]
  })
}

/**
 * The mean over rows of −logp[label], as torch.nn.NLLLoss: a scalar; NaN when a label is no class.
 * @param logp log-probabilities [N, K]
 * @param labels u32 [N]
 * @throws ShapeError when the shapes do not fit.
 */
export function nllLoss(logp: Tensor, labels: Tensor): Tensor {
  const params = rowsAndClasses('nllLoss', logp, labels)
  const { device } = logp
  const loss = scope(() => {
    const losses = empty(device, [params.rows])
    nllLossKernel.run(device, params, [logp, labels, losses], spread(device, params.rows, LANES))
    return mean(losses)
  })
  return record('nllLoss', loss, [logp], [labels], (dy) => {
    const dx = empty(device, logp.shape)
    nllLossBackwardKernel.run(device, params, [labels, dy, dx], elementwise(device, params))
    return [dx]
  })
}

/**
 * For each k, the number of rows whose label is among the k greatest logits: u32 [ks.length], not recorded. Of equal
 * logits the lower class comes first (torch.topk leaves that open). NaN comes before every number, as in torch.topk, but
 * a label whose own logit is NaN is never right, nor is one that is no class.
 * @param logits [N, K]
 * @param labels u32 [N]
 * @throws ShapeError when the shapes do not fit.
 */
export function topkCorrect(logits: Tensor, labels: Tensor, ks: readonly number[]): Tensor {
  const params = rowsAndClasses('topkCorrect', logits, labels)
  const { device } = logits
  return scope(() => {
    const ranks = empty(device, [params.rows], 'u32')
    labelRanksKernel.run(device, params, [logits, labels, ranks], spread(device, params.rows, 1))
    const counts = empty(device, [ks.length], 'u32')
    ks.forEach((k, slot) => {
      // A rank equal to the number of classes marks a row that is never right, however many are asked for.
      const limit = Math.min(k, params.classes)
      countBelowKernel.run(device, { size: params.rows, limit, slot }, [ranks, counts], [1])
    })
    device.timer?.nameOp('topkCorrect')
    return counts
  })
}

/** The mean of all elements, a scalar, unrecorded. */
function mean(x: Tensor): Tensor {
  const out = empty(x.device, [])
  meanKernel.run(x.device, { size: x.size }, [x, out], [1])
  return out
}

function rowsAndClasses(op: string, x: Tensor, labels?: Tensor): { rows: number; classes: number } {
  if (x.shape.length !== 2 || x.size === 0) throw new ShapeError(`${op}: x must be [N, classes], not ${show(x.shape)}`)
  const [rows, classes] = x.shape
  if (labels && (labels.dtype !== 'u32' || labels.shape.length !== 1 || labels.size !== rows))
    throw new ShapeError(
      `${op}: x ${show(x.shape)} wants labels u32 [${rows}], given ${labels.dtype} ${show(labels.shape)}`,
    )
  return { rows, classes }
}

/** Rows over x and y; tiles of classes over z. */
function elementwise(device: Device, { rows, classes }: { rows: number; classes: number }): [number, number, number] {
  return [...spread(device, rows, 1), Math.ceil(classes / LANES)]
}
