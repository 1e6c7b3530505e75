/**
 * A producer in a process of its own that says how much memory it holds. Run it with --expose-gc; the first argument is
 * the server's options as JSON. It prints its address, then an answer to each line it is sent.
 */
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import type { Options } from "@aster-effect/server/AsterServer"
import { Effect, References } from "effect"
import { runMain } from "../../examples/runMain.ts"
import { serve } from "./Kitchen.ts"

const collect = globalThis.gc
if (collect === undefined) throw new Error("start this with --expose-gc")
const options: Options = JSON.parse(process.argv[2] ?? "{}")

const report = async () => {
  // What finalizers free is gone with a later collection.
  for (let i = 0; i < 4; i++) {
    collect()
    await sleep(20)
  }
  const { arrayBuffers, heapUsed, rss } = process.memoryUsage()
  console.log(JSON.stringify({ held: heapUsed + arrayBuffers, rss }))
}

runMain(
  Effect.gen(function* () {
    const server = yield* serve(options)
    console.log(JSON.stringify({ address: server.address }))
    createInterface({ input: process.stdin }).on("line", report)
    yield* server.serve
  }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "None"))
)
