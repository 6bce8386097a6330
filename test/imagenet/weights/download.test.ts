import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { download } from '../../../imagenet/weights/download/download.ts'
import { withLock } from '../../../imagenet/weights/download/lock.ts'
import { weightsFile, weightsFolder } from '../../../imagenet/weights/pretrained.ts'
import { removeFolder, temporaryFolder } from '../pictures.ts'
import { type Answer, file, partly, serve, status, wholeFile } from '../server.ts'

const test = suite('download')

const CONTENT = Buffer.from(Float64Array.from({ length: 20_000 }, (_, i) => Math.sin(i)).buffer)
const SHA256 = createHash('sha256').update(CONTENT).digest('hex').slice(0, 8)
const HALF = CONTENT.length / 2
const QUICK = { sha256: SHA256, retryMs: 1, stallMs: 150 }

interface Ended {
  /** What the folder holds when it is over. */
  files: string[]
  content: Buffer | null
  ranges: (string | undefined)[]
  ifRanges: (string | undefined)[]
  error: Error | null
}

/** Downloads from a server that answers so. @param partial what an earlier process left */
async function downloadFrom(answers: Answer[], partial?: Buffer): Promise<Ended> {
  const folder = temporaryFolder(partial ? { 'weights.pth.partial': partial } : {})
  const server = await serve(...answers)
  const to = join(folder, 'weights.pth')
  try {
    const error = await download(`${server.url}/weights.pth`, to, QUICK).then(
      () => null,
      (error: Error) => error,
    )
    const content = existsSync(to) ? readFileSync(to) : null
    return { files: readdirSync(folder), content, ranges: server.ranges, ifRanges: server.ifRanges, error }
  } finally {
    await server.close()
    removeFolder(folder)
  }
}

function assertDownloaded({ error, content, files }: Ended): void {
  assert.is(error, null, error?.message)
  assert.ok(content?.equals(CONTENT))
  assert.equal(files, ['weights.pth'], 'nothing else is left')
}

const WORKS: [what: string, answers: Answer[], ranges: (string | undefined)[], partial?: Buffer][] = [
  ['a good server', [file(CONTENT)], [undefined]],
  [
    'a server that cuts off is asked for the rest',
    [partly(CONTENT, HALF, 'cut off'), file(CONTENT)],
    [undefined, `bytes=${HALF}-`],
  ],
  [
    'a server that stalls is asked for the rest',
    [partly(CONTENT, HALF, 'stall'), file(CONTENT)],
    [undefined, `bytes=${HALF}-`],
  ],
  ['a server that never answers in time is asked again', [() => {}, file(CONTENT)], [undefined, undefined]],
  [
    'a busy server is asked again',
    [status(503), status(429, { 'retry-after': '0' }), file(CONTENT)],
    [undefined, undefined, undefined],
  ],
  [
    'a server that knows no ranges sends it all again',
    [partly(CONTENT, HALF, 'cut off'), wholeFile(CONTENT)],
    [undefined, `bytes=${HALF}-`],
  ],
  [
    'a file that changed meanwhile is sent from its beginning',
    [partly(Buffer.alloc(CONTENT.length), HALF, 'cut off', '"v0"'), file(CONTENT)],
    [undefined, `bytes=${HALF}-`],
  ],
  ['what an earlier process left is gone on with', [file(CONTENT)], [`bytes=${HALF}-`], CONTENT.subarray(0, HALF)],
  ['what an earlier process left is all there is', [file(CONTENT)], [`bytes=${CONTENT.length}-`], CONTENT],
  [
    'what an earlier process left is no part of it',
    [file(CONTENT)],
    [`bytes=${HALF}-`, undefined],
    Buffer.alloc(HALF, 7),
  ],
  [
    'what an earlier process left is too long',
    [file(CONTENT)],
    [`bytes=${2 * CONTENT.length}-`, undefined],
    Buffer.alloc(2 * CONTENT.length),
  ],
  [
    'an answer with another range than asked for',
    [status(206, { 'content-range': 'bytes 5-9/10' }), file(CONTENT)],
    [`bytes=${HALF}-`, undefined],
    CONTENT.subarray(0, HALF),
  ],
]

for (const [what, answers, ranges, partial] of WORKS)
  test(what, async () => {
    const ended = await downloadFrom(answers, partial)
    assertDownloaded(ended)
    assert.equal(ended.ranges, ranges)
  })

test('the rest is asked for on the condition that the file is the same', async () => {
  const ended = await downloadFrom([partly(CONTENT, 1000, 'cut off'), partly(CONTENT, 1000, 'stall'), file(CONTENT)])
  assertDownloaded(ended)
  assert.equal(ended.ifRanges, [undefined, '"v1"', '"v1"'])
})

test('redirections are followed', async () => {
  const target = await serve(file(CONTENT))
  assertDownloaded(await downloadFrom([status(302, { location: `${target.url}/elsewhere` })]))
  await target.close()
})

test('a wrong file is refused, and nothing of it stays', async () => {
  for (const wrong of [Buffer.from('<html>please log in</html>'), Buffer.alloc(0), CONTENT.subarray(1)]) {
    const { error, files, ranges } = await downloadFrom([file(wrong)])
    assert.match(error!.message, /127\.0\.0\.1:\d+\/weights\.pth is another file.*begins with [0-9a-f]{8}, not /)
    assert.equal(files, [])
    assert.is(ranges.length, 1)
  }
})

test('a server that keeps cutting off is given up, and what came is kept', async () => {
  const { error, files, ranges } = await downloadFrom([partly(CONTENT, 1000, 'cut off')])
  assert.match(error!.message, /cannot download http:.*weights\.pth \(.+\)/)
  assert.equal(files, ['weights.pth.partial'])
  assert.is(ranges.length, 5)
  assert.is(ranges.at(-1), 'bytes=4000-')
})

test('a server that keeps stalling is given up', async () => {
  const { error } = await downloadFrom([partly(CONTENT, 0, 'stall')])
  assert.match(error!.message, /nothing arrived for 0\.15 s/)
})

test('a server that refuses is not asked again', async () => {
  const { error, ranges } = await downloadFrom([status(404)])
  assert.match(error!.message, /cannot download .*weights\.pth \(HTTP 404\)/)
  assert.is(ranges.length, 1)
})

test('progress counts what was there before, and knows the whole', async () => {
  const folder = temporaryFolder({ 'a.partial': CONTENT.subarray(0, HALF) })
  const server = await serve(file(CONTENT))
  const seen: [number, number | undefined][] = []
  const onProgress = (bytes: number, total: number | undefined) => seen.push([bytes, total])
  await download(server.url, join(folder, 'a'), { ...QUICK, onProgress })
  assert.equal(seen[0], [HALF, CONTENT.length])
  assert.equal(seen.at(-1), [CONTENT.length, CONTENT.length])
  await server.close()
  removeFolder(folder)
})

const NAME = `tiny-${SHA256}.pth`

/** Runs with PyTorch's cache in a new folder and the weights on such a server. */
async function withWeights(answers: Answer[], work: (folder: string, server: { ranges: unknown[] }) => Promise<void>) {
  const home = temporaryFolder()
  const server = await serve(...answers)
  const { TORCH_HOME, KAKURITSU_WEIGHTS_URL } = process.env
  const { error } = console
  Object.assign(process.env, { TORCH_HOME: home, KAKURITSU_WEIGHTS_URL: `${server.url}/mirror/` })
  console.error = () => {}
  try {
    await work(join(home, 'hub', 'checkpoints'), server)
  } finally {
    console.error = error
    for (const [name, value] of Object.entries({ TORCH_HOME, KAKURITSU_WEIGHTS_URL }))
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    await server.close()
    removeFolder(home)
  }
}

test('weights are where PyTorch keeps them', () => {
  assert.is(weightsFolder({ TORCH_HOME: '/t' }), join('/t', 'hub', 'checkpoints'))
  assert.is(weightsFolder({ XDG_CACHE_HOME: '/c' }), join('/c', 'torch', 'hub', 'checkpoints'))
  assert.match(weightsFolder({}), /\.cache.torch.hub.checkpoints$/)
})

test('weights are downloaded once, also by several who want them at the same time', () =>
  withWeights([file(CONTENT)], async (folder, { ranges }) => {
    const found = await Promise.all([1, 2, 3].map(() => weightsFile(NAME)))
    assert.equal(found, Array(3).fill(join(folder, NAME)))
    await weightsFile(NAME)
    assert.is(ranges.length, 1)
    assert.equal(readdirSync(folder), [NAME])
  }))

test('a copy that is damaged is named, and not replaced', () =>
  withWeights([file(CONTENT)], async (folder, { ranges }) => {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, NAME), CONTENT.subarray(5))
    const error = await weightsFile(NAME).catch((error: Error) => error)
    assert.match((error as Error).message, /tiny-.*\.pth is damaged: .*remove it/)
    assert.is(ranges.length, 0)
  }))

test('a lock whose owner died, here or long ago, is taken over', async () => {
  const lock = join(temporaryFolder(), 'lock')
  writeFileSync(lock, 'elsewhere 1\n')
  utimesSync(lock, 0, 0)
  assert.is(
    await withLock(
      lock,
      async () => 'work',
      () => assert.unreachable('waited'),
    ),
    'work',
  )
  assert.not.ok(existsSync(lock))
})

test('without a network there is one sentence with address and folder', () =>
  withWeights([status(404)], async (folder) => {
    const gone = await serve(status(404))
    await gone.close()
    process.env.KAKURITSU_WEIGHTS_URL = gone.url
    const error = (await weightsFile(NAME, { retryMs: 1 }).catch((error: Error) => error)) as Error
    assert.ok(error.message.includes(`${gone.url}/${NAME} (ECONNREFUSED)`), error.message)
    assert.ok(error.message.includes(folder), error.message)
    assert.not.match(error.message, /\n/)
  }))

test('a folder that cannot be written is named', () =>
  withWeights([file(CONTENT)], async (folder) => {
    // A file where the cache should be: this stops root as well.
    writeFileSync(join(folder, '..', '..', 'hub'), '')
    const error = (await weightsFile(NAME).catch((error: Error) => error)) as Error
    assert.match(error.message, /cannot write to .*checkpoints \(E\w+\): set TORCH_HOME/)
  }))

test.run()
