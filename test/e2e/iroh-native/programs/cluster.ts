// A primary and two workers of a cluster, each with traffic of its own; the primary ends them one after the other.
import cluster from "node:cluster"
import { once } from "node:events"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { traffic } from "./traffic.ts"

const mode = process.argv[2] === "thread" ? "thread" : "inline"
const begun = Promise.withResolvers<void>()
const running = Effect.runFork(traffic({ mode }, begun.resolve))
await begun.promise
if (cluster.isPrimary) {
  for (let i = 0; i < 2; i++) {
    const worker = cluster.fork()
    await once(worker, "message")
    const exit = once(worker, "exit")
    worker.send("end")
    const [code, signal] = await exit
    process.stdout.write(`worker: ${code} ${signal}\n`)
  }
  await Effect.runPromise(Fiber.interrupt(running))
  process.stdout.write("primary: closed\n")
} else {
  process.send?.("begun")
  process.once("message", () => process.exit(0))
}
