import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { builtFile } from '../../imagenet/locate.ts'
import { removeFolder, temporaryFolder } from './pictures.ts'

const locate = suite('builtFile')

locate('finds dist/ from commands, from the package and from chunks', () => {
  const root = temporaryFolder({ 'dist/some.worker.js': '', 'dist/chunks/x.js': '', 'bin/train.js': '' })
  for (const folder of ['bin', 'dist', 'dist/chunks'])
    assert.is(builtFile('some.worker.js', join(root, folder)), join(root, 'dist/some.worker.js'))
  assert.throws(
    () => builtFile('none.worker.js', join(root, 'bin')),
    /no none\.worker\.js is built above .*npm run build/,
  )
  removeFolder(root)
})

locate.run()
