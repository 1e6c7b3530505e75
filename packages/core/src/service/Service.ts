/**
 * Services, as values: a name, a version and methods. The same value makes the server's layer, the client and the
 * contract.
 *
 * ```ts
 * const TaskRunner = Service.make("TaskRunner", { version: 2 }).add(
 *   Rpc.unary("run_task", { request: TaskRequest, response: TaskResponse, timeout: "30 seconds", idempotent: true })
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as EffectScope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Contract from "../contract/Contract.ts"
import type { CallContext } from "../interceptor/CallContext.ts"
import type * as Interceptor from "../interceptor/Interceptor.ts"
import { MAX_METHOD_NAME_LENGTH, MAX_SERVICE_NAME_LENGTH } from "../Limits.ts"
import * as Requirement from "./Requirement.ts"
import type * as Rpc from "./Rpc.ts"
import * as TypeNames from "../message/TypeNames.ts"
import * as Wire from "../message/Wire.ts"
import type { Documentation, Scope, SerializationMode, ServiceDescription } from "../message/WireType.ts"

/**
 * A service cannot be defined like this.
 *
 * @since 0.1.0
 */
export class ServiceDefinitionError extends Schema.TaggedError<ServiceDefinitionError>()("ServiceDefinitionError", {
  service: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `service ${this.service}: ${this.reason}`
  }
}

/** Proof that the handlers of a service, in this version, are at hand. @since 0.1.0 */
export interface Handlers<out Name extends string, out Version extends number = 1> {
  readonly _: unique symbol
  readonly name: Name
  readonly version: Version
}

/** One handler per method, under the method's name. @since 0.1.0 */
export type HandlersOf<Methods extends Rpc.Any, R = any> = {
  readonly [M in Methods as M["name"]]: Rpc.Handler<M, R>
}

type NeedsOf<Handler> = Handler extends (...args: ReadonlyArray<never>) => infer Out
  ? Out extends Effect.Effect<infer _A, infer _E, infer R>
    ? R
    : Out extends Stream.Stream<infer _A, infer _E, infer R>
      ? R
      : never
  : never

/** What the handlers `H` of methods `M` need beside what interceptors and every call provide. */
type ServicesOf<M, H> =
  M extends Rpc.Rpc<infer Name, infer _P, infer _Request, infer _Response, infer _Failure, infer I>
    ? Name extends keyof H
      ?
          | Exclude<
              NeedsOf<H[Name]> | Interceptor.RequiresOf<I>,
              Interceptor.ProvidesOf<I> | CallContext | EffectScope.Scope
            >
          | I["Identifier"]
      : never
    : never

/**
 * A service with its handlers, ready to be served. `handlers` holds the functions of `Rpc.Handler` by method name, and
 * `context` what they need.
 *
 * @since 0.1.0
 */
export interface Implementation {
  readonly service: Any
  /**
   * Makes the handlers of one session, where the service has session scope; `handlers` is empty then. What it acquires
   * lives as long as the session.
   */
  readonly session: Effect.Effect<Implementation["handlers"], unknown, EffectScope.Scope> | undefined
  readonly handlers: { readonly [method: string]: (request: never) => unknown }
  readonly context: Context.Context<never>
}

/** What every service has, whatever its methods. @since 0.1.0 */
export interface Any {
  readonly name: string
  readonly version: number
  readonly scope: Scope
  readonly methods: ReadonlyArray<Rpc.Any>
  /** What callers of every method need. Not part of the contract. */
  readonly requires: Requirement.Requirement | undefined
  /** Meant for everybody, admitted or not. */
  readonly public: boolean
  /** For calls within the process alone. */
  readonly local: boolean
  /** Everything the contract depends on. */
  readonly description: ServiceDescription
  /** Contract, type hashes and contract id. */
  readonly contract: Contract.Contract
}

/** A service with methods `Methods`, of any name and version. @since 0.1.0 */
export interface WithMethods<out Methods extends Rpc.Any> extends Any {
  readonly methods: ReadonlyArray<Methods>
}

/** The proof that handlers of this service are there, as a type. @since 0.1.0 */
export type HandlersFor<S extends Any> = S extends { readonly key: Context.Key<infer Id, Implementation> } ? Id : never

/** @since 0.1.0 */
export interface Service<
  Name extends string,
  Methods extends Rpc.Any,
  Version extends number = number,
  I extends Interceptor.AnyService = never
> extends WithMethods<Methods> {
  readonly name: Name
  readonly version: Version
  /** Where the handlers of this service stand in a context. */
  readonly key: Context.Key<Handlers<Name, Version>, Implementation>
  /**
   * The service with more methods. Throws `ServiceDefinitionError` for a method name that is taken, and
   * `Wire.WireTypeError` for a message without a wire form.
   */
  readonly add: <const Added extends ReadonlyArray<Rpc.Any>>(
    ...methods: Added
  ) => Service<Name, Methods | Rpc.Within<Added[number], I>, Version, I>
  /**
   * Handlers as a layer, which a server finds in its context. `build` may be an Effect that acquires what the handlers
   * share; in a service of session scope it runs for each session, and what it acquires is released with the session. What a handler needs is taken from the layer's context, and so are the interceptors that the service and its
   * methods list; `CallContext`, a scope and what the interceptors provide are there per call.
   */
  readonly toLayer: <H extends HandlersOf<Methods>, EX = never, RX = never>(
    build: H | Effect.Effect<H, EX, RX>
  ) => Layer.Layer<Handlers<Name, Version>, EX, Exclude<RX, EffectScope.Scope> | ServicesOf<Methods, H>>
}

const KEY_PREFIX = "@aster-effect/core/Service/"

/** @since 0.1.0 */
export interface ServiceOptions<
  Version extends number = number,
  I extends Interceptor.AnyService = never
> extends Documentation {
  /** 1 to 2^31-1. Default 1. Clients of release 0.1.2 always ask for version 1. */
  readonly version?: Version | undefined
  /** Default `shared`. */
  readonly scope?: Scope | undefined
  /** Modes the contract names. Default `["xlang"]`. */
  readonly serializationModes?: ReadonlyArray<SerializationMode> | undefined
  /** Roles that callers of every method need, in addition to what the method requires. Default: none. */
  readonly requires?: Requirement.Requirement | undefined
  /** Meant for everybody: a server that admits everybody does not warn about it. It lifts no requirement. Default false. */
  readonly public?: boolean | undefined
  /**
   * For calls within the process alone: a server that serves what stands in its context leaves it out, and one that is
   * told to serve it refuses. Default false.
   */
  readonly local?: boolean | undefined
  /** Around the calls of every method, also of those that are added later; the first is the outermost. Default none. */
  readonly interceptors?: ReadonlyArray<I> | undefined
  /**
   * The contract is that of the same service in a Python module with `from __future__ import annotations`, whose id is
   * another one (contract identity, postponed annotations). Default false.
   */
  readonly postponedAnnotations?: boolean | undefined
}

/**
 * A service without methods yet. Name and version identify it to callers.
 *
 * @throws ServiceDefinitionError for an empty or over-long name, a version out of range, and a requirement nobody can meet
 * @since 0.1.0
 */
export const make = <
  const Name extends string,
  const Version extends number = 1,
  I extends Interceptor.AnyService = never
>(
  name: Name,
  options?: ServiceOptions<Version, I>
): Service<Name, never, Version, I> => {
  const version = options?.version ?? (1 as Version)
  if (name === "" || name.length > MAX_SERVICE_NAME_LENGTH || !name.isWellFormed()) {
    throw new ServiceDefinitionError({
      service: JSON.stringify(name),
      reason: `a name has 1 to ${MAX_SERVICE_NAME_LENGTH} characters of Unicode text`
    })
  }
  if (!Number.isInteger(version) || version < 1 || version > 0x7fffffff) {
    throw new ServiceDefinitionError({
      service: name,
      reason: `version ${version} is not an integer from 1 to 2147483647`
    })
  }
  requireSound(name, "", options?.requires)
  return build({
    name,
    version,
    scope: options?.scope ?? "shared",
    serializationModes: options?.serializationModes ?? ["xlang"],
    requires: options?.requires,
    public: options?.public ?? false,
    local: options?.local ?? false,
    interceptors: options?.interceptors ?? [],
    postponedAnnotations: options?.postponedAnnotations ?? false,
    documentation: { description: options?.description, deprecated: options?.deprecated },
    methods: []
  })
}

const requireSound = (service: string, method: string, requirement: Requirement.Requirement | undefined): void => {
  const problem = requirement === undefined ? undefined : Requirement.problemOf(requirement)
  if (problem === undefined) return
  throw new ServiceDefinitionError({ service, reason: method === "" ? problem : `method ${method}: ${problem}` })
}

interface Parts<
  Name extends string,
  Methods extends Rpc.Any,
  Version extends number,
  I extends Interceptor.AnyService
> {
  readonly name: Name
  readonly version: Version
  readonly scope: Scope
  readonly serializationModes: ReadonlyArray<SerializationMode>
  readonly requires: Requirement.Requirement | undefined
  readonly public: boolean
  readonly local: boolean
  readonly interceptors: ReadonlyArray<I>
  readonly postponedAnnotations: boolean
  readonly documentation: Documentation
  readonly methods: ReadonlyArray<Methods>
}

const build = <Name extends string, Methods extends Rpc.Any, Version extends number, I extends Interceptor.AnyService>(
  parts: Parts<Name, Methods, Version, I>
): Service<Name, Methods, Version, I> => {
  let contract: Contract.Contract | undefined
  const description: ServiceDescription = {
    name: parts.name,
    version: parts.version,
    scope: parts.scope,
    serializationModes: parts.serializationModes,
    postponedAnnotations: parts.postponedAnnotations,
    ...parts.documentation,
    methods: parts.methods.map((method) => ({
      ...method.documentation,
      name: method.name,
      pattern: method.pattern,
      request: Wire.resolve(method.request, `${parts.name}.${method.name} request`),
      response: Wire.resolve(method.response, `${parts.name}.${method.name} response`),
      timeoutSeconds: method.timeout === undefined ? 0 : Duration.toMillis(method.timeout) / 1000,
      idempotent: method.idempotent
    }))
  }
  const repeated = TypeNames.repeated(description.methods.flatMap(({ request, response }) => [request, response]))
  if (repeated !== undefined) {
    const reason = `two different classes or enumerations have the tag ${repeated}; give one of them another`
    throw new ServiceDefinitionError({ service: parts.name, reason })
  }
  const key: Context.Key<Handlers<Name, Version>, Implementation> = Context.Service<
    Handlers<Name, Version>,
    Implementation
  >(`${KEY_PREFIX}${parts.name}@${parts.version}`)
  const service: Service<Name, Methods, Version, I> = {
    name: parts.name,
    version: parts.version,
    scope: parts.scope,
    methods: parts.methods,
    requires: parts.requires,
    public: parts.public,
    local: parts.local,
    description,
    get contract() {
      return (contract ??= Contract.fromDescription(description))
    },
    key,
    add: (...methods) => build({ ...parts, methods: appended(parts, methods) }),
    toLayer: (handlers) =>
      Layer.effect(
        key,
        Effect.gen(function* () {
          const context = yield* Effect.context<never>()
          if (parts.scope === "session") {
            const session = Effect.isEffect(handlers) ? handlers : Effect.succeed(handlers)
            return { service, session: session as NonNullable<Implementation["session"]>, handlers: {}, context }
          }
          const built = Effect.isEffect(handlers) ? yield* handlers : handlers
          return { service, session: undefined, handlers: built as Implementation["handlers"], context }
        })
      ) as never
  }
  return service
}

const appended = <
  Methods extends Rpc.Any,
  I extends Interceptor.AnyService,
  const Added extends ReadonlyArray<Rpc.Any>
>(
  parts: Parts<string, Methods, number, I>,
  added: Added
): ReadonlyArray<Methods | Rpc.Within<Added[number], I>> => {
  const names = new Set(parts.methods.map((method) => method.name))
  const within: Array<Rpc.Any> = []
  for (const method of added) {
    const { name, requires, timeout } = method
    requireSound(parts.name, name, requires)
    if (name === "" || name.length > MAX_METHOD_NAME_LENGTH) {
      throw new ServiceDefinitionError({
        service: parts.name,
        reason: `method name ${JSON.stringify(name)} does not have 1 to ${MAX_METHOD_NAME_LENGTH} characters`
      })
    }
    if (names.has(name)) {
      throw new ServiceDefinitionError({ service: parts.name, reason: `method ${name} is defined twice` })
    }
    if (!name.isWellFormed()) {
      throw new ServiceDefinitionError({
        service: parts.name,
        reason: `method name ${JSON.stringify(name)} is no text`
      })
    }
    const limit = timeout === undefined ? 0 : Duration.toMillis(timeout)
    if (!Number.isFinite(limit) || limit < 0) {
      const reason = `method ${name}: a timeout is a finite time from 0; leave it out for none`
      throw new ServiceDefinitionError({ service: parts.name, reason })
    }
    names.add(name)
    within.push({ ...method, interceptors: [...parts.interceptors, ...method.interceptors] })
  }
  return [...parts.methods, ...(within as unknown as ReadonlyArray<Rpc.Within<Added[number], I>>)]
}

/**
 * Every service whose handlers stand in a context, in the order they were provided.
 *
 * @since 0.1.0
 */
export const implementationsIn = (context: Context.Context<never>): ReadonlyArray<Implementation> => {
  const found: Array<Implementation> = []
  for (const [key, value] of context.mapUnsafe) {
    if (key.startsWith(KEY_PREFIX)) found.push(value as Implementation)
  }
  return found
}
