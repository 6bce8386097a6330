/**
 * Several hosts: network namespaces of this machine, each with an address and a name of its own, joined by a virtual
 * cable, and mpirun across them. Wants root and `ip netns`; says so where it cannot be.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryFolder } from '../imagenet/pictures.ts'
import { hasMpi, MPI_ENV, rankProgram } from './mpirun.ts'

const test = suite('hosts')
const folder = temporaryFolder()

/** Namespaces of this process, and the addresses of a private network that no one else sees. */
const HOSTS = [0, 1].map((i) => ({ name: `kakuritsu-${process.pid}-${i}`, address: `10.77.0.${i + 1}` }))
const CABLE = 'cable'

const ip = (...args: string[]): boolean => spawnSync('ip', args).status === 0

/** Makes both hosts; false where this is not allowed. */
function connect(): boolean {
  const [a, b] = HOSTS
  return (
    HOSTS.every(({ name }) => ip('netns', 'add', name)) &&
    ip('link', 'add', CABLE, 'netns', a.name, 'type', 'veth', 'peer', 'name', CABLE, 'netns', b.name) &&
    HOSTS.every(
      ({ name, address }) =>
        ip('-n', name, 'addr', 'add', `${address}/24`, 'dev', CABLE) &&
        ip('-n', name, 'link', 'set', 'lo', 'up') &&
        ip('-n', name, 'link', 'set', CABLE, 'up'),
    )
  )
}

/** Ends whatever runs on the hosts, and the hosts. */
function disconnect(): void {
  for (const { name } of HOSTS) {
    const { stdout } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' })
    for (const pid of (stdout ?? '').split('\n').filter(Boolean)) spawnSync('kill', ['-9', pid])
    ip('netns', 'del', name)
  }
}

/** What mpirun calls in ssh's place: `agent ADDRESS command…` runs the command on the host of that address. */
function writeAgent(): string {
  const agent = join(folder, 'agent')
  const cases = HOSTS.map(({ name, address }) => `${address}) host=${name} ;;`).join('\n  ')
  const script = `#!/bin/sh
case $1 in
  ${cases}
esac
shift
exec ip netns exec $host unshare --uts sh -c "hostname $host; $*"
`
  writeFileSync(agent, script)
  chmodSync(agent, 0o755)
  return agent
}

/** mpirun on the first host, with a rank on each. */
function start(agent: string, ...job: string[]): ChildProcess {
  const [{ name }] = HOSTS
  const hosts = HOSTS.map(({ address }) => `${address}:1`).join(',')
  const options = `--mca plm_rsh_agent ${agent} --mca btl tcp,self --host ${hosts} -n ${HOSTS.length}`
  const command = `hostname ${name}; exec mpirun ${options} ${process.execPath} ${rankProgram()} ${job.join(' ')}`
  return spawn('ip', ['netns', 'exec', name, 'unshare', '--uts', 'sh', '-c', command], {
    env: MPI_ENV,
    timeout: 90_000,
  })
}

interface Outcome {
  status: number | null
  signal: NodeJS.Signals | null
  printed: string
}

/** How it ended, and what it printed until then. @param watch told what was printed so far */
function ended(child: ChildProcess, watch: (printed: string) => void = () => {}): Promise<Outcome> {
  let printed = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text
      watch(printed)
    })
  // Not 'close': a host that is cut off keeps its end of the pipes.
  return new Promise((resolve) => child.on('exit', (status, signal) => resolve({ status, signal, printed })))
}

const possible = hasMpi && connect()
if (!possible) console.log('hosts: skipped, as there is no mpirun, or no right to make network namespaces')
const onHosts = possible ? test : test.skip

onHosts('ranks on two hosts work together', async () => {
  const { status, printed } = await ended(start(writeAgent(), 'together'))
  assert.is(status, 0, printed)
  const [a, b] = HOSTS
  assert.match(printed, new RegExp(`^2 ranks over Open MPI .*: 1 on ${a.name}, 1 on ${b.name}$`, 'm'))
  assert.match(printed, /"large":\[2000000,1,-1\]/)
})

onHosts('a host that is cut off in mid-run ends all, by name', async () => {
  const [a, b] = HOSTS
  let cut = false
  const { status, signal, printed } = await ended(start(writeAgent(), 'work', '4'), (printed) => {
    if (cut || !printed.includes('working')) return
    cut = ip('-n', a.name, 'link', 'set', CABLE, 'down')
  })
  assert.ok(cut)
  assert.is.not(status, 0)
  assert.is.not(signal, 'SIGTERM', 'the time limit ended it')
  assert.match(
    printed,
    new RegExp(`^train: rank 1 on ${b.name}: has not been heard of for \\d seconds; all ranks end$`, 'm'),
  )
  // Its ranks have given up by themselves, for want of a sign of rank 0.
  const { stdout } = spawnSync('ip', ['netns', 'pids', b.name], { encoding: 'utf8' })
  const left = stdout.split('\n').filter((pid) => pid && /rank\.program/.test(commandOf(pid)))
  assert.equal(left, [])
})

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return '' // it has ended meanwhile
  }
}

test.after(() => {
  disconnect()
  rmSync(folder, { recursive: true, force: true })
})
test.run()
