/**
 * A native endpoint that was closed keeps its sockets and about a megabyte until the garbage collector finds it, which
 * sees none of that and is in no hurry. These endpoints are remembered, so that who wants such a port again does not
 * depend on when that happens, and collected when there are many.
 */
import { setTimeout } from "node:timers/promises"

const portOf = (address: string): string => address.slice(address.lastIndexOf(":") + 1)

/** Ports of endpoints that are closed and not known to be collected. */
const ports = new Set<string>()

/** After so many a collection is worth its time. */
const maxUncollected = 32
let closings = 0

const collected = new FinalizationRegistry<ReadonlyArray<string>>((sockets) => {
  for (const socket of sockets) ports.delete(portOf(socket))
})

/** Remembers the sockets of an endpoint that has just been closed, and collects it and others if `mayCollect`. */
export const noteClosed = (endpoint: object, sockets: ReadonlyArray<string>, mayCollect: boolean): void => {
  for (const socket of sockets) ports.add(portOf(socket))
  collected.register(endpoint, sockets)
  // In a later turn, when whoever closed it has let go of it.
  if (++closings % maxUncollected === 0 && mayCollect) setImmediate(() => void collectGarbage())
}

/**
 * Opens an endpoint on `addresses`. Where a closed one may be in the way it is collected first if `mayCollect`, unless
 * somebody holds its connections; native finalisers take a few turns of the event loop.
 */
export const openOn = async <A>(
  addresses: ReadonlyArray<string>,
  open: () => Promise<A>,
  mayCollect: boolean
): Promise<A> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await open()
    } catch (error) {
      if (!mayCollect || attempt > 5 || !addresses.some((address) => ports.has(portOf(address)))) throw error
      await collectGarbage()
      await setTimeout(10 * attempt)
    }
  }
}

/** Asks the process's own inspector, which needs no flag. Where there is none, nothing is collected. */
const collectGarbage = async (): Promise<void> => {
  try {
    const { Session } = await import("node:inspector")
    const session = new Session()
    session.connect()
    await new Promise((done) => session.post("HeapProfiler.collectGarbage", done))
    session.disconnect()
  } catch {
    // Node was built without an inspector, or this process may not use it.
  }
}
