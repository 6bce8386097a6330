/**
 * The MPI library of this machine, called through koffi. MPI fixes names and meanings of its functions but not what its
 * handles and constants are in C: Open MPI's are addresses of its global objects, MPICH's and its descendants' (Intel MPI,
 * MVAPICH, Cray MPICH) are integers. This file is the one place that knows.
 *
 * All calls are made from one thread, the worker's (mpi.worker.ts): MPI_THREAD_FUNNELED is enough.
 */
import { createRequire } from 'node:module'
import type { LibraryHandle } from 'koffi'
import { UsageError } from '../errors.ts'
import type { Family } from './launch.ts'

type KoffiFunction = ReturnType<LibraryHandle['func']>

/** What a handle is: an address in Open MPI, an integer in MPICH. */
type Handle = bigint | number

/** A communicator or request, as MPI's functions write it: eight bytes hold either family's. */
export const newHandle = (): BigUint64Array<ArrayBuffer> => new BigUint64Array(new ArrayBuffer(8))

/** MPI_THREAD_FUNNELED: the process may have threads, and one of them calls MPI. */
const FUNNELED = 1

/** MPI_MAX_LIBRARY_VERSION_STRING is 256 in Open MPI and 8192 in MPICH; MPI_MAX_ERROR_STRING is smaller. */
const TEXT_BYTES = 8192

/** What the families' mpi.h define. */
interface Abi {
  /** How koffi writes the type of a handle. */
  handle: 'void *' | 'int'
  world: Handle
  float: Handle
  double: Handle
  byte: Handle
  sum: Handle
  errorsReturn: Handle
  /** MPI_IN_PLACE and MPI_STATUS_IGNORE, addresses. */
  inPlace: bigint
  ignore: bigint
  anySource: number
}

/** mpi.h of Open MPI 4 and 5. */
const openMpi = (lib: LibraryHandle): Abi => ({
  handle: 'void *',
  world: lib.symbol('ompi_mpi_comm_world'),
  float: lib.symbol('ompi_mpi_float'),
  double: lib.symbol('ompi_mpi_double'),
  byte: lib.symbol('ompi_mpi_byte'),
  sum: lib.symbol('ompi_mpi_op_sum'),
  errorsReturn: lib.symbol('ompi_mpi_errors_return'),
  inPlace: 1n,
  ignore: 0n,
  anySource: -1,
})

/** mpi.h of MPICH 3 and 4: the common ABI of its family (https://www.mpich.org/abi). */
const mpich: Abi = {
  handle: 'int',
  world: 0x44000000,
  float: 0x4c00040a,
  double: 0x4c00080b,
  byte: 0x4c00010d,
  sum: 0x58000003,
  errorsReturn: 0x54000001,
  inPlace: 2n ** 64n - 1n, // (void *) -1
  ignore: 1n,
  anySource: -2,
}

/** Under which names the families' libraries are found, the loader's own search path included. */
const NAMES: Readonly<Record<Family, readonly string[]>> = {
  'Open MPI': ['libmpi.so.40', 'libmpi.so', 'libmpi.40.dylib', 'libmpi.dylib'],
  MPICH: ['libmpich.so.12', 'libmpi.so.12', 'libmpi_cray.so.12', 'libmpi.12.dylib', 'libpmpi.12.dylib'],
}

/** What to do when there is no library. */
const ADVICE =
  'install one (Debian and Ubuntu: apt-get install openmpi-bin libopenmpi3; Fedora: dnf install openmpi; macOS: brew install open-mpi), or set KAKURITSU_MPI to the path of its libmpi'

/** What collectives sum. */
export type Summed = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>

/** MPI's functions as they are used here: non-blocking, their buffers in place. Their numbers are bytes or elements. */
export class MpiLibrary {
  /** In its own words: `Open MPI v4.1.4`. */
  readonly version: string
  readonly rank: number
  readonly size: number
  readonly #abi: Abi
  readonly #functions = new Map<string, KoffiFunction>()
  readonly #lib: LibraryHandle
  /** Of gradients and all else that every rank takes part in; and of messages from one rank to another. */
  readonly #collective: Handle
  readonly #messages: Handle
  readonly #flag = new Int32Array(new ArrayBuffer(4))

  /**
   * Loads the library and starts MPI in this process; the calling thread is the one that may call it from now on.
   * @param family which one the launcher belongs to
   * @throws UsageError when there is no library, koffi is not installed, or the library allows no threads
   */
  constructor(family: Family) {
    this.#lib = load(family)
    this.#abi = provides(this.#lib, 'ompi_mpi_comm_world') ? openMpi(this.#lib) : mpich
    const number = new Int32Array(new ArrayBuffer(4))
    this.version = this.#text((text, length) => this.#call('MPI_Get_library_version', 'pp', text, length))
    this.#call('MPI_Init_thread', 'ppip', null, null, FUNNELED, number)
    if (number[0] < FUNNELED)
      throw new UsageError(`${this.version} was built without threads: it grants MPI_THREAD_SINGLE alone; use another`)
    const { world } = this.#abi
    this.#call('MPI_Comm_rank', 'hp', world, number)
    this.rank = number[0]
    this.#call('MPI_Comm_size', 'hp', world, number)
    this.size = number[0]
    const duplicate = (): Handle => {
      const made = newHandle()
      this.#call('MPI_Comm_dup', 'hp', world, made)
      const comm = this.#abi.handle === 'int' ? new Int32Array(made.buffer)[0] : made[0]
      // A failed call then gives its error, with which the run ends in order; by default MPI ends the process.
      this.#call('MPI_Comm_set_errhandler', 'hh', comm, this.#abi.errorsReturn)
      return comm
    }
    this.#collective = duplicate()
    this.#messages = duplicate()
  }

  /** Starts the sum over all ranks of `values`, in place. */
  sum(values: Summed, request: BigUint64Array): void {
    const type = values instanceof Float32Array ? this.#abi.float : this.#abi.double
    const { inPlace, sum } = this.#abi
    this.#call('MPI_Iallreduce', 'ppihhhp', inPlace, values, values.length, type, sum, this.#collective, request)
  }

  /** Starts to send rank 0's bytes to all ranks, in place. */
  broadcast(bytes: Uint8Array, request: BigUint64Array): void {
    this.#call('MPI_Ibcast', 'pihihp', bytes, bytes.length, this.#abi.byte, 0, this.#collective, request)
  }

  /** Starts to fill `all` with every rank's slot of `slot` bytes, this rank's being there. */
  gather(all: Uint8Array, slot: number, request: BigUint64Array): void {
    const { inPlace, byte } = this.#abi
    this.#call('MPI_Iallgather', 'pihpihhp', inPlace, 0, byte, all, slot, byte, this.#collective, request)
  }

  /** Starts to send a message. */
  send(bytes: Uint8Array, to: number, request: BigUint64Array): void {
    this.#call('MPI_Isend', 'pihiihp', bytes, bytes.length, this.#abi.byte, to, 0, this.#messages, request)
  }

  /** Receives a message that has arrived, from any rank; false when none has. */
  receive(into: Uint8Array): boolean {
    const { anySource, ignore, byte } = this.#abi
    this.#call('MPI_Iprobe', 'iihpp', anySource, 0, this.#messages, this.#flag, ignore)
    if (!this.#flag[0]) return false
    this.#call('MPI_Recv', 'pihiihp', into, into.length, byte, anySource, 0, this.#messages, ignore)
    return true
  }

  /** Whether what was started is done; lets MPI get on with it. */
  test(request: BigUint64Array): boolean {
    this.#call('MPI_Test', 'ppp', request, this.#flag, this.#abi.ignore)
    return this.#flag[0] !== 0
  }

  /** Ends MPI, when all ranks call it. */
  finalize(): void {
    this.#call('MPI_Finalize', '')
  }

  /** Ends the processes of all ranks, this one included. */
  abort(status: number): void {
    this.#call('MPI_Abort', 'hi', this.#abi.world, status)
  }

  /**
   * Calls a function of MPI.
   * @param types of its parameters: p a pointer, i an int, h a handle
   * @throws Error with MPI's words when it fails
   */
  #call(name: string, types: string, ...values: unknown[]): void {
    const status = this.#function(name, types)(...values) as number
    if (status === 0) return
    const words = this.#text((text, length) => this.#function('MPI_Error_string', 'ipp')(status, text, length))
    throw new Error(`${name} failed: ${words}`)
  }

  #function(name: string, types: string): KoffiFunction {
    let made = this.#functions.get(name)
    if (!made) {
      const named = { p: 'void *', i: 'int', h: this.#abi.handle }
      const parameters = [...types].map((type) => named[type as keyof typeof named])
      made = this.#lib.func(name, 'int', parameters)
      this.#functions.set(name, made)
    }
    return made
  }

  /** What a function writes as text and its length; the first line of it. */
  #text(write: (text: Uint8Array, length: Int32Array) => void): string {
    const text = Buffer.alloc(TEXT_BYTES)
    const length = new Int32Array(new ArrayBuffer(4))
    write(text, length)
    const [line] = text.toString('utf8', 0, length[0]).split(/[\n\0]/)
    return line.replace(/, package:.*/, '').replace(/ Version:\s*/, ' ') // of Open MPI, and of MPICH
  }
}

/** @throws UsageError */
function load(family: Family): LibraryHandle {
  let koffi: typeof import('koffi')
  try {
    koffi = createRequire(import.meta.url)('koffi')
  } catch {
    throw new UsageError(
      'several processes talk over MPI through the package koffi, which is not here: npm install koffi',
    )
  }
  const given = process.env.KAKURITSU_MPI
  const names = given ? [given] : NAMES[family]
  let why = ''
  for (const name of names)
    try {
      // Open MPI's plugins look for its symbols among the process's: they must be global, as if it had been linked.
      return koffi.load(name, { global: true })
    } catch (error) {
      why = (error as Error).message
    }
  if (given) throw new UsageError(`KAKURITSU_MPI names ${given}, which cannot be loaded: ${why}`)
  throw new UsageError(
    `these processes were started by ${family}, but there is no library of it (${names[0]}): ${ADVICE}`,
  )
}

function provides(lib: LibraryHandle, symbol: string): boolean {
  try {
    return lib.symbol(symbol) !== null
  } catch {
    return false
  }
}
