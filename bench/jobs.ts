/** Whole jobs: ResNet-152 forward and a training step of it, and a training step of each head. */

import { headGroups } from './heads.ts'
import { resnetGroups } from './resnets.ts'
import type { Family } from './work.ts'

export const jobsFamily: Family = {
  name: 'jobs',
  groups: (device) => [...resnetGroups(device), ...headGroups()],
}
