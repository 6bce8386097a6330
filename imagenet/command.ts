/** What every command shares: how it ends when something is wrong. */
import type { Command } from 'commander'
import { UsageError } from './errors.ts'

/**
 * Runs a command. Wrong use ends with exit status 2 and a sentence, any other failure with 1; a stack trace shows only
 * with DEBUG set.
 */
export async function runCommand(command: Command, argv: readonly string[] = process.argv): Promise<void> {
  command
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, `${command.name()}: `)) })
  try {
    await command.parseAsync(argv)
  } catch (error) {
    process.exitCode = report(command.name(), error as Error & { code?: string; exitCode?: number })
  }
}

function report(name: string, error: Error & { code?: string; exitCode?: number }): number {
  // Commander has printed its own message, and throws for --help and --version too.
  if (error.code?.startsWith('commander.')) return error.exitCode === 0 ? 0 : 2
  console.error(process.env.DEBUG ? error.stack : `${name}: ${error.message}`)
  return error instanceof UsageError ? 2 : 1
}
