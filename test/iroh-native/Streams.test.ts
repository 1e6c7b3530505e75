import { StreamStopped } from "@aster-effect/iroh/BiStream"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
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
    take: () => 0,
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

  it.effect("are read in order, whatever of them waits in the addon", () =>
    Effect.gen(function* () {
      const waiting = [1, 2, 3, 4, 5]
      let kept = 0
      const native: NativeEndpoint = {
        ...addon(),
        keep: () => void kept++,
        take: (_stream, room) => {
          const taken = waiting.splice(0, room.length)
          room.set(taken)
          return taken.length
        }
      }
      const streams: Streams = new Map()
      const id = EndpointId.fromBytes(new Uint8Array(32))
      const { recv } = yield* new NativeConnection(native, 1, streams, id, "test").openBi
      const stream = [...streams.values()][0]!
      const room = new Uint8Array(3)
      const first = yield* Effect.forkChild(recv.read(10, room), { startImmediately: true })
      // Told before the addon heard that it is to keep what comes.
      stream.recv!.arrived(Uint8Array.of(0))
      assert.deepStrictEqual(yield* Fiber.join(first), Uint8Array.of(0))
      const second = yield* Effect.forkChild(recv.read(10, room), { startImmediately: true })
      stream.recv!.filled()
      assert.deepStrictEqual(yield* Fiber.join(second), Uint8Array.of(1, 2, 3))
      assert.strictEqual(room[0], 1)
      assert.deepStrictEqual(yield* recv.read(10), Uint8Array.of(4, 5))
      const third = yield* Effect.forkChild(recv.read(10, room), { startImmediately: true })
      // The addon tells what was left when the stream ended.
      stream.recv!.arrived(Uint8Array.of(6))
      stream.recv!.ended(undefined)
      assert.deepStrictEqual(yield* Fiber.join(third), Uint8Array.of(6))
      assert.isUndefined(yield* recv.read(10, room))
      assert.strictEqual(kept, 1)
    })
  )
})
