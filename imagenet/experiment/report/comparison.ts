/** Several experiments side by side. */
import type { Results } from '../results.ts'
import { publishedRows } from '../summary.ts'
import { describeNoise } from '../table.ts'
import { escapeHtml, page, tableHtml, termsHtml } from './page.ts'
import { type Table, withInterval } from './tables.ts'

const NONE = '–'

/** A page with the published table's rows and K − D of each experiment. */
export function comparison(experiments: readonly Results[]): { html: string; table: Table } {
  const columns = experiments.map(({ name }) => name)
  const found = experiments.map(({ summary }) => publishedRows(summary))
  const rows = found[0].map(({ trained, evaluated, published }, i) => [
    trained,
    describeNoise(evaluated),
    ...found.map((rows) => {
      const row = rows[i].found
      return row ? withInterval(row.acc1) : NONE
    }),
    published.acc1.toFixed(2),
  ])
  const differences = experiments.map(({ summary: { kMinusD } }) => (kMinusD ? withInterval(kMinusD.acc1) : NONE))
  const table: Table = {
    title: 'Acc@1 of each experiment',
    columns: ['trained', 'evaluated', ...columns, 'published'],
    rows: [...rows, ['K − D', 'stochastic passes', ...differences, '30.74']],
    note: '± is half a 95 % interval of the mean over seeds, where there are several.',
  }
  const settings = experiments.map(
    ({ name, settings, command }) =>
      `<section><h2>${escapeHtml(name)}</h2>${termsHtml([['Command', command], ...Object.entries(settings).map(([key, value]): [string, string] => [key, String(value ?? NONE)])])}</section>`,
  )
  return { html: page('Kakuritsu: experiments compared', [tableHtml(table), ...settings]), table }
}
