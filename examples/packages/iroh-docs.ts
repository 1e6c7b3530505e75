import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { Docs } from "@aster-effect/iroh-docs/Docs"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const program = Effect.gen(function* () {
  const docs = yield* Docs
  const document = yield* docs.create
  yield* document.set("city", "Bern")
  yield* document.set("city", "Basel")
  console.log(yield* document.getText("city"))
})

const live = Docs.layer().pipe(
  Layer.provide(Blobs.layer),
  Layer.provide(BlobStore.layerMemory()),
  Layer.provide(IrohNode.layer(loopback))
)

await Effect.runPromise(Effect.provide(program, live))
