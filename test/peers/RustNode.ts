/** A node of the reference implementation, of which its package's types say nothing. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { createRequire } from "node:module"

export interface RustBlobs {
  readonly addBytes: (bytes: Buffer) => Promise<string>
  readonly addCollection: (entries: ReadonlyArray<readonly [string, Buffer]>) => Promise<string>
  readonly createTicket: (hash: string) => string
  readonly createCollectionTicket: (hash: string) => string
  readonly downloadBlob: (ticket: string) => Promise<Buffer>
  readonly blobStatus: (hash: string) => Promise<string>
  readonly read: (hash: string) => Promise<Buffer>
  readonly listCollection: (hash: string) => Promise<ReadonlyArray<{ name: string; hash: string; size: number }>>
}
/** Documents of iroh-docs 0.97. */
export interface RustDocs {
  readonly create: () => Promise<RustDoc>
  readonly createAuthor: () => Promise<string>
  readonly joinAndSubscribe: (ticket: string) => Promise<{ readonly takeDoc: () => RustDoc }>
}
export interface RustDoc {
  readonly docId: () => string
  readonly setBytes: (author: string, key: string, value: Buffer) => Promise<string>
  readonly getExact: (author: string, key: string) => Promise<Buffer | null>
  /** Lines of author and hash. */
  readonly queryKeyExact: (key: string) => Promise<ReadonlyArray<string>>
  readonly readEntryContent: (hash: string) => Promise<Buffer>
  readonly shareWithAddr: (mode: "read" | "write") => Promise<string>
  readonly leave: () => Promise<void>
}
interface RustConnection {
  readonly openBi: () => Promise<RustStream>
  readonly close: (code: number, reason: string) => void
}
interface RustStream {
  readonly takeSend: () => { readonly writeAll: (bytes: Buffer) => Promise<void>; readonly finish: () => Promise<void> }
  readonly takeRecv: () => { readonly readToEnd: (limit: number) => Promise<Buffer> }
}
interface RustNode {
  readonly nodeId: () => string
  readonly nodeAddr: () => string
  readonly blobsClient: () => RustBlobs
  readonly docsClient: () => RustDocs
  readonly connectNodeAddr: (id: string, alpn: Buffer, direct: ReadonlyArray<string>) => Promise<RustConnection>
  readonly close: () => Promise<void>
}
interface Binding {
  readonly IrohNode: {
    readonly memoryWithAlpns: (alpns: ReadonlyArray<Buffer>, options: object) => Promise<RustNode>
  }
}

const { IrohNode } = createRequire(import.meta.url)("@aster-rpc/transport") as Binding

/** A Rust node with its blobs and documents, on loopback only. */
export const rustNode = Effect.acquireRelease(
  Effect.promise(() =>
    IrohNode.memoryWithAlpns([Buffer.from("unused")], {
      relayMode: "disabled",
      portmapperConfig: "disabled",
      bindAddr: "127.0.0.1:0"
    })
  ),
  (node) => Effect.promise(() => node.close())
).pipe(Effect.map((node) => ({ id: node.nodeId(), addr: node.nodeAddr(), blobs: node.blobsClient(), node })))

/**
 * What the node downloads by a ticket. It gives a connection one second, which is short on a busy machine; so it is told
 * again when it could not.
 */
export const downloaded = (blobs: RustBlobs, ticket: string): Effect.Effect<Buffer, string> =>
  Effect.tryPromise({ try: () => blobs.downloadBlob(ticket), catch: String }).pipe(
    Effect.retry({
      while: (error) => error.includes("Unable to download"),
      schedule: Schedule.spaced("250 millis"),
      times: 60
    })
  )
