import { AsterClient } from "@aster-effect/client/AsterClient"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { PythonReference } from "./PythonReference.ts"

/** A text of every plane that fits a name. */
export const UNICODE = "Grüße, 日本語, Ωmega, 😀 and a nul \u0000."

/** A little more than 1 MiB in UTF-8. */
export const TEXT_MIB = "zwölf 字 ".repeat(1_048_576 / 11 + 1)

/** Our client of a Python producer of the kitchen services; both end with the scope. */
export const ourConsumer = Layer.unwrap(
  Effect.map(
    PythonReference.use((python) => python.producer()),
    ({ address }) => AsterClient.layer({ address, node: loopback })
  )
).pipe(Layer.provideMerge(PythonReference.layer))

/** Status and message of a call that has to fail. */
export const failure = <A, E, R>(call: Effect.Effect<A, E | RpcError, R>) =>
  Effect.map(Effect.flip(call), (error) => {
    assert.instanceOf(error, RpcError)
    return [error.status, error.message] as const
  })

/** What a stream delivers before it fails, and how it fails. */
export const failureAfter = Effect.fnUntraced(function* <A, E, R>(stream: Stream.Stream<A, E, R>) {
  const delivered: Array<A> = []
  const [status, message] = yield* failure(Stream.runForEach(stream, (item) => Effect.sync(() => delivered.push(item))))
  return { delivered, status, message }
})
