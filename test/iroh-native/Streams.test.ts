import { StreamStopped } from "@aster-effect/iroh/BiStream"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { NativeEndpoint } from "../../packages/iroh-native/src/internal/addon.ts"
import { NativeConnection, type Streams } from "../../packages/iroh-native/src/internal/connection.ts"

/** An addon that does what it is told and tells nothing by itself. */
const addon = (): NativeEndpoint => {
  let streams = 0
  const nothing = () => {}
  return {
    fallback: null,
    addr: () => [],
    setAlpns: nothing,
    connect: () => 0,
    acceptIncoming: nothing,
    takeIncoming: nothing,
    challengeIncoming: () => false,
    open: () => ++streams,
    acceptStreams: nothing,
    closeConnection: nothing,
    bytesReceived: () => 0,
    write: (_stream, bytes) => bytes.length,
    finish: nothing,
    reset: nothing,
    stop: nothing,
    discard: nothing,
    consumed: nothing,
    flush: nothing,
    close: nothing,
    alive: () => []
  }
}

/** The ways in which each half of a stream can end on our side, and those that the peer's word ends. */
const sending = ["finish", "reset", "stopped"] as const
const receiving = ["discard", "stop", "end"] as const

describe("streams of the addon", () => {
  for (const first of ["send", "recv"] as const)
    for (const out of sending)
      for (const back of receiving)
        it.effect(`are forgotten after ${first === "send" ? `${out} and ${back}` : `${back} and ${out}`}`, () =>
          Effect.gen(function* () {
            const streams: Streams = new Map()
            const id = EndpointId.fromBytes(new Uint8Array(32))
            const connection = new NativeConnection(addon(), 1, streams, id, "test")
            const { recv, send } = yield* connection.openBi
            const [stream] = streams.values()
            const endSend =
              out === "finish"
                ? send.finish
                : out === "reset"
                  ? send.reset(0)
                  : Effect.sync(() => stream!.send!.failed(new StreamStopped({ code: 0 })))
            const endRecv =
              back === "discard"
                ? recv.discard
                : back === "stop"
                  ? recv.stop(0)
                  : Effect.sync(() => stream!.recv!.ended(undefined))
            yield* send.write(new Uint8Array(1))
            yield* first === "send" ? Effect.andThen(endSend, endRecv) : Effect.andThen(endRecv, endSend)
            assert.strictEqual(streams.size, 0)
          })
        )
})
