/** The page that holds a report: one file that loads nothing, for light and dark screens and for paper. */
import { csv, type Figure } from './figure.ts'
import type { Table } from './tables.ts'

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
export const escapeHtml = (text: string): string => text.replace(/[&<>"]/g, (character) => ENTITIES[character])

/**
 * Series are blue, vermilion, green, purple, orange, grey and teal, after Okabe and Ito's palette for all kinds of colour vision,
 * darker on white and lighter on black so that each stands out by 3 to 1 or more (WCAG 2.2, 1.4.11).
 */
const LIGHT =
  '--c0:#0068a8;--c1:#c44e00;--c2:#008060;--c3:#a0447c;--c4:#8a6d00;--c5:#666;--c6:#00808f;--text:#1a1a1a;--faint:#666;--line:#d5d5d5;--page:#fff'
const DARK =
  '--c0:#5bb4f0;--c1:#ff8c4a;--c2:#35c99c;--c3:#e58cc0;--c4:#e5c04a;--c5:#aaa;--c6:#4fc3d4;--text:#e6e6e6;--faint:#a5a5a5;--line:#3d3d3d;--page:#161616'

const STYLE = `
:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
@media print{:root{color-scheme:light;${LIGHT}}}
body{max-width:64rem;margin:2rem auto;padding:0 1rem;font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--page)}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem}
p.note,figcaption,dt{color:var(--faint)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dd{margin:0;overflow-wrap:anywhere}
code{font:14px ui-monospace,monospace}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem .25rem 0;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
figure{margin:1.5rem 0}figure svg{display:block;max-width:100%;height:auto}.plots{display:flex;flex-wrap:wrap;gap:1rem;margin-bottom:1rem}
a{color:var(--c0)}
@media print{figure,tr{break-inside:avoid}h2{break-after:avoid}a[download]{display:none}.wide{overflow:visible}body{margin:0;font-size:12px}table{font-size:10px}th,td{white-space:normal}}
`

/** @param sections HTML, one after the other */
export function page(title: string, sections: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${sections.join('\n')}
</body>
</html>
`
}

export function figureHtml({ id, title, caption, svg, data }: Figure): string {
  const link = `data:text/csv;charset=utf-8,${encodeURIComponent(csv(data))}`
  return `<section id="${id}">
<h2>${escapeHtml(title)}</h2>
<figure>${svg}
<figcaption>${escapeHtml(caption)} <a download="${id}.csv" href="${link}">Data (CSV)</a></figcaption></figure>
</section>`
}

export function tableHtml({ title, columns, rows, note }: Table): string {
  const cells = (tag: string, row: readonly string[]) =>
    row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')
  const table = `<div class="wide"><table>
<thead><tr>${cells('th', columns)}</tr></thead>
<tbody>
${rows.map((row) => `<tr>${cells('td', row)}</tr>`).join('\n')}
</tbody></table></div>
<p class="note">${escapeHtml(note)}</p>`
  return `<section><h2>${escapeHtml(title)}</h2>\n${table}</section>`
}

export const termsHtml = (terms: readonly (readonly [term: string, value: string])[]): string =>
  `<dl>${terms.map(([term, value]) => `<dt>${escapeHtml(term)}</dt><dd>${escapeHtml(value)}</dd>`).join('\n')}</dl>`
