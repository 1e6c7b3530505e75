import { Health } from "@aster-effect/observability/Health"
import * as HealthServer from "@aster-effect/observability/HealthServer"
import * as Effect from "effect/Effect"

const program = Effect.gen(function* () {
  const health = yield* Health.make({
    phase: Effect.succeed("serving"),
    services: ["Hello"],
    registry: Effect.succeed(false),
    checks: [Effect.succeed("the database is not there")]
  })
  const port = yield* HealthServer.serve(health, { port: 0 })
  const answer = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/readyz`))
  console.log(answer.status, yield* Effect.promise(() => answer.json()))
})

await Effect.runPromise(Effect.scoped(program))
