/**
 * Tokens in the metadata of calls, and who they stand for.
 *
 * A peer is known by its endpoint id already; tokens are for people and tenants behind it.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { RpcError } from "../wire/RpcError.ts"
import type { Call } from "./CallContext.ts"
import type { Interceptor } from "./Interceptor.ts"

/** The metadata key, as in HTTP (RFC 6750). @since 0.1.0 */
export const AUTHORIZATION = "authorization"

const SCHEME = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i

/**
 * For clients: sends a token with every call. An effect is asked for each call, so that it can refresh what has expired.
 *
 * @since 0.1.0
 */
export const send = (
  token: Redacted.Redacted<string> | Effect.Effect<Redacted.Redacted<string>, RpcError>
): Interceptor => {
  const current = Effect.isEffect(token) ? token : Effect.succeed(token)
  return (call, next) =>
    Effect.flatMap(current, (value) =>
      next({ ...call, metadata: new Map([...call.metadata, [AUTHORIZATION, `Bearer ${Redacted.value(value)}`]]) })
    )
}

/**
 * For servers: turns the token into what handlers ask for. Calls without one end with UNAUTHENTICATED before `verify` is
 * asked. To be used with `Interceptor.Service`, which makes the service listed know what is provided:
 *
 * ```ts
 * class Auth extends Interceptor.Service<Auth, { provides: Principal }>()("app/Auth") {}
 * const AuthLive = Auth.toLayer(Bearer.provide(Principal, (token) => lookUp(token)))
 * ```
 *
 * @param verify answers who it is, or fails with the status of the call; compare tokens in constant time
 * @since 0.1.0
 */
export const provide =
  <I, A, E, R>(
    principal: Context.Key<I, A>,
    verify: (token: Redacted.Redacted<string>, call: Call) => Effect.Effect<A, E | RpcError, R>
  ): Interceptor<I, E, R> =>
  (call, next) => {
    const token = SCHEME.exec(call.metadata.get(AUTHORIZATION) ?? "")?.[1]
    if (token === undefined) return Effect.fail(unauthenticated)
    return Effect.flatMap(verify(Redacted.make(token, { label: "bearer token" }), call), (who) =>
      Effect.provideService(next(call), principal, who)
    )
  }

const unauthenticated = RpcError.of("UNAUTHENTICATED", "the call carries no bearer token in its authorization metadata")
