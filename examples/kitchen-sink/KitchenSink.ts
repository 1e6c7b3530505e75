/**
 * One service with all four patterns and every wire kind, and methods that fail in every way.
 */
import { CallContext } from "@aster-effect/core/interceptor/CallContext"
import * as Rpc from "@aster-effect/core/service/Rpc"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export const Color = Wire.Enum("kitchen/Color", { RED: "red", GREEN: "green", BLUE: "blue" })

// Every field has a default, as in the Python classes: callers may leave any of them out.
const flag = Wire.Bool.pipe(Wire.withDefault(false))
const int = Wire.Int.pipe(Wire.withDefault(0))
const float = Wire.Float64.pipe(Wire.withDefault(0))
const string = Wire.String.pipe(Wire.withDefault(""))
const bytes = Wire.Bytes.pipe(Wire.withDefault(new Uint8Array(0)))
const strings = Wire.List(Wire.String).pipe(Wire.withDefault([]))
const matrix = Wire.List(Wire.List(Wire.Int)).pipe(Wire.withDefault([]))
const scores = Wire.Record(Wire.Int).pipe(Wire.withDefault({}))
const any = Wire.Any.pipe(Wire.withDefault(null))

export class Inner extends Wire.Class<Inner>("kitchen/Inner")({ label: string, weight: float }) {}
const inner = Inner.pipe(Wire.withDefault(new Inner({})))
const inners = Wire.List(Inner).pipe(Wire.withDefault([]))

export class Everything extends Wire.Class<Everything>("kitchen/Everything")({
  flag,
  count: int,
  big: Wire.Int64.pipe(Wire.withDefault(0n)),
  ratio: float,
  text: string,
  blob: bytes,
  tags: strings,
  numbers: Wire.List(Wire.Int64).pipe(Wire.withDefault([])),
  matrix,
  names: Wire.Set(Wire.String).pipe(Wire.withDefault(new Set())),
  scores,
  index: Wire.Map(Wire.Int, Wire.String).pipe(Wire.withDefault(new Map())),
  note: Wire.Optional(Wire.String),
  maybe: Wire.Optional(Wire.Int),
  color: Color.pipe(Wire.withDefault("red")),
  inner,
  inners,
  by_name: Wire.Record(Inner).pipe(Wire.withDefault({})),
  maybe_inner: Wire.Optional(Inner),
  at: Wire.Timestamp.pipe(Wire.withDefault(new Date(0))),
  day: Wire.Date.pipe(Wire.withDefault(new Date(0))),
  anything: any
}) {}

/** Numbers of a fixed width. */
export class Widths extends Wire.Class<Widths>("kitchen/Widths")({
  int8: Wire.Int8.pipe(Wire.withDefault(0)),
  int16: Wire.Int16.pipe(Wire.withDefault(0)),
  int32: Wire.Int32.pipe(Wire.withDefault(0)),
  uint8: Wire.Uint8.pipe(Wire.withDefault(0)),
  uint16: Wire.Uint16.pipe(Wire.withDefault(0)),
  uint32: Wire.Uint32.pipe(Wire.withDefault(0)),
  uint64: Wire.Uint64.pipe(Wire.withDefault(0n)),
  float32: Wire.Float32.pipe(Wire.withDefault(0)),
  maybe: Wire.Optional(Wire.Int32),
  list: Wire.List(Wire.Int16).pipe(Wire.withDefault([])),
  map: Wire.Record(Wire.Float32).pipe(Wire.withDefault({}))
}) {}

/** The part of `Everything` that JSON clients of release 0.1.2 can send. */
export class Plain extends Wire.Class<Plain>("kitchen/Plain")({
  flag,
  count: int,
  ratio: float,
  text: string,
  tags: strings,
  matrix,
  scores,
  note: Wire.Optional(Wire.String),
  maybe: Wire.Optional(Wire.Int),
  inner,
  inners,
  maybe_inner: Wire.Optional(Inner),
  anything: any
}) {}

export class HelloRequest extends Wire.Class<HelloRequest>("kitchen/HelloRequest")({ name: string }) {}
export class HelloReply extends Wire.Class<HelloReply>("kitchen/HelloReply")({ message: string }) {}
export class Blob extends Wire.Class<Blob>("kitchen/Blob")({ data: bytes }) {}
export class Text extends Wire.Class<Text>("kitchen/Text")({ text: string }) {}
export class CountRequest extends Wire.Class<CountRequest>("kitchen/CountRequest")({ to: int }) {}
export class Number extends Wire.Class<Number>("kitchen/Number")({ value: int }) {}
export class FailRequest extends Wire.Class<FailRequest>("kitchen/FailRequest")({ code: int, message: string }) {}
export class SlowRequest extends Wire.Class<SlowRequest>("kitchen/SlowRequest")({ ms: int }) {}

export const KitchenSink = Service.make("KitchenSink").add(
  Rpc.unary("echo", { request: Everything, response: Everything }),
  Rpc.unary("say_hello", { request: HelloRequest, response: HelloReply }),
  Rpc.unary("blob_echo", { request: Blob, response: Blob }),
  Rpc.unary("text_echo", { request: Text, response: Text }),
  Rpc.unary("widths_echo", { request: Widths, response: Widths }),
  Rpc.serverStream("count", { request: CountRequest, response: Number }),
  Rpc.clientStream("sum", { request: Number, response: Number }),
  Rpc.bidi("chat", { request: HelloRequest, response: HelloReply }),
  Rpc.unary("fail", { request: FailRequest, response: HelloReply }),
  Rpc.unary("defect", { request: HelloRequest, response: HelloReply }),
  Rpc.unary("slow", { request: SlowRequest, response: HelloReply }),
  Rpc.serverStream("endless", { request: CountRequest, response: Number }),
  Rpc.serverStream("fail_after", { request: CountRequest, response: Number }),
  Rpc.unary("context", { request: HelloRequest, response: HelloReply })
)

/** The same for clients that speak JSON only. */
export const KitchenJson = Service.make("KitchenJson").add(
  Rpc.unary("echo", { request: Plain, response: Plain }),
  Rpc.unary("say_hello", { request: HelloRequest, response: HelloReply })
)

const hello = ({ name }: HelloRequest) => new HelloReply({ message: `Hello, ${name}!` })
const numbers = (to: number) =>
  to <= 0 ? Stream.empty : Stream.map(Stream.range(0, to - 1), (value) => new Number({ value }))

export const KitchenSinkLive = KitchenSink.toLayer({
  echo: (request) => Effect.succeed(request),
  say_hello: (request) => Effect.succeed(hello(request)),
  blob_echo: (request) => Effect.succeed(request),
  text_echo: (request) => Effect.succeed(request),
  widths_echo: (request) => Effect.succeed(request),
  count: ({ to }) => numbers(to),
  sum: (requests) =>
    Effect.map(
      Stream.runFold(
        requests,
        () => 0,
        (total, { value }) => total + value
      ),
      (value) => new Number({ value })
    ),
  chat: (requests) => Stream.map(requests, hello),
  fail: ({ code, message }) => Effect.fail(new RpcError({ code, message })),
  defect: ({ name }) => Effect.die(new Error(`a defect for ${name}`)),
  slow: ({ ms }) => Effect.as(Effect.sleep(ms), new HelloReply({ message: `slept ${ms} ms` })),
  endless: ({ to }) =>
    Stream.map(
      Stream.iterate(to, (value) => value + 1),
      (value) => new Number({ value })
    ),
  fail_after: ({ to }) =>
    Stream.concat(numbers(to), Stream.fail(RpcError.of("FAILED_PRECONDITION", `failed after ${to}`))),
  context: Effect.fnUntraced(function* () {
    const call = yield* CallContext
    const now = yield* Clock.currentTimeMillis
    return new HelloReply({
      message: JSON.stringify({
        service: call.service,
        method: call.method,
        peer: call.peer,
        metadata: Object.fromEntries(call.metadata),
        attributes: Object.fromEntries(call.attributes),
        remaining_ms: call.deadline === undefined ? null : call.deadline - now,
        pattern: call.pattern
      })
    })
  })
})

export const KitchenJsonLive = KitchenJson.toLayer({
  echo: (request) => Effect.succeed(request),
  say_hello: (request) => Effect.succeed(hello(request))
})
