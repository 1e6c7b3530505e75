/**
 * A producer in a process of its own that says how much memory it holds. Run it with --expose-gc; the first argument is
 * the server's options as JSON. It prints its address, then an answer to each line it is sent.
 */
import { createInterface } from "node:readline"
import type { AsterServerOptions } from "@aster-effect/server/AsterServer"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import { serve } from "./Kitchen.ts"
import { measure } from "./Memory.ts"

const options: AsterServerOptions = JSON.parse(process.argv[2] ?? "{}")

const report = async () => console.log(JSON.stringify(await measure()))

runMain(
  Effect.gen(function* () {
    const server = yield* serve(options)
    console.log(JSON.stringify({ address: server.address }))
    createInterface({ input: process.stdin }).on("line", report)
    yield* server.serve
  }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "None"))
)
