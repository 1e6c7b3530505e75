import { parseArgs } from "node:util"
import * as Console from "effect/Console"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import { consumer } from "./consumer.ts"
import { producer } from "./producer.ts"

const usage = `usage: node examples/kitchen-sink [serve] [--json]   serve until stopped
       node examples/kitchen-sink call ADDRESS       call a producer`

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean", default: false } }
})
const [command = "serve", address] = positionals

if (command === "serve") runMain(producer(values.json))
else if (command === "call" && address !== undefined) runMain(consumer(address))
else {
  process.exitCode = 2
  runMain(Console.error(usage))
}
