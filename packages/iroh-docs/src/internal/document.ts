/** What programs do with one document. */
import type { BlobStoreError } from "@aster-effect/iroh-blobs/BlobError"
import { Malformed } from "@aster-effect/iroh/Malformed"
import { PostcardReader } from "@aster-effect/iroh/Postcard"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
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
import { MAX_AHEAD_MICROS, MAX_KEY_SIZE } from "../proto/Validation.ts"
import * as Query from "../Query.ts"
import { authorPair } from "./authors.ts"
import type { Engine } from "./docs.ts"
import { contentFailed } from "./documents.ts"
import { tell } from "./tell.ts"
import * as receive from "./receive.ts"
import { type OpenDocument, type NewRecord, sign as signRecord, type Written } from "./replica.ts"

/**
 * How a session waits for another one of the two. That one may be over on this side: a peer that has said its last word may
 * count it for a moment longer.
 */
const TURN = Schedule.upTo(Schedule.spaced("50 millis"), { duration: "5 seconds" })

export const makeDocument = (engine: Effect.Effect<Engine, DocsStoreError>, id: DocumentId.DocumentId): Document => {
  const opened: Effect.Effect<readonly [Engine, OpenDocument], ReadError> = Effect.flatMap(engine, (engine) =>
    Effect.map(engine.documents.find(id), (document) => [engine, document] as const)
  )

  /** Writes a record whose content, if there is one, is kept by whoever calls. */
  const write = Effect.fnUntraced(function* (
    { documents, ...engine }: Engine,
    document: OpenDocument,
    record: NewRecord,
    options: WriteOptions | undefined
  ): Effect.fn.Return<Written, WriteError> {
    const author = yield* authorPair({ documents, ...engine }, options?.author)
    const now = yield* receive.nowMicros
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
    const record = yield* recordOf(key, { hash, size })
    const [engine, document] = yield* opened
    const writing = engine.contents.keeping(document, [record.hash], write(engine, document, record, options))
    return yield* written(engine, document, writing)
  })

  const sign: Document["sign"] = Effect.fn("Document.sign")(function* ({ content, key, timestamp }, options) {
    const record = yield* content === undefined ? tombstone(key) : recordOf(key, content)
    if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
      return yield* new InvalidEntry({ reason: "Malformed", detail: `${timestamp} is not a number of microseconds` })
    }
    if (timestamp > (yield* receive.nowMicros) + MAX_AHEAD_MICROS) {
      return yield* new InvalidEntry(receive.refusals.future)
    }
    const [engine, { pair }] = yield* opened
    if (pair === undefined) return yield* new DocumentReadOnly({ document: id })
    const author = yield* authorPair(engine, options?.author)
    return new DocEntry(signRecord(pair, author, record, timestamp))
  })

  const insert: Document["insert"] = Effect.fn("Document.insert")(function* (signed) {
    const entry = yield* signedEntry(signed)
    const [{ syncer }, document] = yield* opened
    return yield* syncer.insert(document, entry)
  })

  const remove: Document["delete"] = Effect.fn("Document.delete")(function* (prefix, options) {
    const record = yield* tombstone(prefix)
    const [engine, document] = yield* opened
    const { replaced } = yield* write(engine, document, record, options)
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
    sign,
    insert,
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
      return yield* Effect.retry(syncer.syncWith(document, peer.endpointId), {
        while: ({ reason }) => reason === "AlreadySyncing",
        schedule: TURN
      })
    }),
    reconcile: Effect.fn("Document.reconcile")(function* (peer, message) {
      const [{ syncer }, document] = yield* opened
      return yield* syncer.reconcile(document, peer, message)
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

/** A record whose content is not empty. */
const recordOf = Effect.fnUntraced(function* (
  key: string | Uint8Array,
  { hash, size }: { readonly hash: BlobHash.BlobHash; readonly size: number }
): Effect.fn.Return<NewRecord, InvalidEntry> {
  const name = yield* keyOf(key)
  if (size === 0 || hash === BlobHash.emptyBlob) return yield* empty
  if (!Number.isSafeInteger(size) || size < 0) {
    return yield* new InvalidEntry({ reason: "Malformed", detail: `${size} is not a number of bytes` })
  }
  return { key: name, hash: BlobHash.toBytes(hash), length: size }
})

const tombstone = (key: string | Uint8Array): Effect.Effect<NewRecord, InvalidEntry> =>
  Effect.map(keyOf(key), (key) => ({ key, hash: Entry.EMPTY_HASH, length: 0 }))

/** Reads a signed entry, of which the caller may do anything to the bytes afterwards. */
const signedEntry = (bytes: Uint8Array): Effect.Effect<Entry.SignedEntry, InvalidEntry> =>
  Effect.try({
    try: () => {
      const reader = new PostcardReader(bytes)
      const entry = Entry.read(reader)
      if (reader.remaining > 0) throw new Malformed("there are bytes after its end")
      return Entry.compact(entry)
    },
    catch: (error) => new InvalidEntry({ reason: "Malformed", detail: `this is no signed entry: ${String(error)}` })
  })
