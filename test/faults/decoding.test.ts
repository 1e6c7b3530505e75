/** What becomes of few bytes that stand for very many, at a server and at a client. */
import * as Caller from "@aster-effect/core/call/Caller"
import * as MessageCodec from "@aster-effect/core/message/MessageCodec"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import type { CallChannel } from "@aster-effect/core/wire/CallChannel"
import { encodeHeader, SERIALIZATION_MODE } from "@aster-effect/core/wire/Control"
import * as Frame from "@aster-effect/core/wire/Frame"
import { FrameWriter } from "@aster-effect/core/wire/FrameWriter"
import * as Multiplex from "@aster-effect/transport/Multiplex"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import { zstdCompressSync } from "node:zlib"
import { start } from "./Child.ts"
import { Faulty, Item } from "./Faulty.ts"
import { consume, dial, node } from "./Kitchen.ts"

/** The most memory that a process has held so far, in MiB; undefined where the system does not say. */
const peakOf = (pid: number | undefined): number | undefined => {
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
    return kib === undefined ? undefined : Number(kib) / 1024
  } catch {
    return undefined
  }
}

const varint = (value: number): ReadonlyArray<number> =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]

describe("a server", () => {
  it.live(
    "that is sent a hundred small requests which become gigabytes holds a part of them and serves the others meanwhile",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const child = yield* start("test/faults/faultyServer.ts")
          const server = JSON.parse(yield* child.line) as { readonly address: string }
          const honest = yield* Effect.flatMap(consume(server), (consumer) => consumer.client(Faulty))
          yield* honest.echo(new Item({ n: 1 }))
          const before = peakOf(child.process.pid)
          const header = encodeHeader(
            {
              service: "Faulty",
              method: "keep",
              version: 1,
              callId: "",
              deadlineEpochMs: 0,
              serializationMode: SERIALIZATION_MODE.json,
              metadataKeys: [],
              metadataValues: []
            },
            "json"
          )
          const bomb = zstdCompressSync(Buffer.from(`{"any":[${"{},".repeat(499_980)}0]}`))
          const call = Buffer.concat([Frame.encode(header, Frame.HEADER), Frame.encode(bomb, Frame.COMPRESSED)])
          assert.isBelow(call.length, 1000)
          const calls = Array.from({ length: 100 }, (_, i) =>
            Buffer.from([0, ...varint(i + 1), ...varint(call.length), ...call])
          )
          const connection = yield* dial(yield* node, server)
          const stream = yield* connection.openBi
          yield* stream.send.write(Frame.encode(Multiplex.HEADER, Frame.HEADER))
          yield* stream.recv.read()
          yield* stream.send.write(Buffer.concat(calls))
          // An old call and a new consumer are served while the requests wait for their turn.
          for (let i = 0; i < 5; i++) yield* Effect.timeout(honest.echo(new Item({ n: i })), "30 seconds")
          yield* Effect.timeout(consume(server), "30 seconds")
          yield* Effect.sleep("4 seconds")
          yield* Effect.timeout(honest.echo(new Item({ n: 9 })), "30 seconds")
          const after = peakOf(child.process.pid)
          // Decoded all at once they take more than 4 GiB.
          if (before !== undefined && after !== undefined) assert.isBelow(after - before, 1024)
        })
      ),
    240_000
  )
})

describe("a client", () => {
  class Blob extends Wire.Class<Blob>("decoding/Blob")({ data: Wire.Bytes }) {}
  const Blobs = Service.make("Blobs").add(Rpc.serverStream("all", { request: Blob, response: Blob }))
  const MESSAGE = 4 * 1024 * 1024

  it.live("decodes no more of what one read brought than may wait, and lets others run in between", () =>
    Effect.gen(function* () {
      const [codec] = MessageCodec.compileAll([Blob])
      const frames = new FrameWriter("xlang", true)
      for (let i = 0; i < 60; i++) frames.message(codec, new Blob({ data: new Uint8Array(MESSAGE) }))
      const chunk = frames.take()
      assert.isBelow(chunk.length, 64 * 1024)
      let sent = false
      const channel: CallChannel = {
        receive: Effect.suspend(() => (sent ? Effect.never : ((sent = true), Effect.succeed(chunk)))),
        send: () => Effect.void,
        finish: Effect.void,
        abort: Effect.void,
        release: Effect.void
      }
      const client = Caller.make(Blobs, { open: () => Effect.succeed(channel), peer: "peer", version: 1 })
      let ticks = 0
      const ticking = yield* Effect.forkChild(
        Effect.forever(
          Effect.andThen(
            Effect.sleep("1 millis"),
            Effect.sync(() => ticks++)
          )
        )
      )
      const held: Array<number> = []
      const before = process.memoryUsage().arrayBuffers
      yield* Stream.runForEach(Stream.take(client.all(new Blob({ data: new Uint8Array(0) })), 20), () =>
        Effect.sync(() => held.push(process.memoryUsage().arrayBuffers - before))
      )
      yield* Fiber.interrupt(ticking)
      assert.isBelow(held[0] ?? Infinity, 10 * MESSAGE)
      assert.isAtLeast(ticks, 5)
    })
  )
})
