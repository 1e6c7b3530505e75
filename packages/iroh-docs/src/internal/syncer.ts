/** Sync sessions of a node's documents: those it begins, and those its peers begin. */
import type { BlobStoreError } from "@aster-effect/iroh-blobs/BlobError"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import type { Connection } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { Malformed } from "@aster-effect/iroh/Malformed"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberMap from "effect/FiberMap"
import * as FiberSet from "effect/FiberSet"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"
import type { Reconciled } from "../Document.ts"
import { type DocsStoreError, type InvalidEntry, SyncFailed } from "../DocsError.ts"
import * as DocumentId from "../DocumentId.ts"
import type { SyncSummary } from "../DocEvent.ts"
import * as Reconciler from "../proto/Reconciler.ts"
import * as Bytes from "../proto/Bytes.ts"
import type { Ending } from "../proto/SessionTable.ts"
import type * as Entry from "../proto/Entry.ts"
import * as SyncMessage from "../proto/SyncMessage.ts"
import type { Addresses } from "./addresses.ts"
import type { Contents } from "./contents.ts"
import { contentFailed, type Documents } from "./documents.ts"
import * as receive from "./receive.ts"
import type { OpenDocument } from "./replica.ts"
import * as session from "./session.ts"
import { tell } from "./tell.ts"

/** The ALPN of the protocol. */
export const ALPN = "/iroh-sync/1"

/** Peers that are remembered for a document. */
const MAX_PEERS = 5
/** Entries of one answer, in bytes. */
const MAX_ENTRY_BYTES = 4 * 1024 * 1024
const ALREADY = "another session with the peer is under way on this node"
/** For a peer to be reached. */
const CONNECT_TIMEOUT = "10 seconds"
/** Before a session that failed is tried again. */
const RETRY = "1 second"
/** For the peer to take our end of the stream before the connection closes under it. */
const LINGER = "500 millis"

export interface SyncerOptions {
  readonly documents: Documents
  readonly contents: Contents
  readonly node: IrohNode["Service"]
  readonly addresses: Addresses
  readonly limits: session.SessionLimits
  /** Whether a peer may read a document. */
  readonly authorize: (peer: EndpointId, document: DocumentId.DocumentId) => Effect.Effect<boolean>
}

export interface Syncer {
  /** Serves one connection, on which a peer begins a session. */
  readonly serve: (connection: Connection) => Effect.Effect<void, SyncFailed>
  /** Runs a session with a peer in the background; when one runs already, another one after it. */
  readonly begin: (document: OpenDocument, peer: EndpointId) => Effect.Effect<void>
  /** Runs a session with a peer to its end. */
  readonly syncWith: (document: OpenDocument, peer: EndpointId) => Effect.Effect<SyncSummary, SyncFailed>
  /** Takes entries that a peer has told of outside of a session. */
  readonly take: (
    document: OpenDocument,
    peer: EndpointId,
    values: ReadonlyArray<SyncMessage.Value>
  ) => Effect.Effect<void, SyncFailed>
  /** Takes one entry as if a peer had told of it; answers whether it went in. */
  readonly insert: (
    document: OpenDocument,
    entry: Entry.SignedEntry
  ) => Effect.Effect<boolean, InvalidEntry | DocsStoreError>
  /** Begins a reconciliation that needs no session, or takes a message of it. */
  readonly reconcile: (
    document: OpenDocument,
    peer: EndpointId,
    message: Uint8Array | undefined
  ) => Effect.Effect<Reconciled, SyncFailed>
  /** Ends the sessions of a document that this node has begun. */
  readonly stop: (document: OpenDocument) => Effect.Effect<void>
}

/** What a session has moved so far. */
interface Tally {
  received: number
  sent: number
  readonly refused: receive.Counts
}

export const make = Effect.fnUntraced(function* (options: SyncerOptions): Effect.fn.Return<Syncer, never, Scope.Scope> {
  const { addresses, authorize, contents, documents, limits, node } = options
  const dials = yield* FiberMap.make<string, void>()
  const closing = yield* FiberSet.make<void>()
  let count = 0

  /** Puts good entries into the document, and finds the answer to the message that they came with. */
  const put = Effect.fnUntraced(function* (
    document: OpenDocument,
    peer: EndpointId,
    parts: ReadonlyArray<SyncMessage.Part>
  ): Effect.fn.Return<Reconciler.Processed, DocsStoreError | BlobStoreError> {
    const values = parts.flatMap((part) => (part._tag === "RangeItem" ? part.values : []))
    const hashes = new Map(values.map(({ entry }) => [BlobHash.fromBytes(entry.hash), entry.hash]))
    const here = yield* contents.present(hashes.keys())
    const { missing, processed } = yield* contents.keeping(
      document,
      hashes.values(),
      documents.change("store entries", () => store(document, parts, here))
    )
    const inserted = processed.received.filter(({ result }) => result._tag === "Inserted")
    const gone = processed.received.flatMap(({ result, value }) =>
      result._tag === "Inserted" ? result.replaced : [value.entry]
    )
    yield* contents.release(document, gone)
    receive.announce(
      document,
      peer,
      inserted.map(({ value }) => value.entry)
    )
    yield* contents.fetch(document, peer, missing)
    return processed
  })

  const failed =
    (peer: EndpointId) =>
    (error: DocsStoreError | BlobStoreError): SyncFailed =>
      error.cause instanceof Reconciler.ReplyTooLarge
        ? new SyncFailed({ peer, reason: "TooLarge", detail: error.cause.message })
        : new SyncFailed({ peer, reason: "Store", detail: error.message })

  /** Takes what a peer says and finds the answer. */
  const respond = (document: OpenDocument, peer: EndpointId, tally: Tally): session.Respond =>
    Effect.fnUntraced(function* (parts): Effect.fn.Return<ReadonlyArray<SyncMessage.Part>, SyncFailed> {
      const good: Array<SyncMessage.Part> = []
      for (const part of parts) {
        if (part._tag === "RangeItem") {
          tally.received += part.values.length
          good.push({ ...part, values: yield* receive.checked(document, part.values, tally.refused) })
        } else good.push(part)
      }
      const processed = yield* Effect.mapError(put(document, peer, good), failed(peer))
      tally.sent += processed.sent
      document.subscribers.publish({ _tag: "SyncProgress", peer, ...summaryOf(tally) })
      return processed.reply
    })

  const take: Syncer["take"] = Effect.fnUntraced(function* (document, peer, values) {
    const good = yield* receive.checked(document, values, receive.noRefusals())
    if (good.length === 0) return
    yield* Effect.mapError(put(document, peer, [told(document, good)]), failed(peer))
  })

  const insert: Syncer["insert"] = Effect.fnUntraced(function* (document, entry) {
    yield* receive.check(document, entry)
    const putting = put(document, node.endpointId, [told(document, [{ entry, content: "missing" }])])
    const { received } = yield* Effect.catchTag(putting, "BlobStoreError", (error) => Effect.fail(contentFailed(error)))
    return received.some(({ result }) => result._tag === "Inserted")
  })

  const reconcile: Syncer["reconcile"] = Effect.fnUntraced(function* (document, peer, message) {
    const tally: Tally = { received: 0, sent: 0, refused: receive.noRefusals() }
    const parts = yield* message === undefined
      ? beginning(document, peer)
      : Effect.flatMap(decoded(peer, message, limits.maxMessage), respond(document, peer, tally))
    if (parts.length === 0) return { ...summaryOf(tally), reply: undefined }
    const writer = new PostcardWriter()
    SyncMessage.writeParts(writer, parts)
    return { ...summaryOf(tally), reply: writer.finish() }
  })

  /** What a reconciliation begins with. */
  const beginning = (document: OpenDocument, peer: EndpointId) =>
    Effect.mapError(
      documents.read("read a document", () => Reconciler.initialMessage(document.stored.entries)),
      failed(peer)
    )

  const store = (document: OpenDocument, parts: ReadonlyArray<SyncMessage.Part>, here: ReadonlySet<string>) => {
    const { stored } = document
    const processed = Reconciler.process(
      {
        set: stored.entries,
        deletions: documents.deletions,
        contentStatus: ({ hash }) => (stored.isMissing(BlobHash.fromBytes(hash)) ? "missing" : "complete"),
        maxBytes: MAX_ENTRY_BYTES,
        maxReply: limits.maxMessage
      },
      parts
    )
    const inserted = processed.received.filter(({ result }) => result._tag === "Inserted")
    const missing = receive.note(
      document,
      inserted.map(({ value }) => value),
      here
    )
    return { processed, missing }
  }

  /** Runs a session if it may begin, and accounts for it however it ends. */
  const accounted = (
    document: OpenDocument,
    peer: EndpointId,
    origin: "dial" | "accept",
    run: (tally: Tally) => Effect.Effect<void, SyncFailed>
  ): Effect.Effect<SyncSummary, SyncFailed> => {
    const tally: Tally = { received: 0, sent: 0, refused: receive.noRefusals() }
    return Effect.acquireUseRelease(
      Effect.sync(() => document.sessions[origin](peer)),
      (begun) => {
        if (!begun) return Effect.fail(new SyncFailed({ peer, reason: "AlreadySyncing", detail: ALREADY }))
        return run(tally).pipe(
          Effect.timeoutOrElse({
            duration: limits.sessionTimeout,
            orElse: () => Effect.fail(new SyncFailed({ peer, reason: "TimedOut", detail: "it went on without end" }))
          }),
          Effect.andThen(succeeded(document, peer)),
          Effect.andThen(Effect.suspend(() => (tally.received > 0 ? report(document) : Effect.void))),
          Effect.map(() => summaryOf(tally))
        )
      },
      (begun, exit) => (begun ? ended(document, peer, origin, tally, exit) : Effect.void)
    )
  }

  /** Remembers the peer, and asks it for contents that nobody had so far. */
  const succeeded = Effect.fnUntraced(function* (document: OpenDocument, peer: EndpointId) {
    const address = addresses.get(peer)
    const others = document.stored.peers.filter(({ endpointId }) => endpointId !== peer)
    yield* Effect.ignore(
      documents.change("remember a peer", () => document.stored.setPeers([address, ...others].slice(0, MAX_PEERS))),
      { log: true }
    )
    yield* contents.fetch(document, peer, document.stored.wanted().map(BlobHash.parse))
  })

  /** Tells neighbours that there may be something to be had here. */
  const report = (document: OpenDocument) =>
    tell(document, "neighbors", {
      _tag: "SyncReport",
      namespace: document.stored.namespace,
      heads: [...document.stored.heads].map(([author, timestamp]) => ({ author, timestamp }))
    })

  const ended = (
    document: OpenDocument,
    peer: EndpointId,
    origin: "dial" | "accept",
    tally: Tally,
    exit: Exit.Exit<SyncSummary, SyncFailed>
  ): Effect.Effect<void> =>
    Effect.suspend(() => {
      const error = Exit.isSuccess(exit) ? undefined : failureOf(peer, exit)
      const again = document.sessions.ended(peer, origin, endingOf(error))
      document.subscribers.publish({ _tag: "SyncFinished", peer, origin, error, ...summaryOf(tally) })
      if (!again || !document.syncing) return Effect.void
      return later(document, peer, error === undefined ? 0 : RETRY)
    })

  /** A session with a peer on a connection of its own. */
  const dial = Effect.fnUntraced(function* (
    document: OpenDocument,
    peer: EndpointId,
    tally: Tally
  ): Effect.fn.Return<void, SyncFailed, Scope.Scope> {
    const connection = yield* Effect.acquireRelease(
      node.connect(addresses.get(peer), ALPN, { timeout: CONNECT_TIMEOUT }),
      (connection) =>
        FiberSet.run(closing, Effect.andThen(Effect.timeoutOption(connection.closed, LINGER), connection.close(0, ""))),
      { interruptible: true }
    ).pipe(Effect.mapError((error) => new SyncFailed({ peer, reason: "Unreachable", detail: error.message })))
    if (!document.sessions.connected(peer)) {
      return yield* new SyncFailed({ peer, reason: "AlreadySyncing", detail: ALREADY })
    }
    const stream = yield* Effect.mapError(
      connection.openBi,
      (error) => new SyncFailed({ peer, reason: "ConnectionLost", detail: error.message })
    )
    const { namespace } = document.stored
    const parts = yield* beginning(document, peer)
    yield* session.dial(new session.Session(stream, peer, limits), { namespace, parts }, respond(document, peer, tally))
  }, Effect.scoped)

  const syncWith: Syncer["syncWith"] = (document, peer) =>
    Effect.suspend(() => accounted(document, peer, "dial", (tally) => dial(document, peer, tally)))

  const later = (document: OpenDocument, peer: EndpointId, delay: "1 second" | 0): Effect.Effect<void> =>
    Effect.asVoid(
      FiberMap.run(
        dials,
        `${document.id}${count++}`,
        (delay === 0 ? Effect.void : Effect.sleep(delay)).pipe(
          Effect.andThen(syncWith(document, peer)),
          Effect.catch((error) => Effect.logDebug("A document was not synced", { document: document.id }, error)),
          Effect.catchCause((cause) => Effect.logError("Syncing a document failed", cause))
        )
      )
    )

  const begin: Syncer["begin"] = (document, peer) => later(document, peer, 0)

  const serve: Syncer["serve"] = Effect.fnUntraced(function* (connection): Effect.fn.Return<void, SyncFailed> {
    const peer = connection.remoteId
    const stream = yield* connection.acceptBi.pipe(
      Effect.mapError((error) => new SyncFailed({ peer, reason: "ConnectionLost", detail: error.message })),
      Effect.timeoutOrElse({
        duration: limits.idleTimeout,
        orElse: () => Effect.fail(new SyncFailed({ peer, reason: "TimedOut", detail: "the peer is silent" }))
      })
    )
    const talk = new session.Session(stream, peer, limits)
    const first = yield* talk.receive
    if (first === undefined || first._tag !== "Init") {
      yield* talk.finish
      return yield* talk.failed("Protocol", "it did not begin with a document")
    }
    const found = yield* acceptable(peer, DocumentId.fromBytes(first.namespace))
    const abort = (reason: SyncMessage.AbortReason) => Effect.andThen(talk.send({ _tag: "Abort", reason }), talk.finish)
    if (Result.isFailure(found)) return yield* abort(found.failure)
    const document = found.success
    yield* Effect.catchIf(
      accounted(document, peer, "accept", (tally) => session.accept(talk, first.parts, respond(document, peer, tally))),
      ({ detail }) => detail === ALREADY,
      () => abort("alreadySyncing")
    )
  })

  /** The document of a session that a peer has begun, or why it is not taken. */
  const acceptable = Effect.fnUntraced(function* (
    peer: EndpointId,
    id: DocumentId.DocumentId
  ): Effect.fn.Return<Result.Result<OpenDocument, SyncMessage.AbortReason>> {
    const found = yield* Effect.result(documents.find(id))
    if (Result.isFailure(found)) {
      return Result.fail(found.failure._tag === "DocumentNotFound" ? "notFound" : "internalServerError")
    }
    const document = found.success
    // Whoever may not read a document need not know that it is here.
    if (!document.syncing || !(yield* authorize(peer, id))) return Result.fail("notFound")
    return Result.succeed(document)
  })

  return {
    serve,
    begin,
    take,
    insert,
    reconcile,
    syncWith,
    stop: (document) =>
      Effect.suspend(() =>
        Effect.forEach(
          [...dials].filter(([name]) => name.startsWith(document.id)),
          ([name]) => FiberMap.remove(dials, name),
          { concurrency: "unbounded", discard: true }
        )
      )
  }
})

/** Entries that are told of, and no question. */
const told = ({ stored }: OpenDocument, values: ReadonlyArray<SyncMessage.Value>): SyncMessage.Part => ({
  _tag: "RangeItem",
  range: { x: stored.namespace, y: stored.namespace },
  values,
  haveLocal: true
})

/** Reads a message without a frame, of which the caller may do anything to the bytes afterwards. */
const decoded = (
  peer: EndpointId,
  message: Uint8Array,
  maxMessage: number
): Effect.Effect<ReadonlyArray<SyncMessage.Part>, SyncFailed> => {
  if (message.length > maxMessage) {
    const detail = `a message of ${message.length} bytes is larger than ${maxMessage}`
    return Effect.fail(new SyncFailed({ peer, reason: "TooLarge", detail }))
  }
  return Effect.try({
    try: () => {
      const reader = new PostcardReader(Bytes.copy(message))
      const parts = SyncMessage.readParts(reader)
      if (reader.remaining > 0) throw new Malformed("bytes after the end of the message")
      return parts
    },
    catch: (error) => new SyncFailed({ peer, reason: "Protocol", detail: String(error) })
  })
}

const summaryOf = ({ received, refused, sent }: Tally): SyncSummary => ({ received, sent, refused: { ...refused } })

const endingOf = (error: SyncFailed | undefined): Ending => {
  if (error === undefined) return "Done"
  return error.reason === "AlreadySyncing" && error.detail !== ALREADY ? "Refused" : "Failed"
}

const failureOf = (peer: EndpointId, exit: Exit.Exit<unknown, SyncFailed>): SyncFailed => {
  const found = Exit.isFailure(exit) ? exit.cause.reasons.find((reason) => reason._tag === "Fail") : undefined
  return found?.error ?? new SyncFailed({ peer, reason: "ConnectionLost", detail: "it was given up" })
}
