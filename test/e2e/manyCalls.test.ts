import { AsterClient } from "@aster-effect/client/AsterClient"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { measure } from "../faults/Memory.ts"

class Ping extends Wire.Class<Ping>("many/Ping")({ data: Wire.Bytes }) {}

const Echo = Service.make("Echo").add(Rpc.unary("echo", { request: Ping, response: Ping }))
const EchoLive = Echo.toLayer({ echo: (ping) => Effect.succeed(ping) })

const CALLS = 100_000
const IN_FLIGHT = 64

describe("many calls", () => {
  // A hundred streams may be open at a time: a stream that either side fails to give back stalls the connection early.
  it.live.each([
    { name: "a stream each", multiplex: false },
    { name: "on one stream", multiplex: true }
  ])(
    `${CALLS} on one connection, ${IN_FLIGHT} at a time, $name, in bounded memory`,
    ({ multiplex }) =>
      Effect.gen(function* () {
        const { address } = yield* AsterServer
        const context = yield* Layer.build(AsterClient.layer({ address, multiplex, node: loopback }))
        const { echo } = yield* Context.get(context, AsterClient).client(Echo)
        const calls = (count: number) =>
          Effect.forEach(
            Array.from({ length: count }, (_, i) => i),
            (i) =>
              Effect.map(echo(new Ping({ data: Uint8Array.of(i, i >>> 8, i >>> 16) })), ({ data }) =>
                assert.strictEqual(data[0]! | (data[1]! << 8) | (data[2]! << 16), i)
              ),
            { concurrency: IN_FLIGHT, discard: true }
          )
        // Both sides run in this process, so it holds whatever either of them keeps. What is lost grows every time; what the
        // allocator keeps for the next time, the more the busier the machine is, does not.
        yield* calls(CALLS / 4)
        const grown: Array<number> = []
        do {
          const before = yield* Effect.promise(measure)
          yield* calls(CALLS)
          const after = yield* Effect.promise(measure)
          assert.isBelow(after.held - before.held, 5)
          grown.push(after.native - before.native)
          assert.isBelow(grown.length, 4, `MiB outside of the heap, each time: ${grown}`)
        } while (grown.at(-1)! >= 60)
      }).pipe(Effect.provide(AsterServer.layer({ node: loopback }).pipe(Layer.provide(EchoLive)))),
    600_000
  )
})
