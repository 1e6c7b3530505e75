/**
 * One service with all four patterns and every wire kind, and methods that fail in every way.
 */
import { CallContext } from "@aster-effect/core/CallContext"
import * as Rpc from "@aster-effect/core/Rpc"
import { RpcError } from "@aster-effect/core/RpcError"
import * as Service from "@aster-effect/core/Service"
import * as Wire from "@aster-effect/core/Wire"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export const Color = Wire.Enum("kitchen/Color", { RED: "red", GREEN: "green", BLUE: "blue" })

export class Inner extends Wire.Class<Inner>("kitchen/Inner")({
  label: Wire.String.pipe(Wire.withDefault("")),
  weight: Wire.Float64.pipe(Wire.withDefault(0))
}) {}

export class Everything extends Wire.Class<Everything>("kitchen/Everything")({
  flag: Wire.Bool,
  count: Wire.Int,
  big: Wire.Int64,
  ratio: Wire.Float64,
  text: Wire.String,
  blob: Wire.Bytes,
  tags: Wire.List(Wire.String),
  numbers: Wire.List(Wire.Int),
  matrix: Wire.List(Wire.List(Wire.Int)),
  names: Wire.Set(Wire.String),
  scores: Wire.Record(Wire.Int),
  index: Wire.Map(Wire.Int, Wire.String),
  note: Wire.Optional(Wire.String),
  maybe: Wire.Optional(Wire.Int),
  color: Color,
  inner: Inner,
  inners: Wire.List(Inner),
  by_name: Wire.Record(Inner),
  maybe_inner: Wire.Optional(Inner),
  at: Wire.Timestamp,
  day: Wire.Date,
  anything: Wire.Any
}) {}

/** The part of `Everything` that JSON clients of release 0.1.2 can send. */
export class Plain extends Wire.Class<Plain>("kitchen/Plain")({
  flag: Wire.Bool.pipe(Wire.withDefault(false)),
  count: Wire.Int.pipe(Wire.withDefault(0)),
  ratio: Wire.Float64.pipe(Wire.withDefault(0)),
  text: Wire.String.pipe(Wire.withDefault("")),
  tags: Wire.List(Wire.String).pipe(Wire.withDefault([])),
  matrix: Wire.List(Wire.List(Wire.Int)).pipe(Wire.withDefault([])),
  scores: Wire.Record(Wire.Int).pipe(Wire.withDefault({})),
  note: Wire.Optional(Wire.String),
  maybe: Wire.Optional(Wire.Int),
  inner: Inner.pipe(Wire.withDefault(new Inner({}))),
  inners: Wire.List(Inner).pipe(Wire.withDefault([])),
  maybe_inner: Wire.Optional(Inner),
  anything: Wire.Any.pipe(Wire.withDefault(null))
}) {}

export class HelloRequest extends Wire.Class<HelloRequest>("kitchen/HelloRequest")({ name: Wire.String }) {}
export class HelloReply extends Wire.Class<HelloReply>("kitchen/HelloReply")({ message: Wire.String }) {}
export class Blob extends Wire.Class<Blob>("kitchen/Blob")({ data: Wire.Bytes }) {}
export class Text extends Wire.Class<Text>("kitchen/Text")({ text: Wire.String }) {}
export class CountRequest extends Wire.Class<CountRequest>("kitchen/CountRequest")({ to: Wire.Int }) {}
export class Number extends Wire.Class<Number>("kitchen/Number")({ value: Wire.Int }) {}
export class FailRequest extends Wire.Class<FailRequest>("kitchen/FailRequest")({
  code: Wire.Int,
  message: Wire.String
}) {}
export class SlowRequest extends Wire.Class<SlowRequest>("kitchen/SlowRequest")({ ms: Wire.Int }) {}

export const KitchenSink = Service.make("KitchenSink").add(
  Rpc.unary("echo", { request: Everything, response: Everything }),
  Rpc.unary("say_hello", { request: HelloRequest, response: HelloReply }),
  Rpc.unary("blob_echo", { request: Blob, response: Blob }),
  Rpc.unary("text_echo", { request: Text, response: Text }),
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
