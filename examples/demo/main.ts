/**
 * A producer and a consumer as two processes, talking QUIC on this machine.
 */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

const kitchen = fileURLToPath(new URL("../kitchen-sink/index.js", import.meta.url))
const run = (args: ReadonlyArray<string>, stdout: "pipe" | "inherit") =>
  spawn(process.execPath, [...process.execArgv, kitchen, ...args], { stdio: ["ignore", stdout, "inherit"] })

const producer = run(["serve", "--json"], "pipe")
const stopped = once(producer, "exit")
try {
  const [line] = await Promise.race([
    once(createInterface({ input: producer.stdout! }), "line"),
    stopped.then(() => Promise.reject(new Error("the producer ended before it listened")))
  ])
  const { address } = JSON.parse(line)
  console.log(`producer, process ${producer.pid}: serving at ${address}`)
  const consumer = run(["call", address], "inherit")
  console.log(`consumer, process ${consumer.pid}: calling`)
  const [code] = await once(consumer, "exit")
  process.exitCode = code ?? 1
} finally {
  producer.kill("SIGTERM")
}
const [code] = await stopped
console.log(`producer stopped with exit code ${code}`)
if (code !== 0) process.exitCode = 1
