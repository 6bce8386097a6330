/** `npm run third-party`: writes THIRD_PARTY.md anew. */
import { writeFileSync } from 'node:fs'
import { thirdParty } from './third_party.ts'

writeFileSync('THIRD_PARTY.md', thirdParty())
