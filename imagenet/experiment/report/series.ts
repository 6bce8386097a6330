/** Which heads share a plot, and how they are told apart. */
import { describeHead, isReference } from '../plan.ts'
import type { Results } from '../results.ts'
import { byHead } from '../summary.ts'
import { legend } from './figure.ts'

/**
 * The heads as published, K at every p; and, where something was changed, the changed ones beside the K and D that they
 * differ from. K and D come first, so that they look the same in every plot.
 */
export function seriesGroups({ runs }: Results): string[][] {
  const heads = byHead(runs).map(([run]) => run.spec)
  const names = (specs: typeof heads) => specs.map(describeHead)
  const references = heads.filter((spec) => isReference(spec, heads))
  const others = heads.filter((spec) => spec.variant === 'published' && !references.includes(spec))
  const changed = heads.filter(({ variant }) => variant !== 'published')
  const compared = references.filter(({ head }) => head.arch !== 'White')
  const groups = [names([...references, ...others])]
  if (changed.length > 0) groups.push(names([...compared, ...changed]))
  return groups.filter((group) => group.length > 0)
}

/** The plots of each group of heads under a legend of its own. */
export const perGroup = (results: Results, draw: (names: readonly string[]) => string): string =>
  seriesGroups(results)
    .map((names) => `${legend(names)}<div class="plots">${draw(names)}</div>`)
    .join('\n')
