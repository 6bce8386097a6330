/** A peer in a process of its own, so that it may crash or hang without the others. Takes requests from run.js in turn. */
import process from 'node:process'
import { PEERS } from './peers.js'

const [name, adapter] = process.argv.slice(2)
let peer
let row

const answer = {
  open: async () => {
    peer = await PEERS[name].open(adapter)
  },
  /** @returns whether the peer can do the row */
  prepare: async (wanted) => {
    row = await peer.prepare(wanted)
    return row !== null
  },
  output: () => row.output(),
  /** @returns seconds a run */
  time: async (repeats) => {
    const start = performance.now()
    await row.run(repeats)
    return (performance.now() - start) / 1000 / repeats
  },
  free: () => row?.free(),
}

process.on('message', async ({ request, argument }) => {
  try {
    process.send({ result: await answer[request](argument) })
  } catch (error) {
    process.send({ error: error?.message ?? String(error) })
  }
})
