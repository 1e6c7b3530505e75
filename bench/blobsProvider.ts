/** The providing process of bench/blobs.ts: the same bytes over the bare transport and as a blob. `number0` or `native`. */
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as Router from "@aster-effect/iroh/Router"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BareNode from "./BareNode.ts"
import * as bare from "./BareTransfer.ts"
import { content, loopback, processTime, threadTime, transferOn } from "./Transfer.ts"

/** What this process tells: where it can be reached, then, whenever it is asked, its processor time in milliseconds. */
export type FromProvider =
  | { readonly kind: "serving"; readonly bare: bare.Address; readonly node: string; readonly ticket: string }
  | { readonly kind: "time"; readonly thread: number; readonly process: number }

const tell = (message: FromProvider) => process.send?.(message)
process.on("disconnect", () => process.exit(0))
process.on("message", () => tell({ kind: "time", thread: threadTime(), process: processTime() }))

const binding = process.argv[2] === "native" ? "native" : "number0"

const program = Effect.gen(function* () {
  const bytes = content(transferOn(binding))
  const blobs = yield* Blobs
  const { address } = yield* IrohNode
  yield* Router.serve({ protocols: [BlobsProtocol.protocol(), BareNode.protocol(bytes)] })
  const ticket = yield* blobs.share((yield* blobs.addBytes(bytes)).hash)
  const node = NodeAddr.toTicket(yield* address)
  tell({ kind: "serving", bare: yield* Effect.promise(() => bare.provide(bytes)), node, ticket })
  return yield* Effect.never
})

const node = Blobs.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(BlobStore.layerMemory(), IrohNode.layer({ ...loopback, binding })))
)
await Effect.runPromise(Effect.scoped(Effect.provide(program, node)))
