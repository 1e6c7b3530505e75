/** Producers that are killed under calls, as processes on real sockets. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { start } from "./Child.ts"
import { Oracle } from "./oracleServer.ts"

const producer = Effect.fnUntraced(function* (key: number, port = 0) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const child = yield* Scope.provide(start("test/faults/oracleServer.ts", [`${key}`, `${port}`]), scope)
  const said: { readonly address: string; readonly port: number } = JSON.parse(yield* child.line)
  return { ...said, kill: Scope.close(scope, Exit.void) }
})

it.live("64 callers of two producers that are killed one after the other get every answer", () =>
  Effect.gen(function* () {
    const [one, two] = yield* Effect.all([producer(1), producer(2)], { concurrency: 2 })
    const layer = AsterClient.layer({ producers: [one.address, two.address], node: loopback })
    const aster = Context.get(yield* Layer.build(layer), AsterClient)
    const client = yield* aster.client(Oracle)
    let over = false
    let answers = 0
    let latest: ReadonlyArray<number> = []
    const caller = Effect.gen(function* () {
      while (!over) {
        const { by, number } = yield* client.ask({ number: answers }, { timeout: "60 seconds" })
        assert.isAtMost(number, answers)
        answers++
        latest = [...latest.slice(-255), by]
      }
    })
    const callers = yield* Effect.forkChild(
      Effect.all(
        Array.from({ length: 64 }, () => caller),
        { concurrency: 64 }
      )
    )
    /** Waits until these answer, and nobody else; or until the callers have failed. */
    const answering = (...keys: ReadonlyArray<number>) =>
      Effect.repeat(Effect.sleep("20 millis"), {
        until: () =>
          callers.pollUnsafe() !== undefined ||
          (latest.length === 256 && [...new Set(latest)].sort().join() === keys.join())
      })
    yield* answering(1, 2)
    yield* one.kill
    yield* answering(2)
    yield* producer(1, one.port)
    yield* answering(1, 2)
    yield* two.kill
    yield* answering(1)
    over = true
    yield* Fiber.join(callers)
    assert.isAbove(answers, 1_000)
  }).pipe(Effect.scoped)
)
