import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const program = Effect.gen(function* () {
  const blobs = yield* Blobs
  const { hash } = yield* blobs.addBytes(new TextEncoder().encode("hello"), { tag: "greeting" })
  console.log(hash === BlobHash.of(new TextEncoder().encode("hello")), BlobHash.short(hash))
  console.log(new TextDecoder().decode(yield* blobs.read(hash)))
})

const live = Blobs.layer.pipe(Layer.provide([BlobStore.layerMemory(), IrohNode.layer(loopback)]))

await Effect.runPromise(Effect.provide(program, live))
