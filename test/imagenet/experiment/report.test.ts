/** The report in a browser: every figure is there, nothing complains, nothing is loaded. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser } from 'playwright-core'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ExperimentFolder } from '../../../imagenet/experiment/folder.ts'
import { comparison } from '../../../imagenet/experiment/report/comparison.ts'
import { csv } from '../../../imagenet/experiment/report/figure.ts'
import { report } from '../../../imagenet/experiment/report/report.ts'
import { writeReport } from '../../../imagenet/experiment/report/write.ts'
import type { Results } from '../../../imagenet/experiment/results.ts'
import { findChromium, openBrowser } from '../../chromium.ts'
import { removeFolder, temporaryFolder } from '../pictures.ts'
import { planOf, resultOf, resultsOf } from './made_up.ts'

const test = suite('experiment: report')
const path = temporaryFolder()

const FIGURES = [
  'k-minus-d',
  'curve-accuracy',
  'curve-loss',
  'evaluation-p',
  'heat-map',
  'calibration',
  'agreement',
  'weights',
  'cells',
]

const whole = (seeds: number): Results =>
  resultsOf(
    planOf({ seeds, ablate: ['gradient', 'logits', 'rescale', 'mask'] }).map((spec, i) =>
      resultOf(spec, (noise, pass) => 60 + ((7 * i + noise.length) % 30) + pass),
    ),
  )

test('has every figure, each with its data', () => {
  const { html } = writeReport(new ExperimentFolder(path), whole(3))
  const page = readFileSync(html, 'utf8')
  for (const id of FIGURES) {
    assert.ok(page.includes(`<section id="${id}">`), id)
    const data = readFileSync(join(path, 'data', `${id}.csv`), 'utf8')
    assert.ok(data.split('\r\n').length > 2, id)
    assert.ok(
      page.includes(`<a download="${id}.csv" href="data:text/csv;charset=utf-8,${encodeURIComponent(data)}">`),
      id,
    )
  }
  assert.equal(JSON.parse(readFileSync(join(path, 'results.json'), 'utf8')), JSON.parse(JSON.stringify(whole(3))))
})

test('is a function of the results', () => {
  assert.equal(report(whole(2)), report(JSON.parse(JSON.stringify(whole(2)))))
})

test('names and commands are text, not markup', () => {
  const { html } = report(whole(1))
  assert.match(html, /<h1>Kakuritsu: made &lt;up&gt; &amp; quoted<\/h1>/)
  assert.match(html, /--output &quot;a &amp; b&quot;/)
  assert.match(html, /GPU &lt;1&gt;/)
})

test('one seed: no interval, and it says so', () => {
  const { html, markdown } = report(whole(1))
  assert.match(html, /One seed: no interval can be given/)
  assert.not.match(markdown.replace(/\n[^|].*/g, ''), /±/)
  assert.match(report(whole(2)).markdown, /± .* \|/)
})

test('says what is not complete; refuses an experiment of nothing', () => {
  const results = { ...whole(1), incomplete: [{ id: 'White-seed1', error: 'no memory' }] }
  assert.match(report(results).html, /Not complete, and not in this report: White-seed1 \(failed: no memory\)\./)
  assert.throws(() => report(resultsOf([])), /no run is complete/)
})

for (const archs of [['Kakuritsu'], ['Dropout'], ['White']] as const)
  test(`works with ${archs} alone`, () => {
    const { figures } = report(resultsOf(planOf({ archs }).map((spec) => resultOf(spec, () => 50))))
    for (const { id, svg, data } of figures) assert.ok(svg.includes('<svg') && data.length > 0, id)
  })

test('the Markdown table has the nine rows', () => {
  const { markdown } = report(whole(2))
  assert.is(markdown.match(/^\| (Kakuritsu|Dropout|White) \|/gm)!.length, 9)
  assert.match(markdown, /^\| White \| plain \| .* \| 76\.12 \| 93\.13 \|$/m)
})

test('CSV quotes what needs it', () => {
  assert.is(
    csv([
      { a: 1, b: 'x, "y"' },
      { a: null, b: '' },
    ]),
    'a,b\r\n1,"x, ""y"""\r\n,\r\n',
  )
})

test('several experiments stand side by side', () => {
  const { html, table } = comparison([
    { ...whole(2), name: 'one' },
    { ...whole(3), name: '<two>' },
  ])
  assert.equal(table.columns, ['trained', 'evaluated', 'one', '<two>', 'published'])
  assert.is(table.rows.length, 10)
  assert.not.match(html, /<two>/)
})

const executable = findChromium()
let browser: Browser | null = null
if (!executable && !process.env.CI) {
  console.error(
    'report.test: there is no Chromium (apt-get install chromium, or set CHROMIUM): the pages are not looked at',
  )
  test.skip('in a browser', () => {})
} else {
  for (const colorScheme of ['light', 'dark'] as const)
    test(`in a browser, ${colorScheme}: every plot is drawn, nothing complains, nothing is loaded`, async () => {
      assert.ok(executable, 'there is no Chromium: apt-get install chromium, or set CHROMIUM')
      const html = join(path, 'report.html')
      browser ??= await openBrowser(executable)
      const page = await browser.newPage({ colorScheme })
      const trouble: string[] = []
      page.on('console', (message) => trouble.push(`console ${message.type()}: ${message.text()}`))
      page.on('pageerror', (error) => trouble.push(`error: ${error.message}`))
      const url = pathToFileURL(html).href
      page.on('request', (request) => {
        if (request.url() !== url && !request.url().startsWith('data:')) trouble.push(`request: ${request.url()}`)
      })
      await page.goto(url)
      for (const id of FIGURES) {
        // Of each SVG: whether it has an area, and how many marks lie in it.
        const drawn = await page.$$eval(`#${id} svg`, (svgs) =>
          svgs.map((svg) => {
            const { width, height } = svg.getBoundingClientRect()
            return width > 50 && height > 10 && svg.querySelectorAll('path, circle, rect, line').length > 0
          }),
        )
        assert.ok(drawn.length > 0 && drawn.every(Boolean), `${id}: ${drawn}`)
      }
      assert.is(await page.$$eval('table', (tables) => tables.length), 4)
      // Text, and a series: the colours of the page's scheme, not the defaults of a light one.
      const color = (selector: string, name: string) =>
        page.evaluate(
          `getComputedStyle(document.querySelector('${selector}')).getPropertyValue('${name}')`,
        ) as Promise<string>
      const isLight = (rgb: string) => Number(rgb.match(/\d+/)![0]) > 127
      assert.is(isLight(await color('#curve-loss .plots svg text', 'fill')), colorScheme === 'dark')
      assert.is(isLight(await color('body', 'background-color')), colorScheme === 'light')
      assert.ok(
        await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
        'no plot is wider than the page',
      )
      assert.equal(trouble, [])
      await page.close()
    })

  test('on paper it is light, whatever the screen', async () => {
    assert.ok(executable, 'there is no Chromium')
    browser ??= await openBrowser(executable)
    const page = await browser.newPage({ colorScheme: 'dark' })
    await page.goto(pathToFileURL(join(path, 'report.html')).href)
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
    assert.is(await page.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(255, 255, 255)')
    await page.close()
  })
}

test.after(async () => {
  await browser?.close()
  removeFolder(path)
})
test.run()
