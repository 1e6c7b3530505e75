/**
 * What this process holds once everything that can be collected has been. Needs `--expose-gc`.
 */
import { setTimeout as sleep } from "node:timers/promises"

const MiB = 1024 * 1024

/** In MiB. */
export interface Memory {
  /** On the heap and in buffers: what is reachable. */
  readonly held: number
  /** Resident outside of the heap: what native code has allocated, or has kept for the next time. */
  readonly native: number
}

export const measure = async (): Promise<Memory> => {
  const collect = globalThis.gc
  if (collect === undefined) throw new Error("start this with --expose-gc")
  // What finalizers free is gone with a later collection.
  for (let i = 0; i < 4; i++) {
    collect()
    await sleep(20)
  }
  const { arrayBuffers, heapTotal, heapUsed, rss } = process.memoryUsage()
  return { held: (heapUsed + arrayBuffers) / MiB, native: (rss - heapTotal) / MiB }
}
