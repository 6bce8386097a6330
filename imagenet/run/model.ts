/** The network of the experiment: `base`, a ResNet without its last layer, under `exp`, a head of two layers. */
import type { Tensor } from '../../engine/index.ts'
import { type Generator, type Head, head, Module, type ResNet, resnet } from '../../nn/index.ts'
import type { TrainOptions } from './options.ts'

/** What a run trains: a head, and what makes its features [N, features] of images. */
export interface Network extends Module {
  readonly base: Module & { readonly features: number }
  readonly exp: Head
}

/** x: [N, H, W, 3] → logits [N, classes]. The names of its state are the original's: `base.*`, `exp.li1.weight`. */
export class ExperimentNet extends Module implements Network {
  readonly base: ResNet
  readonly exp: Head

  constructor(
    options: Pick<TrainOptions, 'arch' | 'base' | 'p' | 'maskGradient'>,
    classes: number,
    generator: Generator,
  ) {
    super()
    const { arch, p, maskGradient } = options
    this.base = resnet(options.base, { convOnly: true })
    // p is Kakuritsu's; the experiment's dropout is 0.5.
    const probability = arch === 'Kakuritsu' ? { p } : {}
    this.exp = head(arch, { features: this.base.features, classes, maskGradient, generator, ...probability })
  }

  override forward(x: Tensor): Tensor {
    return this.exp.call(this.base.call(x))
  }
}
