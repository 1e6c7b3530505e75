/** Documents of the reference, iroh-docs 0.97, of which its package's types say nothing. */
import * as Effect from "effect/Effect"
import { createRequire } from "node:module"

interface RustDoc {
  readonly docId: () => string
  readonly setBytes: (author: string, key: string, value: Buffer) => Promise<string>
  readonly getExact: (author: string, key: string) => Promise<Buffer | null>
  /** Lines of author and hash. */
  readonly queryKeyExact: (key: string) => Promise<ReadonlyArray<string>>
  readonly readEntryContent: (hash: string) => Promise<Buffer>
  readonly shareWithAddr: (mode: "read" | "write") => Promise<string>
  readonly leave: () => Promise<void>
}
interface RustDocs {
  readonly create: () => Promise<RustDoc>
  readonly createAuthor: () => Promise<string>
  readonly joinAndSubscribe: (ticket: string) => Promise<{ readonly takeDoc: () => RustDoc }>
}
interface RustNode {
  readonly nodeId: () => string
  readonly docsClient: () => RustDocs
  readonly close: () => Promise<void>
}
interface Binding {
  readonly IrohNode: {
    readonly memoryWithAlpns: (alpns: ReadonlyArray<Buffer>, options: object) => Promise<RustNode>
  }
}

const { IrohNode } = createRequire(import.meta.url)("@aster-rpc/transport") as Binding

/** A node of the reference on loopback, with its documents. */
export const reference = Effect.acquireRelease(
  Effect.promise(() =>
    IrohNode.memoryWithAlpns([Buffer.from("unused")], {
      relayMode: "disabled",
      portmapperConfig: "disabled",
      bindAddr: "127.0.0.1:0"
    })
  ),
  (node) => Effect.promise(() => node.close())
).pipe(Effect.map((node) => ({ id: node.nodeId(), docs: node.docsClient() })))

/**
 * The latest contents that a document of the reference has under a key, as text, one for each author. A content that is on
 * its way cannot be read.
 */
export const texts = (doc: RustDoc, key: string) =>
  Effect.tryPromise(async () => {
    const lines = await doc.queryKeyExact(key)
    const found = await Promise.all(lines.map((line) => doc.readEntryContent(line.split(":")[1]!).then(String)))
    return found.toSorted()
  })

/** Takes a document by a ticket and syncs it: `join` alone only imports it. */
export const joined = (docs: RustDocs, ticket: string) =>
  Effect.acquireRelease(
    Effect.promise(() => docs.joinAndSubscribe(ticket)),
    (both) => Effect.sync(() => void both)
  ).pipe(Effect.map((both) => both.takeDoc()))
