import { AsterClient } from "@aster-effect/client/AsterClient"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import { Billing, Customer } from "./Billing.ts"

const program = Effect.gen(function* () {
  const aster = yield* AsterClient
  const billing = yield* aster.client(Billing)
  const { cents, name } = yield* billing.invoice(new Customer({ name: "acme" }))
  yield* Console.log(`${name} owes ${cents} cents`)
})

// The credential is that of .aster-identity in the working directory.
const [, , , address] = process.argv
runMain(program.pipe(Effect.provide(AsterClient.layer({ address }))))
