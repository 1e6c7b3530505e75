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
import type { CallContext } from "./CallContext.ts"
import * as Contract from "../contract/Contract.ts"
import { MAX_METHOD_NAME_LENGTH, MAX_SERVICE_NAME_LENGTH } from "../Limits.ts"
import * as Requirement from "./Requirement.ts"
import type * as Rpc from "./Rpc.ts"
import * as Wire from "../message/Wire.ts"
import type { Scope, SerializationMode, ServiceDescription } from "../message/WireType.ts"

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

/** Proof that the handlers of a service are at hand. @since 0.1.0 */
export interface Handlers<Name extends string> {
  readonly _: unique symbol
  readonly name: Name
}

/** One handler per method, under the method's name. @since 0.1.0 */
export type HandlersOf<Methods extends Rpc.Any, R = any> = {
  readonly [M in Methods as M["name"]]: Rpc.Handler<M, R>
}

type ServicesOf<H> = {
  readonly [K in keyof H]: H[K] extends (...args: ReadonlyArray<never>) => infer Out
    ? Out extends Effect.Effect<infer _A, infer _E, infer R>
      ? R
      : Out extends Stream.Stream<infer _A, infer _E, infer R>
        ? R
        : never
    : never
}[keyof H]

/**
 * A service with its handlers, ready to be served. `handlers` holds the functions of `Rpc.Handler` by method name, and
 * `context` what they need.
 *
 * @since 0.1.0
 */
export interface Implementation {
  readonly service: Any
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
  /** Everything the contract depends on. */
  readonly description: ServiceDescription
  /** Contract, type hashes and contract id. */
  readonly contract: Contract.Contract
}

/** @since 0.1.0 */
export interface Service<Name extends string, Methods extends Rpc.Any> extends Any {
  readonly name: Name
  readonly methods: ReadonlyArray<Methods>
  /** Where the handlers of this service stand in a context. */
  readonly key: Context.Key<Handlers<Name>, Implementation>
  /**
   * The service with more methods. Throws `ServiceDefinitionError` for a method name that is taken, and
   * `Wire.WireTypeError` for a message without a wire form.
   */
  readonly add: <const Added extends ReadonlyArray<Rpc.Any>>(
    ...methods: Added
  ) => Service<Name, Methods | Added[number]>
  /**
   * Handlers as a layer, which a server finds in its context. `build` may be an Effect that acquires what the handlers
   * share. What a handler needs is taken from the layer's context; `CallContext` and a scope are provided per call.
   */
  readonly toLayer: <H extends HandlersOf<Methods>, EX = never, RX = never>(
    build: H | Effect.Effect<H, EX, RX>
  ) => Layer.Layer<
    Handlers<Name>,
    EX,
    Exclude<RX, EffectScope.Scope> | Exclude<ServicesOf<H>, CallContext | EffectScope.Scope>
  >
}

const KEY_PREFIX = "@aster-effect/core/Service/"

/** @since 0.1.0 */
export interface Options {
  /** 1 to 2^31-1. Default 1. Clients of release 0.1.2 always ask for version 1. */
  readonly version?: number | undefined
  /** Default `shared`. */
  readonly scope?: Scope | undefined
  /** Modes the contract names. Default `["xlang"]`. */
  readonly serializationModes?: ReadonlyArray<SerializationMode> | undefined
  /** Roles that callers of every method need, in addition to what the method requires. Default: none. */
  readonly requires?: Requirement.Requirement | undefined
  /** Meant for everybody: a server that admits everybody does not warn about it. It lifts no requirement. Default false. */
  readonly public?: boolean | undefined
}

/**
 * A service without methods yet. Name and version identify it to callers.
 *
 * @throws ServiceDefinitionError for an empty or over-long name, a version out of range, and a requirement nobody can meet
 * @since 0.1.0
 */
export const make = <const Name extends string>(name: Name, options?: Options): Service<Name, never> => {
  const version = options?.version ?? 1
  if (name === "" || name.length > MAX_SERVICE_NAME_LENGTH) {
    throw new ServiceDefinitionError({
      service: JSON.stringify(name),
      reason: `a name has 1 to ${MAX_SERVICE_NAME_LENGTH} characters`
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
    methods: []
  })
}

const requireSound = (service: string, method: string, requirement: Requirement.Requirement | undefined): void => {
  const problem = requirement === undefined ? undefined : Requirement.problemOf(requirement)
  if (problem === undefined) return
  throw new ServiceDefinitionError({ service, reason: method === "" ? problem : `method ${method}: ${problem}` })
}

interface Parts<Name extends string, Methods extends Rpc.Any> {
  readonly name: Name
  readonly version: number
  readonly scope: Scope
  readonly serializationModes: ReadonlyArray<SerializationMode>
  readonly requires: Requirement.Requirement | undefined
  readonly public: boolean
  readonly methods: ReadonlyArray<Methods>
}

const build = <Name extends string, Methods extends Rpc.Any>(parts: Parts<Name, Methods>): Service<Name, Methods> => {
  let contract: Contract.Contract | undefined
  const description: ServiceDescription = {
    name: parts.name,
    version: parts.version,
    scope: parts.scope,
    serializationModes: parts.serializationModes,
    methods: parts.methods.map((method) => ({
      name: method.name,
      pattern: method.pattern,
      request: Wire.resolve(method.request, `${parts.name}.${method.name} request`),
      response: Wire.resolve(method.response, `${parts.name}.${method.name} response`),
      timeoutSeconds: method.timeout === undefined ? 0 : Duration.toMillis(method.timeout) / 1000,
      idempotent: method.idempotent
    }))
  }
  const key: Context.Key<Handlers<Name>, Implementation> = Context.Service<Handlers<Name>, Implementation>(
    `${KEY_PREFIX}${parts.name}@${parts.version}`
  )
  const service: Service<Name, Methods> = {
    name: parts.name,
    version: parts.version,
    scope: parts.scope,
    methods: parts.methods,
    requires: parts.requires,
    public: parts.public,
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
          const built = Effect.isEffect(handlers) ? yield* handlers : handlers
          return { service, handlers: built as Implementation["handlers"], context: yield* Effect.context<never>() }
        })
      ) as never
  }
  return service
}

const appended = <Methods extends Rpc.Any, Added extends Rpc.Any>(
  parts: Parts<string, Methods>,
  added: ReadonlyArray<Added>
): ReadonlyArray<Methods | Added> => {
  const names = new Set(parts.methods.map((method) => method.name))
  for (const { name, requires } of added) {
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
    names.add(name)
  }
  return [...parts.methods, ...added]
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
