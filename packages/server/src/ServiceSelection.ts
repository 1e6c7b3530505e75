/**
 * Which services a server serves, and why it cannot serve what it was told to.
 *
 * @since 0.1.0
 */
import * as Service from "@aster-effect/core/service/Service"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * A server was to be started without anything to serve.
 *
 * @since 0.1.0
 */
export class NoServices extends Schema.TaggedError<NoServices>()("NoServices", {}) {
  override get message(): string {
    return "no services to serve: provide the layer of at least one service, as in AsterServerLive.pipe(Layer.provide(MyServiceLive))"
  }
}

/**
 * A service of the `services` option has no handlers in the context.
 *
 * @since 0.1.0
 */
export class ServiceNotProvided extends Schema.TaggedError<ServiceNotProvided>()("ServiceNotProvided", {
  service: Schema.String,
  version: Schema.Int
}) {
  override get message(): string {
    return `service ${this.service} v${this.version} has no handlers: provide the layer that its toLayer makes`
  }
}

/**
 * A service that is for calls within the process was to be served to peers.
 *
 * @since 0.1.0
 */
export class ServiceIsLocal extends Schema.TaggedError<ServiceIsLocal>()("ServiceIsLocal", {
  service: Schema.String,
  version: Schema.Int
}) {
  override get message(): string {
    return `service ${this.service} v${this.version} is declared local: take it out of the server's services, or its local option away`
  }
}

/**
 * The implementations of the wanted services, in their order; without a wish all that stand in the context, apart from
 * local ones.
 *
 * @since 0.1.0
 */
export const select = Effect.fnUntraced(function* (
  wanted: ReadonlyArray<Service.Any> | undefined
): Effect.fn.Return<ReadonlyArray<Service.Implementation>, NoServices | ServiceIsLocal | ServiceNotProvided> {
  const provided = Service.implementationsIn(yield* Effect.context<never>())
  const selected =
    wanted === undefined
      ? provided.filter(({ service }) => !service.local)
      : yield* Effect.forEach(wanted, (service) => find(provided, service))
  return selected.length === 0 ? yield* new NoServices() : selected
})

const find = (
  provided: ReadonlyArray<Service.Implementation>,
  { local, name, version }: Service.Any
): Effect.Effect<Service.Implementation, ServiceIsLocal | ServiceNotProvided> => {
  if (local) return Effect.fail(new ServiceIsLocal({ service: name, version }))
  const found = provided.find(({ service }) => service.name === name && service.version === version)
  return found === undefined ? Effect.fail(new ServiceNotProvided({ service: name, version })) : Effect.succeed(found)
}
