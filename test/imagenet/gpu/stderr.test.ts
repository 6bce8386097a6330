import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { withoutNativeStderr } from '../../../imagenet/gpu/stderr.ts'

// This file runs itself as the process whose stderr is looked at.
if (process.env.STDERR_TEST_CHILD) child()
else tests()

function child(): void {
  process.stderr.write('one\n')
  writeSync(1, 'two\n')
  withoutNativeStderr(() => writeSync(2, 'hidden\n'))
  writeSync(2, 'three\n')
  writeSync(1, 'four\n')
  try {
    withoutNativeStderr(() => {
      throw new Error('five')
    })
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
  }
  writeSync(1, 'six\n')
}

function tests(): void {
  const test = suite('stderr')
  const command = `"${process.execPath}" "${fileURLToPath(import.meta.url)}"`
  const shell = (line: string): string => {
    const { stdout, error } = spawnSync('sh', ['-c', line], {
      encoding: 'utf8',
      env: { ...process.env, STDERR_TEST_CHILD: '1' },
    })
    if (error) throw error
    return stdout.replaceAll('\r', '')
  }
  const shown = 'one\ntwo\nthree\nfour\nfive\nsix\n'

  if (process.platform !== 'win32') {
    test('is silenced and restored in a pipe', () => {
      assert.is(shell(`${command} 2>&1 | cat`), shown)
    })

    test('leaves a file whole that holds stdout as well', () => {
      const log = join(tmpdir(), `kakuritsu-stderr-${process.pid}`)
      try {
        shell(`${command} >"${log}" 2>&1`)
        assert.is(readFileSync(log, 'utf8').replace('hidden\n', ''), shown)
      } finally {
        rmSync(log, { force: true })
      }
    })

    test('works without a stderr', () => {
      assert.is(shell(`${command} 2>&-`), 'two\nfour\nsix\n')
    })
  }

  // util-linux's script gives a process a terminal, where the machine has any; macOS has another script.
  if (process.platform === 'linux' && spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0)
    test('is silenced and restored on a terminal', () => {
      assert.is(shell(`script -qec '${command}' /dev/null </dev/null`), shown)
    })

  test.run()
}
