#!/usr/bin/env node
/** `node bin/convert.js`: weights and checkpoints from safetensors to PyTorch's .pth, or back; or what they hold. */
import { Command } from 'commander'
import { type ConvertOptions, convert, listing, openWeights, runCommand, UsageError } from '../imagenet/index.ts'

const command = new Command('convert')
  .description('Converts weights and checkpoints between safetensors and .pth files, or lists what is in one.')
  .argument('<IN>', 'a .safetensors file, or what torch.save wrote')
  .argument('[OUT]', 'the file to write: .safetensors, .pth or .pt')
  .option('--list', 'print names, dtypes and shapes')
  .option('--force', 'write over OUT if it exists')
  .option('--weights-only', 'leave out what a checkpoint holds beside weights')
  .showHelpAfterError('(--help lists the options)')
  .action(async (input: string, output: string | undefined, options: ConvertOptions & { list?: true }) => {
    if (output === undefined && !options.list) throw new UsageError('OUT is missing: name the file to write, or --list')
    const weights = await openWeights(input)
    try {
      if (options.list) console.log(listing(weights).join('\n'))
      if (output === undefined) return
      const { kind, leftOut } = await convert(weights, output, options)
      if (leftOut.length > 0)
        console.error(`convert: a state dict has no place for the metadata ${leftOut.join(', ')}, which are left out`)
      console.log(`${output}: ${kind}, ${weights.tensors.size} tensors`)
    } finally {
      weights.close()
    }
  })

await runCommand(command)
