import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Router from "@aster-effect/iroh/Router"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"

const [, , , folder, directory] = process.argv
if (folder === undefined) throw new Error("usage: share FOLDER [STORE]")

const program = Effect.gen(function* () {
  const blobs = yield* Blobs
  const { bytes, entries, hash } = yield* blobs.addFolder(folder)
  yield* Router.serve({ protocols: [BlobsProtocol.protocol()] })
  yield* Console.log(`sharing ${entries.length} files, ${bytes} bytes, until Ctrl+C:`)
  yield* Console.log(yield* blobs.share({ hash, format: "hashSeq" }))
  yield* Effect.never
}).pipe(Effect.scoped)

runMain(
  program.pipe(
    Effect.provide(Blobs.layer.pipe(Layer.provideMerge([BlobStore.layer({ directory }), IrohNode.layer(loopback)])))
  )
)
