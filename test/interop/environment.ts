/** Makes the Python environment once, before files that would each make it begin at the same time. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { interpreter } from "./PythonReference.ts"

// What is in the way is said by the tests that need it.
export default () => Effect.runPromise(interpreter.pipe(Effect.ignore, Effect.provide(NodeServices.layer)))
