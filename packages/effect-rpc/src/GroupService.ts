/**
 * An `RpcGroup` as a service of Aster: with a contract, for Python and every other peer of Aster.
 *
 * ```ts
 * const Notes = GroupService.make("Notes", NotesGroup)
 * const NotesLive = GroupService.layer(Notes).pipe(Layer.provide(NotesGroupLive))
 * // AsterServer.layer({ services: [Notes] }) serves it, `aster.client(Notes)` calls it.
 * ```
 *
 * The group and its handlers stay as they are, and may be served by Effect's own protocols at the same time. Its schemas
 * are those of `Wire`: what has no wire form is refused where the service is made, naming the
 * field: by the compiler where the types tell, else at run time.
 *
 * | in the group | in the service |
 * |---|---|
 * | an rpc | a unary method of its tag; with `stream: true` one that streams responses |
 * | a payload or success that is a `Wire.Class` | that message |
 * | a struct, or fields | the message `<service>/<Tag>Request` or `<service>/<Tag>Response`, as a plain object |
 * | none | such a message without fields |
 * | `error`, and the errors of middleware | errors that the method declares |
 *
 * @since 0.1.0
 */
import { type Call, CallContext } from "@aster-effect/core/interceptor/CallContext"
import * as Wire from "@aster-effect/core/message/Wire"
import type { Checked, CheckedFields, HasWireForm } from "@aster-effect/core/message/WireForm"
import type { Documentation } from "@aster-effect/core/message/WireType"
import type { Requirement } from "@aster-effect/core/service/Requirement"
import * as AsterRpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import type * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import { RequestId } from "effect/rpc/RpcMessage"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ParentSpan } from "effect/Tracer"
import { Caller } from "./Caller.ts"

/** A message without fields, where an rpc has no payload or no success. */
type Nothing = Schema.Struct<{}>

type MessageOf<S extends Schema.Constraint> = S extends Schema.Void ? Nothing : S

/**
 * The method that an rpc becomes.
 *
 * @since 0.1.0
 */
export type MethodOf<R> =
  R extends Rpc.Rpc<infer Tag, infer Payload, infer Success, infer Failure, infer Middleware, infer _Requires>
    ? Success extends RpcSchema.Stream<infer Item, infer ItemFailure>
      ? AsterRpc.Rpc<
          Tag,
          "server_stream",
          MessageOf<Payload>,
          MessageOf<Item>,
          ItemFailure | Failure | Middleware["error"]
        >
      : AsterRpc.Rpc<Tag, "unary", MessageOf<Payload>, MessageOf<Success>, Failure | Middleware["error"]>
    : never

/** `unknown` where a payload or success can travel, else why it cannot. Of a bare struct the fields travel. */
type CheckedPart<S> = S extends HasWireForm | Schema.Void
  ? unknown
  : S extends Schema.Struct<infer Fields>
    ? CheckedFields<Fields>
    : Checked<S>

/** `never` where both can travel. */
type RefusedParts<Tag, Payload, Success> = [unknown, unknown] extends [CheckedPart<Payload>, CheckedPart<Success>]
  ? never
  : { readonly rpc: Tag; readonly payload: CheckedPart<Payload>; readonly success: CheckedPart<Success> }

/** Those rpcs that cannot become methods. */
type RefusedRpc<R> =
  R extends Rpc.Rpc<infer Tag, infer Payload, infer Success, infer _Failure, infer _Middleware, infer _Requires>
    ? Success extends RpcSchema.Stream<infer Item, infer _ItemFailure>
      ? RefusedParts<Tag, Payload, Item>
      : RefusedParts<Tag, Payload, Success>
    : never

/**
 * To be intersected with the type of a group that becomes a service: `unknown` where all of it can travel or may be able
 * to, else a type that it cannot have, which names the rpc and the field and says what to use instead.
 *
 * @since 0.1.0
 */
export type CheckedGroup<R> = [RefusedRpc<R>] extends [never] ? unknown : { readonly "~wire.form": RefusedRpc<R> }

/** What a group does not say of a method. @since 0.1.0 */
export interface MethodOptions extends Documentation {
  /** Part of the contract, and the deadline our clients set unless a call says otherwise. Default none. */
  readonly timeout?: Duration.Input | undefined
  /** Calling twice does no more than calling once. Part of the contract; for methods without a stream. Default false. */
  readonly idempotent?: boolean | undefined
  /** Roles that callers need. Default: nothing beside the service's own. */
  readonly requires?: Requirement | undefined
}

/** @since 0.1.0 */
export interface Options<Tag extends string, Version extends number = number> extends Omit<
  Service.ServiceOptions<Version>,
  "scope" | "interceptors"
> {
  /** By tag. */
  readonly methods?: { readonly [T in Tag]?: MethodOptions | undefined } | undefined
}

/**
 * A service that was made of a group.
 *
 * @since 0.1.0
 */
export interface GroupService<
  Name extends string,
  R extends Rpc.Any,
  Version extends number = number
> extends Service.Service<Name, MethodOf<R>, Version> {
  readonly group: RpcGroup.RpcGroup<R>
}

/**
 * The service of a group. Its contract is that of the same service written by hand. Schemas without a wire form are
 * refused by the compiler, as far as their types tell.
 *
 * @throws Wire.WireTypeError naming the field, for schemas without a wire form whose types hide that
 * @throws ServiceDefinitionError as `Service.make` and `add` do
 * @since 0.1.0
 */
export const make = <const Name extends string, R extends Rpc.Any, const Version extends number = 1>(
  name: Name,
  group: RpcGroup.RpcGroup<R> & CheckedGroup<R>,
  options: Options<R["_tag"], Version> = {}
): GroupService<Name, R, Version> => {
  const { methods: given, ...service } = options
  const settings: { readonly [tag: string]: MethodOptions | undefined } = given ?? {}
  const methods = Array.from(rpcsOf(group), (rpc) => methodOf(name, rpc, settings[rpc._tag] ?? {}))
  const made = Service.make(name, service).add(...methods)
  return Object.assign(made, { group }) as unknown as GroupService<Name, R, Version>
}

const rpcsOf = <R extends Rpc.Any>(group: RpcGroup.RpcGroup<R>): Iterable<Rpc.AnyWithProps> =>
  group.requests.values() as Iterable<unknown> as Iterable<Rpc.AnyWithProps>

const methodOf = (service: string, rpc: Rpc.AnyWithProps, options: MethodOptions): AsterRpc.Any => {
  const { _tag: tag, middlewares, payloadSchema, successSchema } = rpc
  const streaming = RpcSchema.isStreamSchema(successSchema)
  const errors = [
    rpc.errorSchema,
    ...(streaming ? [successSchema.error] : []),
    ...Array.from(middlewares, ({ error }) => error)
  ].filter(({ ast }) => ast._tag !== "Never")
  const { idempotent, ...rest } = options
  const method = {
    ...rest,
    request: messageOf(service, tag, "Request", payloadSchema),
    response: messageOf(service, tag, "Response", streaming ? successSchema.success : successSchema),
    error: errors.length === 0 ? undefined : errors.length === 1 ? errors[0] : Schema.Union(errors)
  }
  return streaming ? AsterRpc.serverStream(tag, method) : AsterRpc.unary(tag, { ...method, idempotent })
}

/** A schema as what travels in a method. */
const messageOf = (
  service: string,
  tag: string,
  role: "Request" | "Response",
  schema: Schema.Constraint
): Schema.Constraint => {
  const place = `${service}.${tag} ${role === "Request" ? "payload" : "success"}`
  const name = `${service}/${tag.slice(0, 1).toUpperCase()}${tag.slice(1)}${role}`
  if (schema.ast._tag === "Void") return Wire.Struct(name, {})
  if (!isBareStruct(schema)) {
    Wire.resolve(schema, place)
    return schema
  }
  const message = Wire.Struct(name, schema)
  try {
    Wire.resolve(message, place)
  } catch (error) {
    if (!(error instanceof Wire.WireTypeError) || !error.path.startsWith(name)) throw error
    // Whoever wrote the fields has not heard of the message.
    throw new Wire.WireTypeError({ path: place + error.path.slice(name.length), reason: error.reason })
  }
  return message
}

const isBareStruct = (schema: Schema.Constraint): schema is Schema.Struct<Schema.Struct.Fields> =>
  schema.ast._tag === "Objects" &&
  schema.ast.encoding === undefined &&
  schema.ast.annotations?.wireType === undefined &&
  "fields" in schema

/**
 * The handlers of a group, as `RpcGroup.toLayer` makes them, as those of its service. Middleware runs around them as
 * under `RpcServer`. What they are told of a call:
 *
 * - `Caller`: the peer, as over `RpcEndpoint`;
 * - `headers`: the metadata of the call, its keys in lower case;
 * - `client`: one for each call, since calls of Aster stand for themselves.
 *
 * @since 0.1.0
 */
export const layer = <Name extends string, R extends Rpc.Any, Version extends number>(
  service: GroupService<Name, R, Version>
): Layer.Layer<Service.Handlers<Name, Version>, never, Rpc.ToHandler<R> | Rpc.Middleware<R>> => {
  const build = Effect.map(Effect.context<Rpc.ToHandler<R> | Rpc.Middleware<R>>(), (services) => {
    let calls = 0
    return Object.fromEntries(
      Array.from(rpcsOf(service.group), (rpc) => {
        const entry = services.mapUnsafe.get(rpc.key) as Rpc.Handler<string> | undefined
        if (entry === undefined) throw new Error(`the rpc ${rpc._tag} has no handler in the context`)
        return [rpc._tag, handlerOf(rpc, entry, services as Context.Context<never>, () => calls++)] as const
      })
    )
  })
  return service.toLayer(build as never) as never
}

type Result = Effect.Effect<unknown, unknown, Scope.Scope> | Stream.Stream<unknown, unknown, Scope.Scope>

const handlerOf = (
  rpc: Rpc.AnyWithProps,
  entry: Rpc.Handler<string>,
  services: Context.Context<never>,
  nextId: () => number
) => {
  const streaming = RpcSchema.isStreamSchema(rpc.successSchema)
  const empty = (streaming ? rpc.successSchema.success : rpc.successSchema).ast._tag === "Void"
  const none = rpc.payloadSchema.ast._tag === "Void"
  const middlewares = Array.from(rpc.middlewares, (key) => Context.getUnsafe(services as Context.Context<unknown>, key))

  /** What a handler makes of a call, and the same with middleware around an effect of it. */
  const begin = (request: unknown) =>
    Effect.contextWith((now: Context.Context<CallContext | Scope.Scope>) => {
      const call = Context.get(now, CallContext)
      const id = nextId()
      const options = {
        rpc,
        payload: none ? undefined : request,
        client: new Rpc.ServerClient(id),
        requestId: RequestId(id),
        headers: Headers.fromInput(call.metadata)
      }
      const made = entry.handler(options.payload, options)
      const { uninterruptible, value } = Rpc.isWrapper(made) ? made : { uninterruptible: false, value: made }
      const context = contextOf(entry, now, call)
      const within = (effect: Effect.Effect<unknown, unknown, Scope.Scope>) => {
        const all = middlewares.reduce<typeof effect>(
          (inner, middleware) => middleware(inner as never, options) as typeof effect,
          effect
        )
        return Effect.provideContext(uninterruptible ? Effect.uninterruptible(all) : all, context)
      }
      return Effect.succeed({ context, value: value as Result, within })
    })

  if (!streaming) {
    return (request: unknown) =>
      Effect.flatMap(begin(request), ({ value, within }) => {
        const answer = Effect.flatMap(within(value as Effect.Effect<unknown>), (success) =>
          Deferred.isDeferred(success) ? Deferred.await(success) : Effect.succeed(success)
        )
        return empty ? Effect.as(answer, {}) : answer
      })
  }
  return (request: unknown) =>
    Stream.unwrap(
      Effect.map(begin(request), ({ context, value, within }) => {
        const items = Effect.isEffect(value)
          ? Stream.unwrap(
              Effect.map(value as Effect.Effect<Queue.Dequeue<unknown, Cause.Done>, unknown, Scope.Scope>, (queue) =>
                Stream.fromQueue(queue)
              )
            )
          : value
        const all =
          middlewares.length === 0
            ? Stream.provideContext(items, context)
            : // Middleware stands around all of a stream, so it runs beside the reader.
              Stream.callback<unknown, unknown>(
                (queue) =>
                  Effect.andThen(
                    within(Stream.runForEachArray(items, (some) => Queue.offerAll(queue, some))),
                    Queue.end(queue)
                  ),
                { bufferSize: BUFFERED }
              )
        return empty ? Stream.map(all, () => ({})) : all
      })
    )
}

/** Items of a stream with middleware that may wait for their reader. */
const BUFFERED = 16

/** What the handlers' layer had, and of a call what belongs to it. */
const contextOf = (
  entry: Rpc.Handler<string>,
  now: Context.Context<CallContext | Scope.Scope>,
  call: Call
): Context.Context<Scope.Scope> => {
  const span = Context.getOrUndefined(now as Context.Context<CallContext | Scope.Scope | ParentSpan>, ParentSpan)
  const context = Context.merge(now, entry.context).pipe(
    Context.add(CallContext, call),
    Context.add(Scope.Scope, Context.get(now, Scope.Scope)),
    Context.add(Caller, callerOf(call))
  )
  return span === undefined ? context : Context.add(context, ParentSpan, span)
}

/** Calls within the process have no peer. */
const callerOf = ({ attributes, peer }: Call): typeof Caller.Service =>
  peer === "local" ? undefined : { id: EndpointId.parse(peer), attributes }
