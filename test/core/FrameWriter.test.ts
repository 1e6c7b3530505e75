import * as MessageCodec from "@aster-effect/core/message/MessageCodec"
import * as Wire from "@aster-effect/core/message/Wire"
import { type CallChannel, ChannelError } from "@aster-effect/core/wire/CallChannel"
import { FrameDecoder } from "@aster-effect/core/wire/Frame"
import { FrameWriter } from "@aster-effect/core/wire/FrameWriter"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

class Payload extends Wire.Class<Payload>("test/Payload")({ data: Wire.Bytes }) {}
const [codec] = MessageCodec.compileAll([Payload])

/** A channel whose sends do as the test says; what was sent is kept as it is, not copied. */
const channel = (sending: Effect.Effect<void, ChannelError> = Effect.void) => {
  const sent: Array<Uint8Array> = []
  const made: CallChannel = {
    receive: Effect.never,
    send: (bytes) => {
      sent.push(bytes)
      return sending
    },
    finish: Effect.void,
    abort: Effect.void,
    release: Effect.void
  }
  return { channel: made, sent }
}

/** A writer with a message of so many bytes of one value. */
const filled = (size: number, value: number) => {
  const frames = new FrameWriter("xlang", false)
  frames.message(codec, new Payload({ data: new Uint8Array(size).fill(value) }))
  return frames
}

const dataIn = (bytes: Uint8Array): Uint8Array => {
  const decoder = new FrameDecoder()
  decoder.push(bytes)
  return codec.read(decoder.next()!.payload, "xlang").data
}

const LARGE = 300_000

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

describe("the memory of large messages", () => {
  it.effect("is used again once they have been sent", () =>
    Effect.gen(function* () {
      const { channel: to, sent } = channel()
      yield* filled(LARGE, 1).send(to)
      yield* filled(LARGE, 2).send(to)
      assert.isTrue(sent[0]!.buffer === sent[1]!.buffer)
      assert.isTrue(dataIn(sent[1]!).every((byte) => byte === 2))
    })
  )

  it.live("is let go when nobody has used it between two collections", () =>
    Effect.gen(function* () {
      const { channel: to, sent } = channel()
      yield* filled(LARGE, 1).send(to)
      for (let i = 0; i < 4; i++) {
        collect()
        yield* Effect.sleep("20 millis")
      }
      yield* filled(LARGE, 2).send(to)
      assert.isFalse(sent[0]!.buffer === sent[1]!.buffer)
    })
  )

  it.effect("is left alone as long as it may be sent, and when that failed", () =>
    Effect.gen(function* () {
      const over = yield* Deferred.make<void>()
      const held = [
        channel(Deferred.await(over)),
        channel(Effect.fail(new ChannelError({ reason: "Lost", detail: "as the test says" }))),
        channel(Effect.interrupt)
      ]
      const sending = yield* Effect.forEach(held, ({ channel: to }, i) =>
        Effect.forkChild(Effect.exit(filled(LARGE, i).send(to)), { startImmediately: true })
      )
      const { channel: to, sent } = channel()
      for (let i = 0; i < 10; i++) yield* filled(LARGE, 99).send(to)
      assert.isTrue(sent.every(({ buffer }) => held.every((other) => other.sent[0]!.buffer !== buffer)))
      held.forEach(({ sent }, i) => assert.isTrue(dataIn(sent[0]!).every((byte) => byte === i)))
      yield* Deferred.succeed(over, undefined)
      yield* Fiber.joinAll(sending)
    })
  )

  it.effect("does not leave with small messages", () =>
    Effect.gen(function* () {
      const { channel: to, sent } = channel()
      yield* filled(LARGE, 1).send(to)
      yield* filled(10, 2).send(to)
      yield* filled(10, 3).send(to)
      assert.isBelow(sent[1]!.buffer.byteLength, 10_000)
      assert.deepStrictEqual([dataIn(sent[1]!)[9], dataIn(sent[2]!)[9]], [2, 3])
    })
  )

  it.effect("is kept up to a limit", () =>
    Effect.gen(function* () {
      const over = yield* Deferred.make<void>()
      const before = channel(Deferred.await(over))
      const sending = yield* Effect.forEach(Array.from({ length: 64 }), () =>
        Effect.forkChild(filled(1_000_000, 1).send(before.channel), { startImmediately: true })
      )
      yield* Deferred.succeed(over, undefined)
      yield* Fiber.joinAll(sending)
      const after = channel(Effect.never)
      for (let i = 0; i < 64; i++) {
        yield* Effect.forkChild(filled(900_000, 1).send(after.channel), { startImmediately: true })
      }
      const known = new Set(before.sent.map(({ buffer }) => buffer))
      const again = after.sent.filter(({ buffer }) => known.has(buffer))
      assert.isAtMost(again.length, 6)
    })
  )
})
