/** Producers of one deployment, on a network in memory and under the test clock. */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { Member } from "@aster-effect/mesh/Member"
import type { Mesh } from "@aster-effect/mesh/Mesh"
import type { AsterServer, AsterServerOptions } from "@aster-effect/server/AsterServer"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { enrol, type Issue, memoryNode, root, serve, settings } from "../admission/Deployment.ts"

export interface ProducerOptions extends Omit<AsterServerOptions, "config"> {
  readonly node?: IrohNode["Service"] | undefined
  /** Where it keeps its state. */
  readonly directory?: string | undefined
  /** Of its credential; `false` for none. */
  readonly credential?: Issue | false | undefined
  /** Whom it asks. */
  readonly at?: ReadonlyArray<{ readonly address: string }> | undefined
}

export interface Producer {
  readonly server: AsterServer["Service"]
  readonly mesh: Mesh["Service"]
  readonly node: IrohNode["Service"]
  readonly id: EndpointId
  readonly address: string
}

/** A producer that admits producers, and has a credential of the deployment. */
export const producer = Effect.fnUntraced(function* ({
  at,
  credential,
  directory,
  node,
  ...options
}: ProducerOptions = {}) {
  const own = node ?? (yield* memoryNode())
  const shown = credential === false ? undefined : yield* enrol(own, { role: "producer", ...credential })
  const server = yield* serve(own, {
    config: settings({ rootPubkey: root.publicKey, allowAllProducers: false, storagePath: directory }),
    publish: false,
    ...options,
    mesh: {
      credential: shown,
      contacts: (at ?? []).map(({ address }) => address),
      ...(options.mesh === false ? {} : options.mesh)
    }
  })
  const made: Producer = { server, mesh: server.mesh!, node: own, id: own.endpointId, address: server.address }
  return made
})

/** Lets time pass, a bit at a time, until something is so. */
export const until = <A>(
  effect: Effect.Effect<A>,
  condition: (value: A) => boolean,
  what: string,
  seconds = 60
): Effect.Effect<A> =>
  Effect.gen(function* () {
    for (let i = 0; i < seconds * 10; i++) {
      const value = yield* effect
      if (condition(value)) return value
      yield* TestClock.adjust("100 millis")
      // Disks take real time.
      if (i > 50) yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2)))
      for (let turn = 0; turn < 5; turn++) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    }
    return assert.fail(`in vain: ${what}`)
  })

/** Waits for a start while time passes: what was killed here still has its part of the clock, and of the directory. */
export const starting = Effect.fnUntraced(function* <A, E, R>(start: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkChild(start)
  yield* until(
    Effect.sync(() => fiber.pollUnsafe()),
    (exit) => exit !== undefined,
    "it has started",
    600
  )
  return yield* Fiber.join(fiber)
})

/** Lets time pass. */
export const pass = (seconds: number): Effect.Effect<void> => {
  let left = seconds * 10
  return Effect.asVoid(
    until(
      Effect.sync(() => left--),
      (now) => now <= 0,
      "time",
      seconds + 1
    )
  )
}

/** What a producer knows of another. */
export const memberOf = (of: Producer, id: EndpointId): Effect.Effect<Member | undefined> =>
  Effect.map(of.mesh.members.get, (members) => members.find(({ endpointId }) => endpointId === id))

/** Waits until each knows all, each by its credential, and what it serves. */
export const meet = (producers: ReadonlyArray<Producer>, seconds = 60): Effect.Effect<void> =>
  until(
    Effect.forEach(producers, ({ mesh }) => mesh.members.get),
    (all) =>
      all.every((members) =>
        producers.every(({ id }) =>
          members.some(
            ({ endpointId, leases, proof }) => endpointId === id && proof === "credential" && leases.length > 0
          )
        )
      ),
    "all know all",
    seconds
  )
