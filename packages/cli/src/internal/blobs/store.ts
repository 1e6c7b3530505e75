import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { MalformedBlob } from "@aster-effect/iroh-blobs/BlobError"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import { HashSeq } from "@aster-effect/iroh-blobs/HashSeq"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as fs from "node:fs/promises"
import * as nodePath from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { refused } from "../../CliFailure.ts"
import { Locations, resolve } from "../../Locations.ts"
import { clientConfig } from "../clientConfig.ts"

/** What an operating system says where there is nothing. */
const isAbsent = (error: unknown): boolean =>
  typeof error === "object" &&
  error !== null &&
  "code" in error &&
  (error.code === "ENOENT" || error.code === "ENOTDIR")

/** What the file system says about a path; undefined when there is nothing. That it does not say so is an error. */
export const statOf = (file: string) =>
  Effect.tryPromise({
    try: () =>
      fs.stat(file).catch((error: unknown) => {
        if (isAbsent(error)) return undefined
        throw error
      }),
    catch: (error) => refused(`cannot look at ${file}: ${error instanceof Error ? error.message : String(error)}`)
  })

/** The path without links on its way, as far as it is there. */
export const realPath = (file: string) => Effect.promise(() => fs.realpath(file).catch(() => nodePath.resolve(file)))

/** The store's folder: the one given, the one that a server with the same settings uses, or one of the user. */
export const directoryOf = Effect.fnUntraced(function* (given: string | undefined) {
  const locations = yield* Locations
  if (given !== undefined) return resolve(locations, given)
  const { storagePath } = yield* clientConfig(undefined)
  const home = storagePath === undefined ? nodePath.join(locations.home, ".aster") : resolve(locations, storagePath)
  return nodePath.join(home, "blobs")
})

/** Opens the store. One that is only read from has to be there already, and is not changed. */
export const openStore = Effect.fnUntraced(function* (given: string | undefined, use: "read" | "write") {
  const directory = yield* directoryOf(given)
  if (use === "read" && (yield* statOf(directory)) === undefined) return yield* noStore(directory)
  const readOnly = use === "read"
  const context = yield* Layer.build(BlobStore.layerDirectory(directory, { readOnly }))
  return Context.get(context, BlobStore)
})

const noStore = (directory: string) =>
  refused(
    `there is no blob store at ${directory}: add something with aster blobs add, or name another one with --store`
  )

/** Blobs in a store, on a node. */
export const blobsOn = (store: BlobStore["Service"], node: IrohNode["Service"]) =>
  Effect.map(
    Layer.build(
      Layer.fresh(Blobs.layer).pipe(Layer.provide([Layer.succeed(BlobStore, store), Layer.succeed(IrohNode, node)]))
    ),
    Context.get(Blobs)
  )

/** What there is to do in the store alone is done by a node on a network of its own, without a socket. */
export const blobsOffline = Effect.fnUntraced(function* (store: BlobStore["Service"]) {
  const node = yield* Layer.build(IrohNode.layerMemory().pipe(Layer.provide(MemoryNetwork.layer())))
  return yield* blobsOn(store, Context.get(node, IrohNode))
})

export const parse = <A>(read: () => A): Effect.Effect<A, MalformedBlob> =>
  Effect.try({
    try: read,
    catch: (cause) => new MalformedBlob({ problem: cause instanceof Error ? cause.message : String(cause) })
  })

/** A hash as a user writes it. Bare, it is a collection if a tag says so. */
export const contentOf = Effect.fnUntraced(function* (store: BlobStore["Service"], text: string) {
  const content = yield* parse(() => BlobHash.parseWithFormat(text.trim()))
  if (content.format === "hashSeq") return content
  const isSeq = (yield* tagsOf(store, content.hash)).some(({ format }) => format === "hashSeq")
  return isSeq ? ({ ...content, format: "hashSeq" } as const) : content
})

/** The tags that name a blob, as whatever. */
export const tagsOf = (store: BlobStore["Service"], hash: BlobHash.BlobHash) =>
  Stream.runCollect(Stream.filter(store.tags.list(), (tag) => tag.hash === hash))

/** Makes sure that something keeps the blob: the tag of this name, or any, which is made if there is none. */
export const keep = Effect.fnUntraced(function* (
  store: BlobStore["Service"],
  { format, hash }: BlobHash.HashAndFormat,
  tag: string | undefined
) {
  if (tag !== undefined) return yield* store.tags.set(tag, { format, hash })
  const tags = yield* tagsOf(store, hash)
  if (!tags.some((tag) => tag.format === format)) yield* store.tags.create({ format, hash })
})

/** The hashes that a hash sequence lists. */
export const childrenOf = (blobs: Blobs["Service"], hash: BlobHash.BlobHash) =>
  Effect.flatMap(blobs.read(hash), (bytes) => parse(() => [...new HashSeq(bytes)]))
