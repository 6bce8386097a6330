#!/usr/bin/env node
/** `node bin/report.js DIR…`: makes the reports of experiments again from their runs, and compares several. */
import { Command } from 'commander'
import {
  collectResults,
  comparison,
  ExperimentFolder,
  printTables,
  runCommand,
  textTable,
  writeFileAtomic,
  writeReport,
} from '../imagenet/index.ts'

const command = new Command('report')
  .description(
    `Makes each experiment's report again from the runs in its folder; of several, one that compares them too.`,
  )
  .argument('<DIR...>', 'folders of experiments')
  .option('--output <FILE>', 'the page that compares several', 'comparison.html')
  .showHelpAfterError('(--help lists the options)')
  .action((dirs: string[], { output }: { output: string }) => {
    const experiments = dirs.map((dir) => {
      const folder = new ExperimentFolder(dir)
      const results = collectResults(folder)
      return { results, html: writeReport(folder, results).html }
    })
    if (experiments.length === 1) {
      const [{ results, html }] = experiments
      printTables(results)
      console.log(`\nReport: ${html}`)
      return
    }
    const { html, table } = comparison(experiments.map(({ results }) => results))
    writeFileAtomic(output, html)
    console.log(
      `${textTable(table)}\n\nReports: ${experiments.map(({ html }) => html).join(', ')}\nComparison: ${output}`,
    )
  })

await runCommand(command)
