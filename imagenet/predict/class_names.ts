/** What a network's classes are called. */
import imagenetClasses from './imagenet_classes.json' with { type: 'json' }

/**
 * ILSVRC2012's 1000 classes in their order, each by the first of its names that no other class has: torchvision's
 * `_IMAGENET_CATEGORIES` (models/_meta.py).
 */
export const IMAGENET_CLASSES: readonly string[] = imagenetClasses

/** How ILSVRC2012's folders are named; sorted, they have its classes' order. */
const WORDNET_ID = /^n\d{8}$/

/**
 * @param recorded names in the checkpoint, if it has any
 * @returns a name a class; for a thousand classes of which nothing is known those of ImageNet, else numbers
 */
export function classNames(count: number, recorded?: readonly string[]): readonly string[] {
  if (recorded && !(count === IMAGENET_CLASSES.length && recorded.every((name) => WORDNET_ID.test(name))))
    return recorded
  if (count === IMAGENET_CLASSES.length) return IMAGENET_CLASSES
  return Array.from({ length: count }, (_, label) => `class ${label}`)
}
