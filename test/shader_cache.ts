/** Where Mesa keeps compiled shaders: in the user's cache folder, unless it is told otherwise. */
import { homedir } from 'node:os'
import { join } from 'node:path'

const { MESA_SHADER_CACHE_DIR, XDG_CACHE_HOME } = process.env

/** The environment of runs that have a cache folder of their own, so that they need not compile all shaders anew. */
export const SHADER_CACHE = {
  MESA_SHADER_CACHE_DIR: MESA_SHADER_CACHE_DIR || XDG_CACHE_HOME || join(homedir(), '.cache'),
}
