import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { saveCheckpoint } from '../imagenet/classifiers.ts'
import { picture, pngOf, removeFolder, temporaryFolder } from '../imagenet/pictures.ts'
import { runBin } from './commands.ts'

const test = suite('predict')
const folder = temporaryFolder({
  'images/cat.png': pngOf(picture(40, 50, 1)),
  'images/dog.png': pngOf(picture(50, 40, 2)),
  'bad.png': 'no image',
})
const images = join(folder, 'images')
let kakuritsu = ''
let white = ''

test.before(async () => {
  kakuritsu = await saveCheckpoint(folder, 'Kakuritsu', ['cat', 'dog', 'cow'])
  white = await saveCheckpoint(folder, 'White', ['cat', 'dog', 'cow'])
})

const run = (...args: string[]) => runBin('predict', args)

test('names what images show, with probabilities, as a table', async () => {
  const { status, stdout, stderr } = await run(images, '--weights', kakuritsu, '--topk', '2')
  assert.is(status, 0, stderr)
  const lines = stdout.trimEnd().split('\n')
  assert.is(lines.length, 8, stdout)
  assert.is(lines[0], join(images, 'cat.png'))
  assert.match(lines[1], /^ {2}(cat|dog|cow) +\d+\.\d\d %$/)
  assert.match(lines[3], /^ {2}entropy \d\.\d\d nats$/)
})

test('--samples adds the spread, as JSON a line an image; what cannot be read is named, and the others go on', async () => {
  const args = [join(folder, 'bad.png'), images, '--weights', kakuritsu, '--samples', '8', '--json']
  const { status, stdout, stderr } = await run(...args)
  assert.is(status, 1, stderr)
  assert.match(stderr, /^predict: cannot decode .*bad\.png: it is neither JPEG nor PNG/m)
  const [bad, cat, dog, ...more] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(more, [])
  assert.equal(Object.keys(bad), ['file', 'error'])
  for (const answer of [cat, dog]) {
    assert.equal(Object.keys(answer), ['file', 'samples', 'top', 'entropy', 'mutual_information'])
    assert.is(answer.top.length, 3, 'no more than there are')
    assert.ok(['cat', 'dog', 'cow'][answer.top[0].class] === answer.top[0].name)
    assert.ok(answer.top[0].std > 0)
    const total = answer.top.reduce((sum: number, { probability }: { probability: number }) => sum + probability, 0)
    assert.ok(Math.abs(total - 1) < 1e-9)
  }
})

const WRONG: [what: string, args: () => string[], message: RegExp][] = [
  ['no image', () => [], /missing required argument 'IMAGE'/],
  ['no such file of weights', () => [images, '--weights', join(folder, 'none')], /there is no file .*none/],
  ['an image as weights', () => [images, '--weights', join(folder, 'bad.png')], /bad\.png: /],
  [
    'samples of a head without noise',
    () => [images, '--weights', white, '--samples', '2'],
    /add --eval-head kakuritsu:0\.5/,
  ],
  [
    'weights of another base',
    () => [images, '--weights', white, '--base', 'resnet34'],
    /does not fit.*lacks base\.layer1\.2/,
  ],
]

for (const [what, args, message] of WRONG)
  test(`wrong use: ${what}`, async () => {
    const { status, stdout, stderr } = await run(...args())
    assert.is(status, 2, stderr)
    assert.is(stdout, '')
    assert.match(stderr, message)
  })

test.after(() => removeFolder(folder))
test.run()
