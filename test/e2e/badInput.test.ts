import { zstdCompressSync } from "node:zlib"
import type { StreamHeader } from "@aster-effect/core/wire/Control"
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import * as Frame from "@aster-effect/core/wire/Frame"
import type { Interceptor } from "@aster-effect/core/interceptor/Interceptor"
import type { Encoding } from "@aster-effect/core/message/MessageCodec"
import * as Multiplex from "@aster-effect/transport/Multiplex"
import * as Rpc from "@aster-effect/core/service/Rpc"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import * as Service from "@aster-effect/core/service/Service"
import { StatusCode } from "@aster-effect/core/wire/Status"
import * as Wire from "@aster-effect/core/message/Wire"
import type { Connection } from "@aster-effect/iroh/Connection"
import { assert, describe, it, layer } from "@effect/vitest"
import { Random } from "../Random.ts"
import type { NodeServerOptions } from "@aster-effect/server/AsterServer"
import type * as Scope from "effect/Scope"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import {
  CountRequest,
  FailRequest,
  HelloReply,
  HelloRequest,
  KitchenSink,
  Number,
  SlowRequest,
  Text
} from "../../examples/kitchen-sink/KitchenSink.ts"
import { consume, dial, kitchen, node, serve } from "../faults/Kitchen.ts"
import { type Answer, decoded, exchange, header, message, text } from "../faults/RawCall.ts"
import { cpuTime } from "../cpuTime.ts"

const utf8 = new TextEncoder()

class Size extends Wire.Class<Size>("bad/Size")({ size: Wire.Int }) {}
class Empty extends Wire.Class<Empty>("bad/Empty")({}) {}

/** Not what `say_hello` takes, under its name. */
class Impostor extends Wire.Class<Impostor>("kitchen/HelloRequest")({ other: Wire.Int }) {}

const Rooms = Service.make("Rooms", { scope: "session" }).add(Rpc.unary("enter", { request: Empty, response: Empty }))
const JsonOnly = Service.make("JsonOnly", { serializationModes: ["json"] }).add(
  Rpc.unary("nothing", { request: Empty, response: Empty })
)
const Ledger = Service.make("Ledger", { version: 2 }).add(Rpc.unary("nothing", { request: Empty, response: Empty }))
const Twins = [1, 2].map((i) =>
  Service.make("Twins", { version: i + 1 }).add(Rpc.unary("nothing", { request: Empty, response: Empty }))
)
const Sizes = Service.make("Sizes").add(
  Rpc.unary("blank", { request: Size, response: Text }),
  Rpc.serverStream("blanks", { request: Size, response: Text })
)

const nothing = { nothing: () => Effect.succeed(new Empty({})) }
const blank = (size: number) => new Text({ text: " ".repeat(size) })
const services = Layer.mergeAll(
  kitchen,
  Rooms.toLayer({ enter: () => Effect.succeed(new Empty({})) }),
  JsonOnly.toLayer(nothing),
  Ledger.toLayer(nothing),
  Sizes.toLayer({
    blank: ({ size }) => Effect.succeed(blank(size)),
    blanks: ({ size }) => Stream.make(blank(10), blank(size))
  }),
  ...Twins.map((twin) => twin.toLayer(nothing))
)

/** Turns away whoever asks for it, before a request is read. */
const picky: Interceptor = (call, next) =>
  call.metadata.get("mood") === "bad" ? Effect.fail(RpcError.of("UNAUTHENTICATED", "not in this mood")) : next(call)

/** A server, and a bare connection to it. */
class Target extends Context.Service<
  Target,
  {
    readonly connection: Connection
    /** Others are served, on the same connection and on another. */
    readonly wellBehaved: Effect.Effect<void, unknown>
  }
>()("test/Target") {
  static readonly layer = Layer.effect(
    Target,
    Effect.gen(function* () {
      const server = yield* serve({ interceptors: [picky] }, services)
      const consumer = yield* consume(server)
      const calls = yield* consumer.client(KitchenSink)
      const connection = yield* dial(yield* node, server)
      return {
        connection,
        wellBehaved: Effect.gen(function* () {
          const own = yield* exchange(connection, { bytes: [header(), text('{"name":"own"}')], finish: true })
          assert.strictEqual(own.status?.code, StatusCode.OK)
          assert.deepStrictEqual(decoded(HelloReply, own.messages[0], "json"), hello("own"))
          assert.deepStrictEqual(yield* calls.say_hello(new HelloRequest({ name: "other" })), hello("other"))
        })
      }
    })
  ).pipe(Layer.provide(Layer.succeed(References.MinimumLogLevel, "None")))
}

const hello = (name: string) => new HelloReply({ message: `Hello, ${name}!` })
const request = (encoding: Encoding, name = "x") => message(HelloRequest, new HelloRequest({ name }), encoding)
const number = (encoding: Encoding, value: number) => Frame.encode(message(Number, new Number({ value }), encoding), 0)
const sum = (encoding: Encoding, fields: Partial<StreamHeader> = {}) => header({ method: "sum", ...fields }, encoding)
const chat = (encoding: Encoding) => header({ method: "chat" }, encoding)
const bytes = (...values: ReadonlyArray<number>) => Uint8Array.from(values)
const plain = (payload: Uint8Array) => Frame.encode(payload, 0)
const zipped = (payload: Uint8Array) => Frame.encode(zstdCompressSync(payload), Frame.COMPRESSED)

const ZERO_LENGTH = bytes(0, 0, 0, 0, 0)
const OVERSIZED = bytes(1, 0, 0, 1, 0, 0x7b)
const TRUNCATED = bytes(100, 0, 0, 0, 0, 0x7b)
const BOMB = zipped(new Uint8Array(16_777_217))

/** What is sent in an encoding, whether the client finishes, and which status has to come, in which encoding. */
interface Row {
  readonly name: string
  readonly send: (encoding: Encoding) => ReadonlyArray<Uint8Array>
  readonly finish?: boolean
  /** Status code, by encoding where it differs; undefined for no answer but the end. */
  readonly code: number | { readonly [E in Encoding]: number } | undefined
  /** Only where it is not the encoding of the stream. */
  readonly answeredIn?: Encoding
}

const { CONTRACT_VIOLATION, FAILED_PRECONDITION, INTERNAL, INVALID_ARGUMENT, NOT_FOUND, OK } = StatusCode
const { DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAUTHENTICATED, UNAVAILABLE, UNIMPLEMENTED } = StatusCode

const rows: ReadonlyArray<Row> = [
  // The first frame.
  { name: "no bytes", send: () => [], finish: true, code: undefined },
  { name: "part of a length", send: () => [bytes(9, 0, 0)], finish: true, code: undefined },
  {
    name: "first frame without the HEADER flag",
    send: (encoding) => [plain(header({}, encoding).subarray(5))],
    code: INTERNAL
  },
  {
    name: "header that cannot be decoded",
    send: (encoding) => [
      encoding === "json" ? text('{"service":', Frame.HEADER) : Frame.encode(bytes(2, 255, 255), Frame.HEADER)
    ],
    code: { json: INTERNAL, xlang: INVALID_ARGUMENT }
  },
  {
    name: "header with a key of the wrong type",
    send: () => [text('{"service":1}', Frame.HEADER)],
    code: INTERNAL,
    answeredIn: "json"
  },
  {
    name: "garbage header",
    send: () => [bytes(3, 0, 0, 0, 0xff, 0xfe, 0xfd)],
    code: INVALID_ARGUMENT,
    answeredIn: "xlang"
  },
  { name: "empty header", send: () => [bytes(1, 0, 0, 0, 4)], code: INVALID_ARGUMENT, answeredIn: "xlang" },
  {
    name: "header behind a space",
    send: () => [text(' {"service":"KitchenSink"}', Frame.HEADER)],
    code: INVALID_ARGUMENT,
    answeredIn: "xlang"
  },
  { name: "first frame of length 0", send: () => [ZERO_LENGTH], code: INTERNAL, answeredIn: "json" },
  { name: "oversized first frame", send: () => [OVERSIZED], code: INTERNAL, answeredIn: "json" },
  { name: "truncated first frame", send: () => [TRUNCATED], finish: true, code: INTERNAL, answeredIn: "json" },
  {
    name: "header larger than 64 KiB",
    send: (encoding) => [header({ callId: "x".repeat(65_536) }, encoding)],
    code: RESOURCE_EXHAUSTED
  },
  {
    name: "header nested too deeply",
    send: () => [text(`{"x":${"[".repeat(60)}${"]".repeat(60)}}`, Frame.HEADER)],
    code: INTERNAL,
    answeredIn: "json"
  },

  // What the header asks for.
  { name: "empty service", send: (encoding) => [header({ service: "" }, encoding)], code: INVALID_ARGUMENT },
  { name: "unknown service", send: (encoding) => [header({ service: "Nobody" }, encoding)], code: NOT_FOUND },
  { name: "unknown version", send: (encoding) => [header({ version: 7 }, encoding)], code: NOT_FOUND },
  {
    name: "missing version",
    send: () => [text('{"service":"KitchenSink"}', Frame.HEADER)],
    code: NOT_FOUND,
    answeredIn: "json"
  },
  { name: "fractional version", send: () => [header({ version: 1.5 })], code: NOT_FOUND, answeredIn: "json" },
  {
    name: "no method on a shared service",
    send: (encoding) => [header({ method: "" }, encoding)],
    code: FAILED_PRECONDITION
  },
  {
    name: "method on a session service",
    send: (encoding) => [header({ service: "Rooms", method: "enter" }, encoding)],
    code: FAILED_PRECONDITION
  },
  { name: "unknown method", send: (encoding) => [header({ method: "nobody" }, encoding)], code: UNIMPLEMENTED },
  {
    name: "method of every object",
    send: (encoding) => [header({ method: "constructor" }, encoding)],
    code: UNIMPLEMENTED
  },
  ...[1, 2, 99, -1].map((mode): Row => ({
    name: `Fory header with mode ${mode}`,
    send: () => [header({ serializationMode: mode }, "xlang"), plain(request("xlang"))],
    code: INVALID_ARGUMENT,
    answeredIn: "xlang"
  })),
  ...[0, 1, 99].map((mode): Row => ({
    name: `JSON header with mode ${mode}`,
    send: () => [header({ serializationMode: mode }), plain(request("json"))],
    code: OK,
    answeredIn: "json"
  })),
  {
    name: "XLANG for a service that takes JSON only",
    send: () => [header({ service: "JsonOnly", method: "nothing" }, "xlang")],
    code: INVALID_ARGUMENT,
    answeredIn: "xlang"
  },
  {
    name: "Fory header with JSON messages",
    send: () => [header({ serializationMode: 3 }, "xlang"), plain(request("json"))],
    code: OK,
    answeredIn: "json"
  },
  {
    name: "65 metadata entries",
    send: (encoding) => [header({ metadataKeys: Array.from({ length: 65 }, String) }, encoding)],
    code: RESOURCE_EXHAUSTED
  },
  {
    name: "65 metadata entries under one key",
    send: (encoding) => [header({ metadataKeys: Array.from({ length: 65 }, () => "k") }, encoding)],
    code: RESOURCE_EXHAUSTED
  },
  {
    name: "metadata key of 257 characters",
    send: (encoding) => [header({ metadataKeys: ["k".repeat(257)] }, encoding)],
    code: RESOURCE_EXHAUSTED
  },
  {
    name: "metadata value of 4,097 characters",
    send: (encoding) => [header({ metadataKeys: ["k"], metadataValues: ["v".repeat(4097)] }, encoding)],
    code: RESOURCE_EXHAUSTED
  },
  {
    name: "metadata of more than 8,192 bytes",
    send: (encoding) => [
      header({ metadataKeys: ["a", "b", "c"], metadataValues: [1, 2, 3].map(() => "ü".repeat(1400)) }, encoding)
    ],
    code: RESOURCE_EXHAUSTED
  },
  {
    name: "expired deadline",
    send: (encoding) => [header({ deadlineEpochMs: 1 }, encoding), plain(request(encoding))],
    code: DEADLINE_EXCEEDED
  },
  {
    name: "refusal by an interceptor",
    send: (encoding) => [header({ metadataKeys: ["mood"], metadataValues: ["bad"] }, encoding)],
    code: UNAUTHENTICATED
  },

  // The request of a unary call.
  { name: "header and end", send: (encoding) => [header({}, encoding)], finish: true, code: UNAVAILABLE },
  {
    name: "header and end of a server stream",
    send: (encoding) => [header({ method: "count" }, encoding)],
    finish: true,
    code: UNAVAILABLE
  },
  {
    name: "request that cannot be decoded",
    send: (encoding) => [header({}, encoding), encoding === "json" ? text('{"name":') : plain(bytes(2, 255, 255))],
    code: INVALID_ARGUMENT
  },
  {
    name: "empty request",
    send: (encoding) => [header({}, encoding), bytes(1, 0, 0, 0, 0)],
    code: INVALID_ARGUMENT
  },
  ...["null", "[]", "1", '{"name":1}', '{"name":"x"} {}', "\ufeff{}"].map((json): Row => ({
    name: `request ${json}`,
    send: () => [header(), text(json)],
    code: INVALID_ARGUMENT,
    answeredIn: "json"
  })),
  {
    name: "request without a mandatory field",
    send: () => [header({ service: "Sizes", method: "blank" }), text("{}")],
    code: INVALID_ARGUMENT,
    answeredIn: "json"
  },
  {
    name: "request that is not UTF-8",
    send: () => [header(), plain(Buffer.concat([utf8.encode('{"name":"'), bytes(0xff), utf8.encode('"}')]))],
    code: INVALID_ARGUMENT,
    answeredIn: "json"
  },
  {
    name: "request with an unknown field",
    send: (encoding) => [
      header({}, encoding),
      encoding === "json"
        ? text('{"name":"x","extra":1}')
        : plain(message(Impostor, new Impostor({ other: 1 }), encoding))
    ],
    code: CONTRACT_VIOLATION
  },
  {
    name: "request of another type",
    send: (encoding) => [header({}, encoding), plain(message(Text, new Text({ text: "x" }), encoding))],
    code: { json: CONTRACT_VIOLATION, xlang: INVALID_ARGUMENT }
  },
  {
    name: "request with the TRAILER flag",
    send: (encoding) => [header({}, encoding), Frame.encode(request(encoding), Frame.TRAILER)],
    code: UNAVAILABLE
  },
  {
    name: "request with the TRAILER flag that cannot be decoded",
    send: (encoding) => [header({}, encoding), text("?", Frame.TRAILER)],
    code: UNAVAILABLE
  },
  {
    name: "CANCEL before the request",
    send: (encoding) => [header({}, encoding), Frame.encode(bytes(), Frame.CANCEL), plain(request(encoding))],
    code: OK
  },
  ...[Frame.CALL, Frame.ROW_SCHEMA, 0x40, 0x80].map((flags): Row => ({
    name: `request with the flags ${flags}`,
    send: (encoding) => [header({}, encoding), Frame.encode(request(encoding), flags)],
    code: OK
  })),
  { name: "request of length 0", send: (encoding) => [header({}, encoding), ZERO_LENGTH], code: INTERNAL },
  { name: "oversized request", send: (encoding) => [header({}, encoding), OVERSIZED], code: INTERNAL },
  { name: "truncated request", send: (encoding) => [header({}, encoding), TRUNCATED], finish: true, code: INTERNAL },
  {
    name: "bad zstd",
    send: (encoding) => [header({}, encoding), Frame.encode(request(encoding), Frame.COMPRESSED)],
    code: INTERNAL
  },
  {
    name: "truncated zstd",
    send: (encoding) => [
      header({}, encoding),
      Frame.encode(zstdCompressSync(request(encoding)).subarray(0, -3), Frame.COMPRESSED)
    ],
    code: INTERNAL
  },
  {
    name: "empty zstd",
    send: (encoding) => [header({}, encoding), bytes(1, 0, 0, 0, Frame.COMPRESSED)],
    code: INTERNAL
  },
  { name: "compressed bomb", send: (encoding) => [header({}, encoding), BOMB], code: INTERNAL },
  {
    name: "second request",
    send: (encoding) => [header({}, encoding), plain(request(encoding)), plain(request(encoding))],
    code: OK
  },
  {
    name: "garbage behind the request",
    send: (encoding) => [header({}, encoding), plain(request(encoding)), ZERO_LENGTH, OVERSIZED],
    code: OK
  },
  {
    name: "endless data behind the request",
    send: (encoding) => [
      header({ method: "slow" }, encoding),
      plain(message(SlowRequest, new SlowRequest({ ms: 60_000 }), encoding)),
      new Uint8Array(2 * 1024 * 1024)
    ],
    code: RESOURCE_EXHAUSTED
  },

  // Streams of requests.
  {
    name: "client stream without items",
    send: (encoding) => [sum(encoding)],
    finish: true,
    code: OK
  },
  {
    name: "bad item in a client stream",
    send: (encoding) => [sum(encoding), number(encoding, 1), plain(bytes(255, 255))],
    code: INVALID_ARGUMENT
  },
  {
    name: "unknown field in a client stream",
    send: () => [sum("json"), text('{"value":1,"extra":1}')],
    code: CONTRACT_VIOLATION,
    answeredIn: "json"
  },
  ...(
    [
      ["length 0", ZERO_LENGTH],
      ["oversized", OVERSIZED],
      ["truncated", TRUNCATED]
    ] as const
  ).flatMap(([what, broken]): ReadonlyArray<Row> => [
    {
      name: `frame of a client stream: ${what}`,
      send: (encoding) => [sum(encoding), number(encoding, 1), broken],
      finish: true,
      code: INTERNAL
    },
    {
      name: `frame of a bidi stream: ${what}`,
      send: (encoding) => [chat(encoding), broken],
      finish: true,
      code: INTERNAL
    }
  ]),
  {
    name: "bad item in a bidi stream",
    send: (encoding) => [chat(encoding), plain(request(encoding)), plain(bytes(255, 255))],
    code: INTERNAL
  },
  {
    name: "unknown field in a bidi stream",
    send: () => [chat("json"), text('{"name":"x","extra":1}')],
    code: INTERNAL,
    answeredIn: "json"
  },
  {
    name: "bad zstd in a bidi stream",
    send: (encoding) => [chat(encoding), text("?", Frame.COMPRESSED)],
    code: INTERNAL
  },
  { name: "bomb in a client stream", send: (encoding) => [sum(encoding), BOMB], code: INTERNAL },

  // The end of input, said with a trailer while the stream stays open.
  ...(["sum", "chat"] as const).flatMap((method): ReadonlyArray<Row> => [
    {
      name: `empty trailer as the end of ${method}`,
      send: (encoding) => [header({ method }, encoding), Frame.encode(bytes(), Frame.TRAILER)],
      code: OK
    },
    {
      name: `OK trailer as the end of ${method}`,
      send: (encoding) => [header({ method }, encoding), text('{"code":0}', Frame.TRAILER)],
      code: OK
    },
    {
      name: `trailer with an error as the end of ${method}`,
      send: (encoding) => [header({ method }, encoding), text('{"code":3}', Frame.TRAILER)],
      code: method === "sum" ? INTERNAL : OK
    },
    {
      name: `garbage trailer as the end of ${method}`,
      send: (encoding) => [header({ method }, encoding), text("?", Frame.TRAILER)],
      code: method === "sum" ? INTERNAL : OK
    },
    {
      name: `CANCEL within ${method}`,
      send: (encoding) => [
        header({ method }, encoding),
        Frame.encode(bytes(), Frame.CANCEL),
        Frame.encode(bytes(), Frame.TRAILER)
      ],
      code: OK
    }
  ])
]

const codeOf = ({ code }: Row, encoding: Encoding) => (typeof code === "object" ? code[encoding] : code)

layer(Target.layer, { excludeTestServices: true, timeout: "2 minutes" })("bad input", (it) => {
  const cases = rows.flatMap((row) =>
    row.answeredIn === undefined
      ? (["json", "xlang"] as const).map((encoding) => ({ row, encoding }))
      : [{ row, encoding: row.answeredIn }]
  )
  for (const { encoding, row } of cases) {
    it.effect(
      `${row.name} (${encoding})`,
      Effect.fnUntraced(function* () {
        const { connection, wellBehaved } = yield* Target
        const answer = yield* exchange(connection, { bytes: row.send(encoding), finish: row.finish })
        const code = codeOf(row, encoding)
        assert.strictEqual(answer.end, "finished")
        assert.strictEqual(answer.status?.code, code, answer.status?.message)
        if (code !== undefined) assert.strictEqual(answer.encoding, encoding)
        if (code !== OK) assert.isAtMost(answer.messages.length, row.name.includes("bidi") ? 1 : 0)
        yield* wellBehaved
      })
    )
  }
})

/** What the unary method `context` saw, as the JSON it answers. */
const seen = (answer: Answer): unknown => {
  assert.strictEqual(answer.status?.code, OK, answer.status?.message)
  return JSON.parse(decoded(HelloReply, answer.messages[0], answer.encoding!).message)
}

/** A test on a connection of its own to a server of its own, which logs nothing. */
const served = <E>(
  use: (connection: Connection) => Effect.Effect<void, E>,
  options?: NodeServerOptions
): (() => Effect.Effect<void, unknown, Scope.Scope>) =>
  Effect.fnUntraced(
    function* () {
      const server = yield* serve(options, services)
      yield* use(yield* dial(yield* node, server))
    },
    Effect.provideService(References.MinimumLogLevel, "None")
  )

describe("header", () => {
  it.live(
    "needs no more than service, method and version, and may have more",
    served(
      Effect.fnUntraced(function* (connection) {
        const short = '{"service":"KitchenSink","method":"context","version":1}'
        const long = `${short.slice(0, -1)},"contractId":"x","__proto__":{"method":"fail"},"nested":{"a":[1]}}`
        for (const json of [short, long]) {
          const answer = yield* exchange(connection, { bytes: [text(json, Frame.HEADER), text('{"name":""}')] })
          assert.deepInclude(seen(answer), { metadata: {}, remaining_ms: null, method: "context" })
        }
      })
    )
  )

  it.live(
    "keeps metadata within the limits, and gives keys without a value the empty one",
    served(
      Effect.fnUntraced(function* (connection) {
        const metadataKeys = ["k".repeat(256), "none", "a", "a"]
        const metadataValues = ["v".repeat(4096), "", "1", "2", "surplus"]
        for (const encoding of ["json", "xlang"] as const) {
          const bytes = [
            header({ method: "context", metadataKeys, metadataValues }, encoding),
            plain(request(encoding))
          ]
          assert.deepInclude(seen(yield* exchange(connection, { bytes })), {
            metadata: { [metadataKeys[0]!]: metadataValues[0], none: "", a: "2" }
          })
        }
        const keys = Array.from({ length: 64 }, (_, i) => `key ${i}`)
        const answer = yield* exchange(connection, {
          bytes: [header({ method: "context", metadataKeys: keys }), plain(request("json"))]
        })
        assert.deepInclude(seen(answer), { metadata: Object.fromEntries(keys.map((key) => [key, ""])) })
      })
    )
  )

  it.live(
    "may have a fractional deadline, which is kept",
    served(
      Effect.fnUntraced(function* (connection) {
        const deadlineEpochMs = Date.now() + 300.5
        const context = yield* exchange(connection, {
          bytes: [header({ method: "context", deadlineEpochMs }), plain(request("json"))]
        })
        assert.property(seen(context), "remaining_ms")
        const slow = yield* exchange(connection, {
          bytes: [header({ method: "slow", deadlineEpochMs }), text('{"ms":60000}')]
        })
        assert.strictEqual(slow.status?.code, DEADLINE_EXCEEDED)
        assert.isAtLeast(Date.now(), Math.floor(deadlineEpochMs))
      })
    )
  )

  it.live(
    "may have a deadline that is zero, negative or beyond all time: none",
    served(
      Effect.fnUntraced(function* (connection) {
        for (const deadline of ["0", "-5", "1e400"]) {
          const json = `{"service":"KitchenSink","method":"say_hello","version":1,"deadlineEpochMs":${deadline}}`
          const answer = yield* exchange(connection, { bytes: [text(json, Frame.HEADER), text('{"name":"x"}')] })
          assert.strictEqual(answer.status?.code, OK)
        }
      })
    )
  )
})

describe("version", () => {
  const ask = (connection: Connection, service: string, version: number) =>
    Effect.map(
      exchange(connection, { bytes: [header({ service, version, method: "nothing" }), text("{}")] }),
      ({ status }) => status?.code
    )

  it.live("1 is served by the only version, counted per call and logged once", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => lines.push(String(message)))
    return Effect.gen(function* () {
      const server = yield* serve({}, services)
      const connection = yield* dial(yield* node, server)
      const before = (yield* Metric.value(Dispatcher.versionFallbacks)).count
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* ask(connection, "Ledger", 1), OK)
      assert.strictEqual(yield* ask(connection, "Ledger", 2), OK)
      assert.strictEqual((yield* Metric.value(Dispatcher.versionFallbacks)).count, before + 3)
      assert.lengthOf(
        lines.filter((line) => line.includes("Ledger v1")),
        1
      )
      // Only 1 falls back, and only to a version without rivals.
      assert.strictEqual(yield* ask(connection, "Ledger", 3), NOT_FOUND)
      assert.strictEqual(yield* ask(connection, "Twins", 1), NOT_FOUND)
      assert.strictEqual(yield* ask(connection, "Twins", 3), OK)
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.live(
    "1 is not found where the fallback is off",
    served((connection) => Effect.map(ask(connection, "Ledger", 1), (code) => assert.strictEqual(code, NOT_FOUND)), {
      versionFallback: false
    })
  )
})

describe("client stream", () => {
  it.live(
    "takes 100,000 items and no more",
    served(
      Effect.fnUntraced(function* (connection) {
        for (const encoding of ["json", "xlang"] as const) {
          const item = number(encoding, 1)
          const items = Buffer.alloc(item.length * 100_000, item)
          const enough = yield* exchange(connection, { bytes: [sum(encoding), items], finish: true })
          assert.strictEqual(enough.status?.code, OK)
          assert.strictEqual(decoded(Number, enough.messages[0], encoding).value, 100_000)
          const tooMany = yield* exchange(connection, { bytes: [sum(encoding), items, item], finish: true })
          assert.strictEqual(tooMany.status?.code, RESOURCE_EXHAUSTED)
        }
      })
    )
  )
})

describe("sizes", () => {
  const MAX_PAYLOAD = 16_777_215

  it.live(
    "a message as large as a frame passes both ways",
    served(
      Effect.fnUntraced(function* (connection) {
        const json = `{"text":"${"x".repeat(MAX_PAYLOAD - 11)}"}`
        const { messages, status } = yield* exchange(connection, {
          bytes: [header({ method: "text_echo" }), text(json)]
        })
        assert.strictEqual(status?.code, OK)
        assert.strictEqual(messages[0]?.payload.length, MAX_PAYLOAD)
      })
    ),
    120_000
  )

  it.live(
    "a response beyond the limit is INTERNAL, behind the responses before it",
    served(
      Effect.fnUntraced(function* (connection) {
        for (const encoding of ["json", "xlang"] as const) {
          for (const method of ["blank", "blanks"]) {
            const { messages, status } = yield* exchange(connection, {
              bytes: [
                header({ service: "Sizes", method }, encoding),
                plain(message(Size, new Size({ size: MAX_PAYLOAD + 2 }), encoding))
              ]
            })
            assert.strictEqual(status?.code, INTERNAL)
            assert.lengthOf(messages, method === "blanks" ? 1 : 0)
          }
        }
      })
    )
  )

  it.live(
    "a compressed request unfolds to 16 MiB and not a byte more",
    served(
      Effect.fnUntraced(function* (connection) {
        const json = (size: number) => zipped(utf8.encode(`{"name":"${"x".repeat(size - 11)}"}`))
        for (const [size, code] of [
          [16_777_216, OK],
          [16_777_217, INTERNAL]
        ] as const) {
          const answer = yield* exchange(connection, { bytes: [header({ method: "context" }), json(size)] })
          assert.strictEqual(answer.status?.code, code)
        }
      })
    )
  )

  it.live(
    "a text of more than a million values is refused before it is parsed",
    served(
      Effect.fnUntraced(function* (connection) {
        const bombs = [`{"tags":[${'"",'.repeat(5_000_000)}""]}`, `{"anything":[${"{},".repeat(5_000_000)}0]}`]
        for (const bomb of bombs) {
          const started = cpuTime()
          const { status } = yield* exchange(connection, {
            bytes: [header({ method: "echo" }), zipped(utf8.encode(bomb))]
          })
          assert.strictEqual(status?.code, INVALID_ARGUMENT)
          assert.isBelow(cpuTime() - started, 5_000)
        }
      })
    )
  )

  it.live(
    "an integer of ten million digits costs no more than its bytes",
    served(
      Effect.fnUntraced(function* (connection) {
        const digits = "9".repeat(10_000_000)
        // As an untyped value too: it is infinite as a number, which JSON could not give back.
        for (const json of [`{"big":${digits}}`, `{"index":{"${digits}":""}}`, `{"anything":${digits}}`]) {
          const started = cpuTime()
          const { status } = yield* exchange(connection, {
            bytes: [header({ method: "echo" }), zipped(utf8.encode(json))]
          })
          assert.strictEqual(status?.code, INVALID_ARGUMENT)
          assert.isBelow(cpuTime() - started, 5_000)
        }
      })
    )
  )
})

describe("compression", () => {
  const long = "x".repeat(5_000)
  const echo = (encoding: Encoding, fields: Partial<StreamHeader>, flags: number) => {
    const payload = message(Text, new Text({ text: long }), encoding)
    return [
      header({ method: "text_echo", ...fields }, encoding),
      flags === Frame.COMPRESSED ? zipped(payload) : plain(payload)
    ]
  }
  const accepting: Partial<StreamHeader> = { metadataKeys: ["accept-encoding"], metadataValues: ["zstd"] }

  it.live(
    "of requests is understood in both encodings; of responses it is used for XLANG and whoever asks",
    served(
      Effect.fnUntraced(function* (connection) {
        for (const [encoding, fields, compressed] of [
          ["json", {}, false],
          ["json", accepting, true],
          ["xlang", {}, true]
        ] as const) {
          for (const flags of [0, Frame.COMPRESSED]) {
            const { messages, status } = yield* exchange(connection, { bytes: echo(encoding, fields, flags) })
            assert.strictEqual(status?.code, OK)
            const [frame] = messages
            assert.strictEqual(frame?.flags, compressed ? Frame.COMPRESSED : 0)
            assert.strictEqual(decoded(Text, frame, encoding).text, long)
          }
        }
      })
    )
  )
})

describe("handlers that fail", () => {
  it.live(
    "end the call with their status, and defects with nothing but INTERNAL",
    served(
      Effect.fnUntraced(function* (connection) {
        for (const encoding of ["json", "xlang"] as const) {
          const call = (method: string, payload: Uint8Array) =>
            exchange(connection, { bytes: [header({ method }, encoding), plain(payload)] })
          for (const code of [1, 16, 101, 999]) {
            const failed = yield* call("fail", message(FailRequest, new FailRequest({ code, message: "no" }), encoding))
            assert.deepInclude(failed, { messages: [], encoding, end: "finished" })
            assert.deepInclude(failed.status, { code, message: "no" })
          }
          const defect = yield* call("defect", request(encoding, "a secret"))
          assert.strictEqual(defect.status?.code, INTERNAL)
          assert.notInclude(defect.status?.message, "secret")
          const items = yield* call("fail_after", message(CountRequest, new CountRequest({ to: 3 }), encoding))
          assert.lengthOf(items.messages, 3)
          assert.strictEqual(items.status?.code, FAILED_PRECONDITION)
        }
      })
    )
  )
})

describe("noise", () => {
  it.live(
    "valid calls with flipped, cut and added bytes all end, and the server lives",
    served(
      Effect.fnUntraced(function* (connection) {
        const next = new Random(12).next
        const calls = (["json", "xlang"] as const).flatMap((encoding) => [
          Buffer.concat([header({}, encoding), plain(request(encoding))]),
          Buffer.concat([sum(encoding), number(encoding, 1), number(encoding, 2)]),
          Buffer.concat([chat(encoding), zipped(request(encoding))])
        ])
        for (let round = 0; round < 60; round++) {
          const mutants = calls.map((call) => {
            const bytes = Uint8Array.from(call)
            for (let flips = 0; flips <= next() * 4; flips++) bytes[Math.floor(next() * bytes.length)] = next() * 256
            const end = next() < 0.3 ? Math.floor(next() * bytes.length) : bytes.length
            return next() < 0.1 ? Buffer.concat([bytes, call]) : bytes.subarray(0, end)
          })
          const answers = yield* Effect.forEach(
            mutants,
            (mutant) => exchange(connection, { bytes: [mutant], finish: true }),
            { concurrency: 6 }
          )
          for (const answer of answers) assert.strictEqual(answer.end, "finished")
        }
        const alive = yield* exchange(connection, { bytes: [header(), text('{"name":"x"}')] })
        assert.strictEqual(alive.status?.code, OK)
      })
    )
  )

  it.live(
    "a stream shared by calls falls when its bytes are none, and can be had again",
    served(
      Effect.fnUntraced(function* (connection) {
        const agreement = Frame.encode(Multiplex.HEADER, Frame.HEADER)
        const call = Buffer.concat([header(), text('{"name":"x"}')])
        const opening = (id: number) => Buffer.concat([bytes(0, id, (call.length & 127) | 128, call.length >> 7), call])
        const garbage = [
          bytes(255, 255, 255),
          bytes(0, 2, 1, 0),
          bytes(0, 1, 0x80, 0x80, 0x80, 0x80, 0x80),
          bytes(3, 1, 1),
          Buffer.concat([opening(1), opening(3)])
        ]
        for (const rest of garbage) {
          const { recv, send } = yield* connection.openBi
          yield* send.write(Buffer.concat([agreement, rest]))
          const end = yield* Effect.exit(
            Effect.repeat(recv.read(), { while: (chunk): chunk is Uint8Array => chunk !== undefined })
          )
          assert.strictEqual(Exit.isFailure(end), true)
        }
        const { recv, send } = yield* connection.openBi
        yield* send.write(Buffer.concat([agreement, opening(1), opening(2)]))
        const answer: Array<number> = []
        while (Buffer.from(answer).toString("latin1").split("Hello, x!").length < 3) {
          answer.push(...((yield* recv.read()) ?? []))
        }
        yield* send.reset(0)
        yield* recv.stop(0)
        const alive = yield* exchange(connection, { bytes: [header(), text('{"name":"x"}')] })
        assert.strictEqual(alive.status?.code, OK)
      })
    )
  )

  it.live(
    "streams of one direction are left alone",
    served(
      Effect.fnUntraced(function* (connection) {
        for (let i = 0; i < 50; i++) {
          const uni = yield* connection.openUni
          yield* uni.write(header())
          yield* uni.finish
        }
        const alive = yield* exchange(connection, { bytes: [header(), text('{"name":"x"}')] })
        assert.strictEqual(alive.status?.code, OK)
      })
    )
  )

  it.live("a protocol that is not served is refused in the handshake", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const error = yield* Effect.flip(dial(yield* node, server, "aster/2"))
      assert.strictEqual(error.reason._tag, "UnsupportedProtocol")
    }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
  )
})
