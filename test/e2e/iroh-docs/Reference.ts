/** Documents of the reference, iroh-docs 0.97. */
import * as Effect from "effect/Effect"
import { type RustDoc, type RustDocs, rustNode } from "../../peers/RustNode.ts"

/** A node of the reference on loopback, with its documents. */
export const reference = Effect.map(rustNode, ({ id, node }) => ({ id, docs: node.docsClient() }))

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
