/** What a client makes of servers that do not keep to the protocol (Aster RPC wire, irregular endings). */
import { zstdCompressSync } from "node:zlib"
import type { CallChannel } from "@aster-effect/core/wire/CallChannel"
import * as Caller from "@aster-effect/core/call/Caller"
import * as Control from "@aster-effect/core/wire/Control"
import * as Frame from "@aster-effect/core/wire/Frame"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import type { Encoding } from "@aster-effect/core/message/MessageCodec"
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { message as written } from "../faults/RawCall.ts"
import { CountRequest, HelloReply, HelloRequest, KitchenSink, Number } from "../../examples/kitchen-sink/KitchenSink.ts"

const payload = (message: string, encoding: Encoding) => written(HelloReply, new HelloReply({ message }), encoding)
const reply = (encoding: Encoding, message = "hi") => Frame.encode(payload(message, encoding), 0)
const number = (encoding: Encoding, value: number) => Frame.encode(written(Number, new Number({ value }), encoding), 0)
const trailer = (encoding: Encoding, status: Partial<Control.RpcStatus> = {}) =>
  Frame.encode(Control.encodeStatus({ ...Control.OK, ...status }, encoding), Frame.TRAILER)
const bytes = (...values: ReadonlyArray<number>) => Uint8Array.from(values)

/** The server's half of a call: what it sends once it has heard of it, and how it ends. */
interface Script {
  readonly send: ReadonlyArray<Uint8Array>
  /** Default: it finishes its half. */
  readonly end?: "finish" | "abort" | "open"
}

const serving = ({ end = "finish", send }: Script, encoding: Encoding) => {
  const act = (server: CallChannel) =>
    Effect.gen(function* () {
      yield* server.receive
      for (const part of send) yield* server.send(part)
      if (end !== "open") yield* server[end]
    })
  const open = Effect.suspend(() => {
    const [client, server] = LocalTransport.pair()
    return Effect.as(Effect.forkDetach(Effect.ignore(act(server))), client)
  })
  return Caller.make(KitchenSink, { open: () => open, peer: "local", version: 1, encoding })
}

interface Row extends Script {
  readonly name: string
  /** The text of the reply, or status and a part of the message. */
  readonly outcome: string | readonly [status: string, message: string]
}

const unary = (encoding: Encoding): ReadonlyArray<Row> => [
  { name: "a reply and a status", send: [reply(encoding), trailer(encoding)], outcome: "hi" },
  { name: "the same without an end", send: [reply(encoding), trailer(encoding)], end: "open", outcome: "hi" },
  { name: "frames behind the status", send: [reply(encoding), trailer(encoding), reply(encoding)], outcome: "hi" },
  { name: "garbage behind the status", send: [reply(encoding), trailer(encoding), bytes(0, 0, 0, 0)], outcome: "hi" },
  {
    name: "a compressed reply",
    send: [Frame.encode(zstdCompressSync(payload("x", encoding)), Frame.COMPRESSED), trailer(encoding)],
    outcome: "x"
  },
  {
    name: "bits that mean nothing yet",
    send: [Frame.encode(payload("x", encoding), 0xc0), trailer(encoding)],
    outcome: "x"
  },
  { name: "no status", send: [reply(encoding)], outcome: ["UNAVAILABLE", "without a status"] },
  { name: "nothing", send: [], outcome: ["UNAVAILABLE", "without a status"] },
  { name: "a reset", send: [], end: "abort", outcome: ["UNAVAILABLE", ""] },
  { name: "a reset behind the reply", send: [reply(encoding)], end: "abort", outcome: ["UNAVAILABLE", ""] },
  { name: "a status alone", send: [trailer(encoding)], outcome: ["INTERNAL", "without a response"] },
  {
    name: "two replies",
    send: [reply(encoding), reply(encoding), trailer(encoding)],
    outcome: ["INTERNAL", "more than one response"]
  },
  { name: "an empty status", send: [reply(encoding), bytes(1, 0, 0, 0, 2)], outcome: ["INTERNAL", "ends early"] },
  {
    name: "a status in the other encoding",
    send: [trailer(encoding === "json" ? "xlang" : "json", { code: 5, message: "nf" })],
    outcome: ["NOT_FOUND", "nf"]
  },
  {
    name: "a status without a name",
    send: [trailer(encoding, { code: 999, message: "odd" })],
    outcome: ["CODE_999", "odd"]
  },
  {
    name: "a reply of another type",
    send: [number(encoding, 1), trailer(encoding)],
    outcome: encoding === "json" ? ["CONTRACT_VIOLATION", "the response"] : ["INTERNAL", "the response"]
  },
  {
    name: "a reply that cannot be decoded",
    send: [Frame.encode(bytes(2, 255, 255), 0), trailer(encoding)],
    outcome: ["INTERNAL", "the response"]
  },
  {
    name: "bad zstd",
    send: [Frame.encode(bytes(1, 2, 3), Frame.COMPRESSED), trailer(encoding)],
    outcome: ["INTERNAL", ""]
  },
  {
    name: "a bomb",
    send: [Frame.encode(zstdCompressSync(new Uint8Array(16_777_217)), Frame.COMPRESSED), trailer(encoding)],
    outcome: ["INTERNAL", "16777216"]
  },
  { name: "a frame of length 0", send: [bytes(0, 0, 0, 0)], outcome: ["INTERNAL", "the answer"] },
  { name: "an oversized frame", send: [bytes(1, 0, 0, 1, 0)], outcome: ["INTERNAL", "the answer"] },
  { name: "a truncated frame", send: [bytes(9, 0, 0, 0, 0, 1)], outcome: ["INTERNAL", "the answer"] }
]

const outcomeOf = (error: RpcError) => [error.status, error.message] as const

const requireOutcome = ([status, message]: readonly [string, string], error: RpcError) => {
  assert.strictEqual(error.status, status, error.message)
  assert.include(error.message, message)
}

describe.each<Encoding>(["xlang", "json"])("a client in %s, answered with", (encoding) => {
  for (const row of unary(encoding)) {
    it.effect(row.name, () =>
      Effect.gen(function* () {
        const { outcome } = row
        const call = serving(row, encoding).say_hello(new HelloRequest({ name: "x" }))
        if (typeof outcome === "string") assert.strictEqual((yield* call).message, outcome)
        else requireOutcome(outcome, yield* Effect.flip(call))
      })
    )
  }

  it.effect("details", () =>
    Effect.gen(function* () {
      const status = { code: 9, message: "no", detailKeys: ["a", "b", "none"], detailValues: ["1", "2"] }
      const error = yield* Effect.flip(
        serving({ send: [trailer(encoding, status)] }, encoding).say_hello(new HelloRequest({ name: "x" }))
      )
      assert.deepStrictEqual([...outcomeOf(error), error.details], ["FAILED_PRECONDITION", "no", { a: "1", b: "2" }])
    })
  )

  const streams: ReadonlyArray<{
    readonly name: string
    readonly script: Script
    readonly ends: "well" | readonly [status: string, message: string]
  }> = [
    {
      name: "items and a status",
      script: { send: [number(encoding, 1), number(encoding, 2), trailer(encoding)] },
      ends: "well"
    },
    {
      name: "a row schema before the items",
      script: {
        send: [
          Frame.encode(bytes(1, 2, 3), Frame.ROW_SCHEMA),
          number(encoding, 1),
          number(encoding, 2),
          trailer(encoding)
        ]
      },
      ends: "well"
    },
    {
      name: "items and no status",
      script: { send: [number(encoding, 1), number(encoding, 2)] },
      ends: ["UNAVAILABLE", "without a status"]
    },
    {
      name: "items and a reset",
      script: { send: [number(encoding, 1), number(encoding, 2)], end: "abort" },
      ends: ["UNAVAILABLE", ""]
    },
    {
      name: "an item that cannot be decoded",
      script: { send: [number(encoding, 1), number(encoding, 2), Frame.encode(bytes(2, 255), 0), trailer(encoding)] },
      ends: ["INTERNAL", "the response"]
    }
  ]
  for (const { ends, name, script } of streams) {
    it.effect(`${name}, on a stream`, () =>
      Effect.gen(function* () {
        const received: Array<number> = []
        const call = Stream.runForEach(serving(script, encoding).count(new CountRequest({ to: 2 })), ({ value }) =>
          Effect.sync(() => received.push(value))
        )
        if (ends === "well") yield* call
        else requireOutcome(ends, yield* Effect.flip(call))
        assert.deepStrictEqual(received, [1, 2])
      })
    )
  }

  it.effect("replies and no status, on a bidi stream", () =>
    Effect.gen(function* () {
      const calls = serving({ send: [reply(encoding)] }, encoding)
      const error = yield* Effect.flip(Stream.runDrain(calls.chat(Stream.never)))
      assert.deepStrictEqual(outcomeOf(error), ["UNAVAILABLE", "the stream ended without a status"])
    })
  )
})
