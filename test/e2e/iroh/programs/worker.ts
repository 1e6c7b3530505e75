// Makes nodes in a worker thread: one that nobody asked for there, and one that is closed before the thread ends.
import { isMainThread, Worker } from "node:worker_threads"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeOptions from "@aster-effect/iroh/NodeOptions"
import * as Effect from "effect/Effect"

if (isMainThread) {
  new Worker(new URL(import.meta.url))
} else {
  const bound = (workerThread?: boolean) =>
    IrohNode.use(() => Effect.succeed("bound and closed")).pipe(
      Effect.provide(IrohNode.layer({ ...NodeOptions.loopback, workerThread })),
      Effect.catch((error) => Effect.succeed(error.message))
    )
  for (const workerThread of [undefined, true]) {
    process.stdout.write(`${await Effect.runPromise(bound(workerThread))}\n`)
  }
}
