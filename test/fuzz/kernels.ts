/** All there is to fuzz, by name. */
import type { Device } from '../../engine/index.ts'
import { imageFamilies } from './families/images.ts'
import { layerFamilies } from './families/layers.ts'
import { productFamilies } from './families/products.ts'
import { type Family, nameOf } from './fuzz.ts'
import type { Variant } from './variants.ts'

export interface Subject {
  name: string
  family: Family
  variant: Variant
}

export const families: readonly Family[] = [...productFamilies, ...imageFamilies, ...layerFamilies]

/** Every family under every variant that a device can run, of those whose name contains `filter`. */
export const subjects = (device: Device, filter = ''): Subject[] =>
  families
    .flatMap((family) => family.variants.map((variant) => ({ name: nameOf(family, variant), family, variant })))
    .filter(({ name, variant }) => name.includes(filter) && variant.able(device))
