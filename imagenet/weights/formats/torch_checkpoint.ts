/**
 * Checkpoints as PyTorch's scripts save them, which is how the original research code does: a dict of epoch, arch,
 * state_dict, best_acc1, optimizer (torch.optim.SGD) and scheduler (StepLR). What only this project's have, such as the
 * seed, stands beside it under its name, so that nothing is lost on the way there and back.
 */
import {
  type Checkpoint,
  CheckpointError,
  FileTensor,
  type SavedTensor,
  type SchedulerState,
} from '../../../nn/index.ts'
import { camelCase, snakeCase } from '../../../nn/names.ts'
import { OrderedDict, type Picklable, PyFloat } from './pickle.ts'

type Dict = ReadonlyMap<unknown, unknown>

/** Whether a pickle holds more than weights: enough to go on from. */
export const isTorchCheckpoint = (saved: Dict): boolean => saved.has('optimizer') && saved.has('epoch')

/**
 * @param saved what torch.load gives
 * @param model the state dict in it
 * @throws CheckpointError that names what is missing, or is of another kind than this project has
 */
export function readTorchCheckpoint(saved: Dict, model: ReadonlyMap<string, SavedTensor>): Checkpoint {
  const arch = text(saved, 'arch')
  const { count, groupSettings, initialLr, tensors } = readOptimizer(dict(saved, 'optimizer'))
  return {
    info: {
      ...(saved.has('base') && { base: text(saved, 'base') }),
      arch,
      epoch: number(saved, 'epoch'),
      step: optional(saved, 'step'),
      globalStep: optional(saved, 'global_step'),
      ...(saved.has('seed') && { seed: number(saved, 'seed') }),
      bestAcc1: optional(saved, 'best_acc1'),
      totals: saved.has('totals') ? numbers('totals', dict(saved, 'totals')) : {},
      options: saved.has('options')
        ? parseOptions(text(saved, 'options'))
        : { ...groupSettings, lr: initialLr, freeze: isHeadOnly(model, count) },
      ...(saved.has('classes') && { classes: names(saved, 'classes') }),
      ...(saved.has('classes') && { classes: texts(saved, 'classes') }),
    },
    model: new Map(model),
    optimizer: { name: 'SGD', settings: groupSettings, tensors },
    scheduler: readScheduler(dict(saved, 'scheduler')),
  }
}

/** torch.optim.lr_scheduler.StepLR's state_dict; the optimizer has the rate that it came to. */
function readScheduler(scheduler: Dict): SchedulerState {
  const field = (name: string) => number(scheduler, name, 'scheduler.')
  return { stepSize: field('step_size'), gamma: field('gamma'), lastEpoch: field('last_epoch') }
}

interface TorchOptimizer {
  /** Parameters that it trains. */
  count: number
  groupSettings: { lr: number; momentum: number; weightDecay: number }
  /** Before the schedule changed it. */
  initialLr: number
  tensors: Map<string, SavedTensor>
}

/** torch.optim.SGD's state_dict: what is kept of each parameter by its number, and groups of parameters with settings. */
function readOptimizer(optimizer: Dict): TorchOptimizer {
  const groups = optimizer.get('param_groups')
  const [group] = Array.isArray(groups) ? groups : []
  if (!(group instanceof Map)) throw new CheckpointError(`the checkpoint's optimizer has no param_groups`)
  const numbered: unknown[] = []
  for (const other of groups as unknown[]) {
    const params = other instanceof Map ? other.get('params') : null
    if (!(other instanceof Map) || !Array.isArray(params))
      throw new CheckpointError(`the checkpoint's optimizer has a group without params`)
    numbered.push(...params)
    for (const name of ['lr', 'momentum', 'weight_decay'])
      if (other.get(name) !== group.get(name))
        throw new CheckpointError(`the checkpoint's optimizer has groups of different ${name}; here all have one`)
    for (const name of ['dampening', 'nesterov', 'maximize'])
      if (other.get(name)) throw new CheckpointError(`the checkpoint's optimizer has ${name}, which this SGD has not`)
  }
  const setting = (name: string) => number(group, name, 'optimizer.param_groups.0.')
  const lr = setting('lr')
  return {
    count: numbered.length,
    groupSettings: { lr, momentum: setting('momentum'), weightDecay: setting('weight_decay') },
    initialLr: group.has('initial_lr') ? setting('initial_lr') : lr,
    tensors: momentumBuffers(dict(optimizer, 'state'), numbered),
  }
}

function momentumBuffers(state: Dict, numbered: readonly unknown[]): Map<string, SavedTensor> {
  const tensors = new Map<string, SavedTensor>()
  for (const [key, kept] of state) {
    const i = numbered.indexOf(key)
    const buffer = kept instanceof Map ? kept.get('momentum_buffer') : undefined
    if (i === -1) throw new CheckpointError(`the checkpoint's optimizer has a state of no parameter`)
    if (buffer instanceof FileTensor) tensors.set(`state.${i}.momentum_buffer`, buffer)
    else if (buffer !== null) throw new CheckpointError(`the checkpoint's optimizer is no SGD: no momentum_buffer`)
  }
  return tensors
}

/** Names of what no optimizer moves. */
const STATISTICS = /(^|\.)(running_mean|running_var|num_batches_tracked)$/

/** Whether the optimizer trained the head on a base that stays as it is, by how many parameters it has. */
function isHeadOnly(model: ReadonlyMap<string, SavedTensor>, count: number): boolean {
  const parameters = [...model.keys()].filter((name) => !STATISTICS.test(name))
  const head = parameters.filter((name) => name.startsWith('exp.'))
  if (count === parameters.length) return false
  if (count === head.length) return true
  throw new CheckpointError(
    `the checkpoint's optimizer has ${count} parameters, its network ${parameters.length} and its head ${head.length}`,
  )
}

/** What `writePth` takes, so that torch.load gives the original's dict. */
export function torchCheckpoint({ info, model, optimizer, scheduler }: Checkpoint): Picklable {
  if (optimizer.name !== 'SGD')
    throw new CheckpointError(`the checkpoint is of ${optimizer.name}; SGD can be converted`)
  const { base, arch, epoch, step, globalStep, seed, bestAcc1, totals, options, classes } = info
  const lr = new PyFloat(optimizer.settings.lr)
  const initialLr = new PyFloat(typeof options.lr === 'number' ? options.lr : optimizer.settings.lr)
  const buffers = [...optimizer.tensors].sort(([a], [b]) => numberOf(a) - numberOf(b))
  const group = new Map<string, Picklable>([
    ['lr', lr],
    ['momentum', new PyFloat(optimizer.settings.momentum)],
    ['dampening', 0],
    ['weight_decay', new PyFloat(optimizer.settings.weightDecay)],
    ['nesterov', false],
    ['maximize', false],
    ['foreach', null],
    ['differentiable', false],
    ['initial_lr', initialLr],
    ['params', buffers.map((_, i) => i)],
  ])
  const state = new Map(buffers.map(([, buffer], i) => [i, new Map([['momentum_buffer', buffer]])]))
  return new Map<string, Picklable>([
    ['epoch', epoch],
    ['arch', arch],
    ['state_dict', new OrderedDict(model)],
    // A tensor, as the original's is; of float64, so that it stays what it is.
    ['best_acc1', { dtype: 'F64', shape: [1], data: Float64Array.of(bestAcc1) }],
    [
      'optimizer',
      new Map<string, Picklable>([
        ['state', state],
        ['param_groups', [group]],
      ]),
    ],
    [
      'scheduler',
      new Map<string, Picklable>([
        ['step_size', scheduler.stepSize],
        ['gamma', new PyFloat(scheduler.gamma)],
        ['base_lrs', [initialLr]],
        ['last_epoch', scheduler.lastEpoch],
        ['verbose', false],
        ['_step_count', scheduler.lastEpoch + 1],
        ['_get_lr_called_within_step', false],
        ['_last_lr', [lr]],
      ]),
    ],
    ['step', step],
    ['global_step', globalStep],
    ['totals', new Map(Object.entries(totals).map(([name, sum]) => [snakeCase(name), sum]))],
    ['options', JSON.stringify(rename(snakeCase, options))],
    ...(classes === undefined ? [] : [['classes', [...classes]] as const]),
    ...(base === undefined ? [] : [['base', base] as const]),
    ...(seed === undefined ? [] : [['seed', seed] as const]),
    ...(classes === undefined ? [] : [['classes', classes] as const]),
  ])
}

/** 12 of `state.12.momentum_buffer` */
const numberOf = (name: string): number => Number(name.split('.')[1])

const rename = (to: (name: string) => string, values: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [to(name), value]))

/** Options are JSON in a file, as in the metadata of a safetensors file. */
function parseOptions(json: string): Record<string, unknown> {
  let options: unknown
  try {
    options = JSON.parse(json)
  } catch (error) {
    throw new CheckpointError(`the checkpoint's 'options' is not JSON: ${(error as Error).message}`)
  }
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new CheckpointError(`the checkpoint's 'options' is no object`)
  return rename(camelCase, options)
}

function dict(saved: Dict, key: string): Dict {
  const value = saved.get(key)
  return value instanceof Map ? value : wrong(key, value, 'dict')
}

function text(saved: Dict, key: string): string {
  const value = saved.get(key)
  return typeof value === 'string' ? value : wrong(key, value, 'string')
}

function texts(saved: Dict, key: string): string[] {
  const value = saved.get(key)
  return Array.isArray(value) && value.every((name) => typeof name === 'string')
    ? value
    : wrong(key, value, 'list of names')
}

function names(saved: Dict, key: string): string[] {
  const value = saved.get(key)
  return Array.isArray(value) && value.every((name) => typeof name === 'string')
    ? value
    : wrong(key, value, 'list of names')
}

/** A number, or a tensor of one, as the original's `best_acc1` is. @param path before the key, in a message */
function number(saved: Dict, key: string, path = ''): number {
  const value = saved.get(key)
  if (typeof value === 'number') return value
  if (value instanceof FileTensor && value.byteLength > 0 && value.shape.every((extent) => extent === 1))
    return Number(value.data[0])
  return wrong(path + key, value, 'number')
}

const optional = (saved: Dict, key: string): number => (saved.has(key) ? number(saved, key) : 0)

const numbers = (path: string, values: Dict): Record<string, number> =>
  Object.fromEntries([...values.keys()].map((key) => [camelCase(`${key}`), number(values, `${key}`, `${path}.`)]))

function wrong(key: string, value: unknown, wanted: string): never {
  throw new CheckpointError(
    value === undefined ? `the checkpoint has no '${key}'` : `the checkpoint's '${key}' is no ${wanted}`,
  )
}
