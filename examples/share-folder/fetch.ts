import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"

const [, , , ticket, folder, directory] = process.argv
if (ticket === undefined || folder === undefined) throw new Error("usage: fetch TICKET FOLDER [STORE]")

const program = Effect.gen(function* () {
  const blobs = yield* Blobs
  const { hash, received } = yield* blobs.download(ticket)
  yield* blobs.exportCollection(hash, folder)
  yield* Console.log(`${received} bytes received, verified and written to ${folder}`)
})

runMain(
  program.pipe(
    Effect.provide(Blobs.layer.pipe(Layer.provide([BlobStore.layer({ directory }), IrohNode.layer(loopback)])))
  )
)
