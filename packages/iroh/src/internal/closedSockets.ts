/**
 * A native endpoint that was closed keeps its sockets and about a megabyte until the garbage collector finds it, which
 * sees none of that and is in no hurry. These endpoints are remembered, so that who wants such a port again does not
 * depend on when that happens, and collected when there are many.
 */
import { setTimeout } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

const portOf = (address: string): string => address.slice(address.lastIndexOf(":") + 1)

/** Ports of endpoints that are closed and not known to be collected. */
const ports = new Set<string>()

/** After so many a collection is worth its time. */
const maxUncollected = 32
let closings = 0

const collected = new FinalizationRegistry<ReadonlyArray<string>>((sockets) => {
  for (const socket of sockets) ports.delete(portOf(socket))
})

/** Remembers the sockets of an endpoint that has just been closed. */
export const noteClosed = (endpoint: object, sockets: ReadonlyArray<string>): void => {
  for (const socket of sockets) ports.add(portOf(socket))
  collected.register(endpoint, sockets)
  // In a later turn, when whoever closed it has let go of it.
  if (++closings % maxUncollected === 0) setImmediate(() => garbageCollector()())
}

/**
 * Opens an endpoint on `addresses`. Where a closed one may be in the way it is collected first, if nobody holds its
 * connections; native finalisers take a few turns of the event loop.
 */
export const openOn = async <A>(addresses: ReadonlyArray<string>, open: () => Promise<A>): Promise<A> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await open()
    } catch (error) {
      if (attempt > 5 || !addresses.some((address) => ports.has(portOf(address)))) throw error
      garbageCollector()()
      await setTimeout(10 * attempt)
    }
  }
}

/** The collector is shown only to a context made after this flag was set, whatever the process was started with. */
const garbageCollector = (): (() => void) => {
  setFlagsFromString("--expose-gc")
  try {
    return runInNewContext("gc")
  } finally {
    setFlagsFromString("--no-expose-gc")
  }
}
