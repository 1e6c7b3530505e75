/** What programs do with one document. */
import type { BlobStoreError } from "@aster-effect/iroh-blobs/BlobError"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { DocEntry } from "../DocEntry.ts"
import { ContentMissing, type DocsStoreError, DocumentReadOnly, InvalidEntry } from "../DocsError.ts"
import * as DocTicket from "../DocTicket.ts"
import type { Document, ReadError, WriteError, WriteOptions } from "../Document.ts"
import type * as DocumentId from "../DocumentId.ts"
import type * as DownloadPolicy from "../DownloadPolicy.ts"
import * as Bytes from "../proto/Bytes.ts"
import * as Entry from "../proto/Entry.ts"
import { MAX_KEY_SIZE } from "../proto/Validation.ts"
import * as Query from "../Query.ts"
import { authorPair } from "./authors.ts"
import type { Engine } from "./docs.ts"
import { contentFailed } from "./documents.ts"
import { tell } from "./tell.ts"
import { nowMicros } from "./receive.ts"
import type { OpenDocument, Written } from "./replica.ts"

export const makeDocument = (engine: Effect.Effect<Engine, DocsStoreError>, id: DocumentId.DocumentId): Document => {
  const opened: Effect.Effect<readonly [Engine, OpenDocument], ReadError> = Effect.flatMap(engine, (engine) =>
    Effect.map(engine.documents.find(id), (document) => [engine, document] as const)
  )

  /** Writes a record whose content, if there is one, is kept by whoever calls. */
  const write = Effect.fnUntraced(function* (
    { documents, ...engine }: Engine,
    document: OpenDocument,
    record: { readonly key: Uint8Array; readonly hash: Uint8Array; readonly length: number },
    options: WriteOptions | undefined
  ): Effect.fn.Return<Written, WriteError> {
    const author = yield* authorPair({ documents, ...engine }, options?.author)
    const now = yield* nowMicros
    const written = yield* documents.change("write an entry", () => document.write(author, record, now))
    if (!("entry" in written)) return yield* written
    document.publishLocal(written.entry)
    yield* tell(document, "everybody", { _tag: "Put", entry: written.entry })
    return written
  })

  /** What a write leads to, once it is there. */
  const written = (
    { contents }: Engine,
    document: OpenDocument,
    writing: Effect.Effect<Written, WriteError | BlobStoreError>
  ): Effect.Effect<DocEntry, WriteError> =>
    writing.pipe(
      Effect.tap(({ replaced }) => contents.release(document, replaced)),
      Effect.catchTag("BlobStoreError", (error) => Effect.fail(contentFailed(error))),
      Effect.map(({ entry }) => new DocEntry(entry))
    )

  const keyOf = (key: string | Uint8Array): Effect.Effect<Uint8Array, InvalidEntry> => {
    const bytes = Bytes.of(key)
    return bytes.length > MAX_KEY_SIZE
      ? Effect.fail(
          new InvalidEntry({
            reason: "KeyTooLong",
            detail: `a key has at most ${MAX_KEY_SIZE} bytes, and this one ${bytes.length}`
          })
        )
      : Effect.succeed(bytes)
  }

  const set: Document["set"] = Effect.fn("Document.set")(function* (key, value, options) {
    const name = yield* keyOf(key)
    const bytes = Bytes.of(value)
    if (bytes.length === 0) return yield* empty
    const [engine, document] = yield* opened
    if (document.pair === undefined) return yield* new DocumentReadOnly({ document: id })
    const hash = BlobHash.toBytes(BlobHash.of(bytes))
    const writing = engine.contents.tagging(
      Effect.andThen(
        engine.blobs.addBytes(bytes, { tag: document.tag(hash) }),
        write(engine, document, { key: name, hash, length: bytes.length }, options)
      )
    )
    return yield* written(engine, document, writing)
  })

  const setHash: Document["setHash"] = Effect.fn("Document.setHash")(function* (key, hash, size, options) {
    const name = yield* keyOf(key)
    if (size === 0 || hash === BlobHash.emptyBlob) return yield* empty
    if (!Number.isSafeInteger(size) || size < 0) {
      return yield* new InvalidEntry({ reason: "Malformed", detail: `${size} is not a number of bytes` })
    }
    const [engine, document] = yield* opened
    const record = { key: name, hash: BlobHash.toBytes(hash), length: size }
    const writing = engine.contents.keeping(document, [record.hash], write(engine, document, record, options))
    return yield* written(engine, document, writing)
  })

  const remove: Document["delete"] = Effect.fn("Document.delete")(function* (prefix, options) {
    const key = yield* keyOf(prefix)
    const [engine, document] = yield* opened
    const { replaced } = yield* write(engine, document, { key, hash: Entry.EMPTY_HASH, length: 0 }, options)
    yield* Effect.mapError(engine.contents.release(document, replaced), contentFailed)
    return replaced.filter((entry) => !Entry.isTombstone(entry)).length
  })

  const select = (query: Query.Query): Effect.Effect<ReadonlyArray<Entry.SignedEntry>, ReadError> =>
    Effect.flatMap(opened, ([{ documents }, { stored }]) =>
      documents.read("read entries", () => {
        const authors = [...stored.heads.keys()].map((author) => Uint8Array.from(Buffer.from(author, "hex")))
        return [...Query.run(stored.entries, stored.namespace, authors, query)]
      })
    )

  const getOne = (query: Query.Query) =>
    Effect.map(select({ ...query, limit: Math.min(1, query.limit ?? 1) }), ([entry]) =>
      entry === undefined ? Option.none() : Option.some(new DocEntry(entry))
    )

  const latest = (key: string | Uint8Array) => getOne({ key: { exact: key }, latestPerKey: true })

  const read: Document["read"] = Effect.fn("Document.read")(function* (entry) {
    const { blobs } = yield* engine
    const got = yield* Effect.option(blobs.read(entry.hash))
    if (Option.isSome(got)) return got.value
    const [{ addresses }, document] = yield* opened
    const from = [...new Set([...document.stored.peers.map(({ endpointId }) => endpointId), ...document.neighbors])]
    const options = { from: from.map((peer) => addresses.get(peer)), tag: false, maxBytes: entry.size } as const
    return yield* blobs.download(entry.hash, options).pipe(
      Effect.andThen(blobs.read(entry.hash)),
      Effect.mapError(() => new ContentMissing({ hash: entry.hash, key: entry.keyText }))
    )
  })

  const get = Effect.fn("Document.get")(function* (key: string | Uint8Array) {
    const entry = yield* latest(key)
    return Option.isNone(entry) ? Option.none() : Option.some(yield* read(entry.value))
  })

  const startSync: Document["startSync"] = Effect.fn("Document.startSync")(function* (peers = []) {
    const [{ addresses, live, node, syncer }, document] = yield* opened
    document.syncing = true
    const all = [...peers, ...document.stored.peers].filter(({ endpointId }) => endpointId !== node.endpointId)
    for (const peer of all.toReversed()) addresses.learn(peer)
    yield* live.start(document, all)
    yield* Effect.forEach(new Set(all.map(({ endpointId }) => endpointId)), (peer) => syncer.begin(document, peer), {
      discard: true
    })
  })

  return {
    id,
    mode: Effect.map(opened, ([, { stored }]) => (stored.secret === undefined ? "read" : "write")),
    set,
    setHash,
    delete: remove,
    getOne: Effect.fn("Document.getOne")(getOne),
    getMany: (query = {}) =>
      Stream.unwrap(
        Effect.map(select(query), (entries) => Stream.map(Stream.fromIterable(entries), (entry) => new DocEntry(entry)))
      ),
    latest: Effect.fn("Document.latest")(latest),
    read,
    get,
    getText: (key) =>
      Effect.map(
        get(key),
        Option.map((bytes) => new TextDecoder().decode(bytes))
      ),
    schema: (schema) => {
      const json = Schema.fromJsonString(Schema.toCodecJson(schema))
      const encode = Schema.encodeEffect(json)
      const decode = Schema.decodeEffect(json)
      return {
        set: (key, value, options) => Effect.flatMap(encode(value), (text) => set(key, text, options)),
        get: (key) =>
          Effect.flatMap(get(key), (found) =>
            Option.isNone(found)
              ? Effect.succeed(Option.none())
              : Effect.map(decode(new TextDecoder().decode(found.value)), Option.some)
          )
      }
    },
    subscribe: Effect.fn("Document.subscribe")(function* (options) {
      const [, document] = yield* opened
      return yield* document.subscribers.listen(options?.capacity ?? 4096)
    }),
    status: Effect.flatMap(opened, ([{ documents }, document]) =>
      documents.read("read a document", () => ({
        mode: document.stored.secret === undefined ? "read" : "write",
        syncing: document.syncing,
        entries: document.stored.entries.before().count,
        authors: document.stored.heads.size,
        missing: document.stored.wanted().map(BlobHash.parse),
        sessions: document.sessions.running,
        subscribers: document.subscribers.size,
        peers: document.stored.peers
      }))
    ),
    share: Effect.fn("Document.share")(function* (mode) {
      const [{ node }, document] = yield* opened
      const { secret } = document.stored
      if (mode === "write" && secret === undefined) return yield* new DocumentReadOnly({ document: id })
      if (!document.syncing) yield* startSync()
      return DocTicket.encode({
        capability:
          mode === "read" || secret === undefined
            ? { _tag: "Read", document: id }
            : { _tag: "Write", secret: Redacted.make(secret) },
        nodes: [yield* node.address]
      })
    }),
    startSync,
    syncWith: Effect.fn("Document.syncWith")(function* (peer) {
      const [{ addresses, syncer }, document] = yield* opened
      addresses.learn(peer)
      return yield* syncer.syncWith(document, peer.endpointId)
    }),
    leave: Effect.gen(function* () {
      const [{ live, syncer }, document] = yield* opened
      document.syncing = false
      yield* live.stop(document)
      yield* syncer.stop(document)
    }).pipe(Effect.withSpan("Document.leave")),
    downloadPolicy: Effect.map(opened, ([, { stored }]) => stored.policy),
    setDownloadPolicy: Effect.fn("Document.setDownloadPolicy")(function* (policy: DownloadPolicy.DownloadPolicy) {
      const [{ documents }, { stored }] = yield* opened
      yield* documents.change("set a download policy", () => stored.setPolicy(policy))
    })
  }
}

const empty = Effect.suspend(() =>
  Effect.fail(
    new InvalidEntry({ reason: "Empty", detail: "an empty value marks a deletion: delete the key, or give it a value" })
  )
)
