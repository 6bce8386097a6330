/** Ranks over a real MPI: what they do together, and how they end when one cannot go on. */
import { hostname } from 'node:os'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { hasMpi, needsMpi, rankProgram, runMpi } from './mpirun.ts'

const test = suite('mpi')
const withMpi = hasMpi ? test : test.skip

const ranks = (size: number, job: string, ...args: string[]) =>
  runMpi(['-n', String(size), process.execPath, rankProgram(), job, ...args])

test('MPI is here where it must be', () => {
  assert.ok(hasMpi || !needsMpi, 'install openmpi-bin and libopenmpi3')
})

for (const size of [2, 3, 4])
  withMpi(`${size} ranks sum, broadcast and gather, in the order of the calls`, async () => {
    const { status, stdout, stderr } = await ranks(size, 'together')
    assert.is(status, 0, stderr)
    const [heading, line] = stdout.trim().split('\n')
    assert.match(heading, new RegExp(`^${size} ranks over Open MPI v[\\d.]+: ${size} on ${hostname()}$`))
    const sum = (size * (size - 1)) / 2
    assert.equal(JSON.parse(line), {
      sums: [sum + size, size],
      large: [2_000_000, sum, -1],
      texts: Array.from({ length: size }, (_, rank) => `rank ${rank} ${'é'.repeat(rank)}`),
      bytes: [7, 8, 9],
      part: [sum],
      first: { rank: 0 },
      all: Array.from({ length: size }, (_, rank) => rank),
    })
  })

const host = hostname()
const FAILURES: [what: string, job: string, status: number, message: RegExp][] = [
  [
    'wrong use on one rank is refused by all',
    'refuse',
    2,
    new RegExp(`^rank 1 on ${host}: there is no folder images$`, 'm'),
  ],
  [
    'other options on one rank are refused by all',
    'differ',
    2,
    new RegExp(`rank 1 on ${host} has 32 for batchSize, rank 0 on ${host} has 64`),
  ],
  [
    'a rank that fails ends all',
    'throw',
    1,
    new RegExp(`^train: rank 1 on ${host}: the GPU has no memory left; all ranks end$`, 'm'),
  ],
  [
    'rank 0 that fails ends all',
    'throwFirst',
    1,
    new RegExp(`^train: rank 0 on ${host}: the disk is full; all ranks end$`, 'm'),
  ],
  [
    'a rank that dies ends all',
    'die',
    137,
    new RegExp(`process rank 1 with PID \\d+ on node ${host} exited on signal 9`),
  ],
  [
    'a rank that falls silent ends all',
    'fallSilent',
    1,
    new RegExp(`^train: rank 1 on ${host}: has not been heard of for \\d seconds; all ranks end$`, 'm'),
  ],
]

for (const [what, job, expected, message] of FAILURES)
  withMpi(what, async () => {
    const { status, stderr } = await ranks(2, job, '4')
    assert.match(stderr, message)
    assert.is(status, expected)
  })

withMpi('without the library, one sentence says what to install', async () => {
  const { status, stderr } = await runMpi(['-n', '2', process.execPath, rankProgram(), 'together'], {
    env: { KAKURITSU_MPI: '/nonexistent/libmpi.so' },
  })
  assert.is(status, 2)
  assert.match(stderr, /^KAKURITSU_MPI names \/nonexistent\/libmpi\.so, which cannot be loaded/m)
  assert.not.match(stderr, /^ +at /m)
})

test.run()
