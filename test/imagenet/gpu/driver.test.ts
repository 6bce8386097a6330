import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseAptSources, sourceLine } from '../../../imagenet/gpu/driver/apt.ts'
import { runCommand } from '../../../imagenet/gpu/driver/command.ts'
import { hardwareHint, plan, type System } from '../../../imagenet/gpu/driver/plan.ts'

const test = suite('driver')

const osRelease = {
  debian11: 'ID=debian\nVERSION_ID="11"\nVERSION_CODENAME=bullseye\n',
  debian12: 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n',
  debian13: 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n',
  debianUnstable: 'PRETTY_NAME="Debian GNU/Linux forky/sid"\nVERSION_CODENAME=forky\nID=debian\n',
  ubuntu20: 'NAME="Ubuntu"\nVERSION_ID="20.04"\nID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=focal\n',
  ubuntu22: 'NAME="Ubuntu"\nVERSION_ID="22.04"\nID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=jammy\n',
  ubuntu24: 'NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n',
  mint: 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\nVERSION_CODENAME=wilma\n',
  fedora: 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=41\n',
  rocky: 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n',
  arch: 'NAME="Arch Linux"\nID=arch\nBUILD_ID=rolling\n',
  manjaro: 'ID=manjaro\nID_LIKE=arch\n',
  other: 'ID=slackware\n',
}
type Name = keyof typeof osRelease

const debianSources = `# from the image
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/mirror.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`

function system(name: Name, change: Partial<System> = {}): System {
  return {
    platform: 'linux',
    osRelease: osRelease[name],
    root: true,
    apt: /debian/.test(osRelease[name]),
    aptSources: [],
    env: {},
    ...change,
  }
}

const mesa = ['mesa-vulkan-drivers', 'libvulkan1']
const mesaBackports = ['-t', 'bookworm-backports', ...mesa]

test('Debian 12 gets Mesa from the backports of its own mirror', () => {
  const aptSources = [['/etc/apt/sources.list.d/debian.sources', debianSources]] as const
  assert.equal(plan(system('debian12', { aptSources })), {
    install: {
      source: {
        path: '/etc/apt/sources.list.d/kakuritsu-bookworm-backports.list',
        line: 'deb [signed-by=/usr/share/keyrings/mirror.gpg] http://mirror.example/debian bookworm-backports main',
      },
      args: mesaBackports,
    },
  })
})

test('Debian 12 with backports needs no other source', () => {
  for (const file of [
    ['/etc/apt/sources.list', 'deb http://deb.debian.org/debian bookworm-backports main'],
    [
      '/etc/apt/sources.list.d/b.sources',
      'Types: deb\nURIs: http://x/debian\nSuites: bookworm-backports\nComponents: main',
    ],
  ] as const)
    assert.equal(plan(system('debian12', { aptSources: [file] })), { install: { source: null, args: mesaBackports } })
})

test('newer Debian and Ubuntu have what is needed', () => {
  for (const name of ['debian13', 'debianUnstable', 'ubuntu22', 'ubuntu24'] as const)
    assert.equal(plan(system(name)), { install: { source: null, args: mesa } }, name)
})

const advised: Record<string, [system: System, command: string]> = {
  VK_DRIVER_FILES: [system('debian12', { env: { VK_DRIVER_FILES: '/nonexistent' } }), 'unset VK_DRIVER_FILES'],
  'Debian 12, not root': [
    system('debian12', { root: false, aptSources: [['/etc/apt/sources.list', 'deb http://x/debian bookworm main']] }),
    "echo 'deb http://x/debian bookworm-backports main' | sudo tee /etc/apt/sources.list.d/kakuritsu-bookworm-backports.list && " +
      'sudo apt-get update && sudo apt-get install -y --no-install-recommends -t bookworm-backports mesa-vulkan-drivers libvulkan1',
  ],
  'Debian 13, installing forbidden': [
    system('debian13', { env: { KAKURITSU_NO_INSTALL: '1' } }),
    'apt-get update && apt-get install -y --no-install-recommends mesa-vulkan-drivers libvulkan1',
  ],
  'Ubuntu 24.04, not root': [
    system('ubuntu24', { root: false }),
    'sudo apt-get update && sudo apt-get install -y --no-install-recommends mesa-vulkan-drivers libvulkan1',
  ],
  'Debian 12 without apt': [system('debian12', { apt: false }), 'apt-get install -y mesa-vulkan-drivers libvulkan1'],
  'Debian 11': [system('debian11'), 'apt-get install -y mesa-vulkan-drivers libvulkan1'],
  'Ubuntu 20.04': [system('ubuntu20'), 'apt-get install -y mesa-vulkan-drivers libvulkan1'],
  Mint: [system('mint', { root: false }), 'sudo apt-get install -y mesa-vulkan-drivers libvulkan1'],
  Fedora: [system('fedora', { root: false }), 'sudo dnf install -y mesa-vulkan-drivers vulkan-loader'],
  Rocky: [system('rocky'), 'dnf install -y mesa-vulkan-drivers vulkan-loader'],
  Arch: [system('arch'), 'pacman -S --needed vulkan-swrast vulkan-icd-loader'],
  Manjaro: [system('manjaro', { root: false }), 'sudo pacman -S --needed vulkan-swrast vulkan-icd-loader'],
  Windows: [system('other', { platform: 'win32', osRelease: '' }), 'start ms-settings:windowsupdate-optionalupdates'],
  macOS: [system('other', { platform: 'darwin', osRelease: '' }), 'softwareupdate --install --all'],
}
for (const [name, [given, command]] of Object.entries(advised))
  test(`${name}: says the command and installs nothing`, () => {
    const result = plan(given)
    assert.ok('advice' in result && result.advice.endsWith(`Run: ${command}`), JSON.stringify(result))
  })

test('an unknown system gets a sentence', () => {
  for (const given of [system('other'), system('other', { osRelease: '' })])
    assert.match((plan(given) as { advice: string }).advice, 'Install a Vulkan driver')
})

test('reads one-line sources', () => {
  const text = `# deb http://x/debian bookworm main
deb-src http://x/debian bookworm main
  deb [ arch=amd64 signed-by=/k.gpg ] http://y/debian bookworm main contrib # mine
deb cdrom:[Debian GNU/Linux 12.0.0 _Bookworm_ - Official amd64]/ bookworm main
deb mirror+file:/etc/apt/mirrors/debian.list bookworm main`
  assert.equal(parseAptSources('/etc/apt/sources.list', text), [
    { uri: 'http://y/debian', suites: ['bookworm'], options: 'arch=amd64 signed-by=/k.gpg' },
    { uri: 'cdrom:[Debian', suites: ['GNU/Linux'], options: '' },
    { uri: 'mirror+file:/etc/apt/mirrors/debian.list', suites: ['bookworm'], options: '' },
  ])
})

test('reads deb822 sources', () => {
  const text = `types: deb
URIs: http://a/debian
 http://b/debian
Suites: bookworm
# a comment inside
Components: main
Architectures: amd64 arm64
Check-Valid-Until: no
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 URIs: nonsense
 -----END PGP PUBLIC KEY BLOCK-----
\t
Types: deb
URIs: http://off/debian
Suites: bookworm
Enabled: no

Types: deb-src
URIs: http://src/debian
Suites: bookworm`
  const options = 'check-valid-until=no arch=amd64,arm64'
  assert.equal(parseAptSources('/etc/apt/sources.list.d/debian.sources', text), [
    { uri: 'http://a/debian', suites: ['bookworm'], options },
    { uri: 'http://b/debian', suites: ['bookworm'], options },
  ])
})

test('a machine whose sources name no mirror of Debian uses the official one', () => {
  const other = { uri: 'https://deb.nodesource.com/node_20.x', suites: ['nodistro'], options: '' }
  assert.is(
    sourceLine([other], 'bookworm', 'bookworm-backports'),
    'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main',
  )
})

test('speaks of GPUs that no driver opens', () => {
  assert.is(hardwareHint(['/dev/null', '/dev/dri'], []), null)
  assert.match(hardwareHint(['/dev/nvidia0', '/dev/dri/renderD128'], [])!, /NVIDIA GPU \(\/dev\/nvidia0\)/)
  assert.match(hardwareHint(['/dev/dri/renderD128'], [])!, /does not find a driver/)
  assert.match(hardwareHint(['/dev/dri/renderD128'], ['/dev/dri/renderD128'])!, /usermod -aG render/)
})

test('a command that hangs, crashes or is not there ends', async () => {
  const node = (code: string, limit: number) => runCommand(process.execPath, ['-e', code], limit)
  const hung = await node('console.log(1); setInterval(() => {}, 1e6)', 1)
  assert.equal([hung.timedOut, hung.status], [true, null])
  const crashed = await node('process.stderr.write("no"); process.abort()', 30)
  assert.equal([crashed.timedOut, crashed.status === 0], [false, false])
  assert.match(crashed.stderr, /^no/)
  const missing = await runCommand('kakuritsu-no-such-program', [], 30)
  assert.match(missing.stderr, /ENOENT/)
})

test.run()
