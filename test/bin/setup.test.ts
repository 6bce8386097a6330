import { spawnSync } from 'node:child_process'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const test = suite('npm run setup')

function setup(env: Record<string, string> = {}) {
  return spawnSync(process.execPath, ['bin/setup.js'], {
    encoding: 'utf8',
    env: { ...process.env, KAKURITSU_NO_INSTALL: '1', ...env },
    timeout: 120_000,
  })
}

test('says which adapter there is', () => {
  const { status, stdout } = setup()
  assert.is(status, 0)
  assert.match(stdout, /^GPU: .*\n$/)
})

// Vulkan's loader looks for drivers only there.
if (process.platform === 'linux')
  test('says what to run where there is none', () => {
    const { status, stdout, stderr } = setup({ VK_DRIVER_FILES: '/nonexistent' })
    assert.is(status, 1)
    assert.is(stdout, '')
    assert.match(stderr, /^No WebGPU adapter was found\./)
    assert.match(stderr, 'Run: unset VK_DRIVER_FILES')
  })

test.run()
