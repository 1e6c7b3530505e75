// Exits in the middle of its traffic.
import * as Effect from "effect/Effect"
import { traffic } from "./traffic.ts"

const mode = process.argv[2] === "thread" ? "thread" : "inline"
await Effect.runPromise(traffic({ mode }, () => process.exit(7)))
