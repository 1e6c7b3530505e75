import * as Credential from "@aster-effect/trust/Credential"
import * as RootKey from "@aster-effect/trust/RootKey"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as Effect from "effect/Effect"

const program = Effect.gen(function* () {
  const root = yield* RootKey.generate
  const endpointId = SecretKey.toEndpointId(yield* SecretKey.generate)
  const attributes = new Map([["aster.role", "operator"]])
  const credential = RootKey.signProducer(root, { endpointId, expiresAt: 4_102_444_800n, attributes })
  console.log(Credential.isSignedBy(credential, root.publicKey))
  const promoted = { ...credential, attributes: new Map([["aster.role", "admin"]]) }
  console.log(Credential.isSignedBy(promoted, root.publicKey))
})

await Effect.runPromise(program)
