import * as Context from "effect/Context"
import type { CalledMethod } from "../../interceptor/CallContext.ts"
import * as Interceptor from "../../interceptor/Interceptor.ts"
import * as MessageCodec from "../../message/MessageCodec.ts"
import type { Implementation } from "../../service/Service.ts"
import * as DeclaredError from "../../wire/DeclaredError.ts"
import type { RpcError } from "../../wire/RpcError.ts"
import * as serverCall from "./serverCall.ts"

/** A service ready to be called. */
export interface CompiledService {
  readonly implementation: Implementation
  readonly methods: ReadonlyMap<string, CompiledMethod>
  readonly accepts: ReadonlySet<MessageCodec.Encoding>
}

/** A method ready to be called: what does not change from call to call has been decided. */
export interface CompiledMethod extends serverCall.Serving {
  readonly called: CalledMethod
  readonly request: MessageCodec.MessageCodec<unknown>
  readonly response: MessageCodec.MessageCodec<unknown>
  /** Answers an Effect for single responses, a Stream otherwise. */
  readonly handler: (request: never) => unknown
  /** What the handler needs, on top of what a call has where it is served. */
  readonly within: (surrounding: Context.Context<never>) => Context.Context<never>
  readonly declaredError: (error: unknown) => RpcError | undefined
}

/**
 * @param interceptors of the server, the first outermost
 * @throws Wire.WireTypeError for messages that cannot be encoded
 */
export const compile = (
  implementation: Implementation,
  interceptors: ReadonlyArray<Interceptor.Interceptor>
): CompiledService => {
  const { context, handlers, service } = implementation
  const codecs = MessageCodec.ofMethods(service.methods)
  const within = mergedOnce(context)
  const methods = service.methods.map((method, i): readonly [string, CompiledMethod] => {
    const called: CalledMethod = {
      service: service.name,
      version: service.version,
      method: method.name,
      pattern: method.pattern,
      idempotent: method.idempotent
    }
    const own = method.interceptors.map((key) => Context.get(context as Context.Context<unknown>, key))
    return [
      method.name,
      {
        called,
        request: codecs[2 * i]!,
        response: codecs[2 * i + 1]!,
        handler: handlers[method.name]!,
        within,
        declaredError: DeclaredError.encoder(method.error),
        ...serverCall.compile(method.pattern, Interceptor.compose([...interceptors, ...own], called))
      }
    ]
  })
  const xlang = service.description.serializationModes.includes("xlang")
  return {
    implementation,
    methods: new Map(methods),
    accepts: new Set<MessageCodec.Encoding>(xlang ? ["xlang", "json"] : ["json"])
  }
}

/** Merging copies all that there is, and the calls of a connection have the same around them. */
const mergedOnce = (context: Context.Context<never>): CompiledMethod["within"] => {
  const merged = new WeakMap<Context.Context<never>, Context.Context<never>>()
  return (surrounding) => {
    const known = merged.get(surrounding)
    if (known !== undefined) return known
    const both = Context.merge(surrounding, context)
    merged.set(surrounding, both)
    return both
  }
}
