// Terminates worker threads in the middle of their traffic, then says that this process has lived.
import { once } from "node:events"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"
import * as Effect from "effect/Effect"
import { traffic } from "./traffic.ts"

if (isMainThread) {
  const mode = process.argv[2]
  for (let i = 0; i < Number(process.argv[3]); i++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: mode })
    await once(worker, "message")
    await worker.terminate()
  }
  process.stdout.write("alive\n")
} else {
  await Effect.runPromise(traffic({ mode: workerData }, () => parentPort?.postMessage("begun")))
}
