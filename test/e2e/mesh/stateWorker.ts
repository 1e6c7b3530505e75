/**
 * A process to be killed: opens the mesh in the directory given, says which salt it has and who is in it, and then takes in
 * producers until it is killed, telling of every one that was acknowledged.
 */
import { ProducerMesh } from "@aster-effect/mesh/ProducerMesh"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { publicKey } from "./Keys.ts"

const [directory = "", root = "", self = ""] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const mesh = yield* ProducerMesh
  process.stdout.write(`ready ${mesh.salt} ${(yield* mesh.acceptedProducers).join(" ")}\n`)
  while (true) {
    const id = EndpointId.parse(publicKey())
    yield* mesh.accept(id)
    process.stdout.write(`done ${id}\n`)
  }
})

await Effect.runPromise(
  Effect.provide(
    program,
    ProducerMesh.layerDirectory(directory, {
      root: Result.getOrThrow(RootPublicKey.fromHex(root)),
      self: EndpointId.parse(self)
    })
  )
)
