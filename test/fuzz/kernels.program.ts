/**
 * `npm run fuzz -- [--budget SECONDS] [--seed N] [--filter NAME] [--case JSON]`: draws cases for every variant of every
 * kernel, or of those whose name contains NAME, until the time is up, and prints what is wrong, with the command that
 * shows it again. Exit status 1 where something is. Not a test itself; kernels.test.ts is, of a few cases.
 */
import { parseArgs } from 'node:util'
import { closeDevice, testDevice } from '../device.ts'
import { checkCase, fault } from './fuzz.ts'
import { subjects } from './kernels.ts'

const { values } = parseArgs({
  options: {
    budget: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
    filter: { type: 'string', default: '' },
    case: { type: 'string' },
  },
})

/** Cases of a variant before it is the next one's turn. */
const ROUND = 20

const device = await testDevice()
const open = new Set(subjects(device, values.filter))
if (open.size === 0) throw new Error(`nothing to fuzz is called '${values.filter}'`)

if (values.case !== undefined)
  for (const { name, family, variant } of open) {
    await checkCase(device, family, variant, JSON.parse(values.case))
    console.log(`${name}: right`)
  }
else {
  const end = Date.now() + 1000 * Number(values.budget)
  console.log(`seed ${values.seed}, ${open.size} variants`)
  let rounds = 0
  for (; Date.now() < end && open.size > 0; rounds++)
    for (const subject of open) {
      if (Date.now() >= end) break
      // A variant that is wrong once is not asked again.
      const budget = { seed: Number(values.seed) + rounds, runs: ROUND }
      const message = await fault(device, subject.family, subject.variant, budget)
      if (message === null) continue
      console.error(message)
      process.exitCode = 1
      open.delete(subject)
    }
  console.log(`${rounds} rounds of ${ROUND} cases for each variant`)
}
await closeDevice()
