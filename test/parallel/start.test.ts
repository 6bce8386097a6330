/** What launchers tell their processes, what the user may say of it, and how mpirun is called. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { launchedBy } from '../../imagenet/parallel/launch.ts'
import { distributedOptions, refuseConflicts, remarks } from '../../imagenet/parallel/options.ts'
import { pciGpus, placeOf, usableAdapters } from '../../imagenet/parallel/placement.ts'
import { mpirunArguments, placesFor, rankArguments, scheduledNodes } from '../../imagenet/parallel/start.ts'
import { temporaryFolder } from '../imagenet/pictures.ts'

const test = suite('starting ranks')

test('reads what Open MPI, MPICH and Slurm put into the environment', () => {
  const read = (env: NodeJS.ProcessEnv) => {
    const { host: _, ...launched } = launchedBy(env) ?? { host: '' }
    return launched
  }
  assert.equal(
    read({
      OMPI_COMM_WORLD_RANK: '5',
      OMPI_COMM_WORLD_SIZE: '8',
      OMPI_COMM_WORLD_LOCAL_RANK: '1',
      OMPI_COMM_WORLD_LOCAL_SIZE: '4',
      PMIX_RANK: '5',
    }),
    { family: 'Open MPI', rank: 5, size: 8, localRank: 1, localSize: 4 },
  )
  assert.equal(read({ PMI_RANK: '2', PMI_SIZE: '3', MPI_LOCALRANKID: '0', MPI_LOCALNRANKS: '1' }), {
    ...{ family: 'MPICH', rank: 2, size: 3, localRank: 0, localSize: 1 },
  })
  // srun --mpi=pmix, the third of four nodes.
  const slurm = {
    SLURM_STEP_NUM_TASKS: '7',
    SLURM_LOCALID: '1',
    SLURM_NODEID: '2',
    SLURM_STEP_TASKS_PER_NODE: '1,2(x3)',
  }
  assert.equal(read({ ...slurm, PMIX_RANK: '4' }), {
    ...{ family: 'Open MPI', rank: 4, size: 7, localRank: 1, localSize: 2 },
  })
  assert.is(launchedBy({ SLURM_NTASKS: '8', SLURM_PROCID: '0' }), null, 'a batch script is no rank')
  assert.is(launchedBy({}), null)
})

const options = (values: Record<string, unknown>) =>
  distributedOptions({ shareGpu: 1, rankTimeout: 10, ...values }).distributed
const launched = { family: 'Open MPI', rank: 1, size: 4, localRank: 1, localSize: 4, host: 'node1' } as const

test("takes the original's options, and refuses what is not so", () => {
  assert.equal(distributedOptions({ worldSize: '-1', rank: '-1', lr: 3, shareGpu: 2, rankTimeout: 10 }), {
    distributed: { worldSize: null, rank: null, hosts: null, spawn: false, shareGpu: 2, patience: 10 },
    values: { lr: 3 },
  })
  assert.equal(options({ distUrl: 'mpi://a,b' }).hosts, ['a', 'b'])
  for (const distUrl of ['env://', 'tcp://224.66.41.62:23456']) assert.is(options({ distUrl }).hosts, null)
  for (const distUrl of ['file:///x', 'a b', 'a,,b', '-x'])
    assert.throws(() => options({ distUrl }), /--dist-url takes hosts/)
  assert.throws(() => options({ worldSize: '0' }), /--world-size takes a whole number from 1/)
  assert.throws(
    () => options({ multiprocessingDistributed: true, rank: '1' }),
    /give the command once, without --rank 1/,
  )
  assert.equal(remarks({ distBackend: 'mpi', distUrl: 'a,b' }), [])
  assert.match(remarks({ distBackend: 'gloo' })[0], /^--dist-backend gloo: sums go over MPI/)
  assert.match(remarks({ distUrl: 'tcp://1.2.3.4:5' })[0], /not used/)

  refuseConflicts(options({ worldSize: '4', rank: '1' }), launched)
  refuseConflicts(options({ worldSize: '2', multiprocessingDistributed: true }), null)
  assert.throws(
    () => refuseConflicts(options({ worldSize: '2' }), launched),
    /started by MPI, one of 4: leave --world-size/,
  )
  assert.throws(() => refuseConflicts(options({ rank: '2' }), launched), /as rank 1 of 4; leave --rank out/)
  assert.throws(() => refuseConflicts(options({ worldSize: '2' }), null), /mpirun -n 2 node bin\/train\.js/)
})

test('calls mpirun with a rank an adapter, on the hosts that are named or the scheduler has given', () => {
  const spawn = { multiprocessingDistributed: true }
  const here = placesFor(options(spawn), 8, null)
  assert.equal(here, { hosts: null, nodes: 1, perNode: 8 })
  const named = placesFor(options({ ...spawn, distUrl: 'a,b' }), 8, null)
  const line = mpirunArguments('Open MPI', named).join(' ')
  assert.match(line, /^-n 16 --bind-to none --map-by ppr:8:node .* --host a:8,b:8$/)
  assert.is(mpirunArguments('MPICH', named).join(' '), '-n 16 -ppn 8 -hosts a,b')
  assert.equal(placesFor(options({ ...spawn }), 2, 4), { hosts: null, nodes: 4, perNode: 2 })
  assert.throws(() => placesFor(options({ ...spawn, worldSize: '2' }), 8, null), /wants 2 hosts, and none are named/)
  assert.throws(() => placesFor(options({ ...spawn, worldSize: '5' }), 8, 4), /the scheduler has given 4/)
  assert.throws(() => placesFor(options({ ...spawn, worldSize: '3', distUrl: 'a,b' }), 8, null), /--dist-url names 2/)
  assert.is(scheduledNodes({ SLURM_JOB_NUM_NODES: '3' }), 3)
  assert.is(scheduledNodes({}), null)

  const given = [
    'mnist',
    '--world-size',
    '2',
    '-b',
    '8',
    '--dist-url=a,b',
    '--multiprocessing-distributed',
    '--lr',
    '1',
  ]
  assert.equal(rankArguments(given), ['mnist', '-b', '8', '--lr', '1'])
})

test('gives each rank of a host its own adapter, in PCI order, and lets them share when asked', () => {
  const [gpu, other] = ['NVIDIA H100', 'NVIDIA A100'].map((name) => ({ name, backend: 'vulkan' }))
  const software = { name: 'llvmpipe (LLVM 15.0.6, 256 bits)', backend: 'vulkan' }
  assert.equal(usableAdapters([gpu, gpu, software]), [gpu, gpu], 'no software adapter beside a GPU')
  assert.equal(usableAdapters([software]), [software])
  assert.equal(usableAdapters([gpu, other, software], 'a100'), [other])
  assert.equal(usableAdapters([gpu, other, software], '2'), [software])
  const place = (localRank: number, localSize: number, shareGpu = 1) =>
    placeOf([gpu, other], { localRank, localSize, host: 'node1', shareGpu })
  assert.equal([place(0, 2), place(1, 2)], [0, 1])
  assert.throws(() => place(0, 3), /3 ranks on node1 have 2 adapters \(NVIDIA H100, NVIDIA A100\): .* --share-gpu 2/)
  assert.equal(
    [0, 1, 2].map((rank) => place(rank, 3, 2)),
    [0, 1, 0],
  )

  const folder = temporaryFolder()
  for (const [address, kind] of [
    ['0000:ca:00.0', '0x030200'],
    ['0000:3b:00.0', '0x030200'],
    ['0000:05:00.0', '0x030000'],
    ['0000:00:1f.0', '0x060100'],
  ]) {
    mkdirSync(join(folder, address))
    writeFileSync(join(folder, address, 'class'), `${kind}\n`)
  }
  assert.equal(pciGpus(folder), ['0000:05:00.0', '0000:3b:00.0', '0000:ca:00.0'])
  assert.equal(pciGpus(join(folder, 'none')), [])
  rmSync(folder, { recursive: true })
})

test.run()
