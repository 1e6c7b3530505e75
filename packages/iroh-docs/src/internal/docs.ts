/** What programs do with documents. */
import { secureBytes } from "@aster-effect/iroh/SecureBytes"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { AddressBook } from "@aster-effect/iroh-gossip/AddressBook"
import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import * as FileAccess from "@aster-effect/iroh/FileAccess"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Router from "@aster-effect/iroh/Router"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Capability } from "../Capability.ts"
import { documentOf } from "../Capability.ts"
import type { Docs, DocsOptions } from "../Docs.ts"
import type { AuthorId } from "../AuthorId.ts"
import { DocsStoreError, DocsStoreUnavailable, DocTicketError } from "../DocsError.ts"
import * as DocTicket from "../DocTicket.ts"
import type { Document } from "../Document.ts"
import * as DocumentId from "../DocumentId.ts"
import { keyPair } from "../proto/Signature.ts"
import { Addresses } from "./addresses.ts"
import { AuthorKeys, defaultAuthor, makeAuthors } from "./authors.ts"
import * as contents from "./contents.ts"
import * as live from "./live.ts"
import { makeDocument } from "./document.ts"
import { databaseFiles } from "./database.ts"
import { contentFailed, Documents } from "./documents.ts"
import { memoryStorage } from "./memoryStorage.ts"
import type { OpenDocument } from "./replica.ts"
import { onDemand } from "./onDemand.ts"
import { sqliteStorage } from "./sqliteStorage.ts"
import type { Storage } from "./storage.ts"
import * as syncer from "./syncer.ts"
import { tell } from "./tell.ts"

/** Everything that works on open documents. */
export interface Engine {
  readonly documents: Documents
  readonly contents: contents.Contents
  readonly syncer: syncer.Syncer
  readonly live: live.Live
  readonly addresses: Addresses
  readonly authorKeys: AuthorKeys
  readonly defaultAuthor: Effect.Effect<AuthorId, DocsStoreError>
  readonly blobs: Blobs["Service"]
  readonly node: IrohNode["Service"]
}

const newSecret = secureBytes(32)

const openStorage = (directory: string | undefined): Effect.Effect<Storage, DocsStoreError> =>
  directory === undefined
    ? Effect.sync(memoryStorage)
    : Effect.try({
        try: () => sqliteStorage(directory),
        catch: (error) => {
          const cause = FileAccess.explained(error, [directory, ...databaseFiles(directory)])
          return new DocsStoreError({
            operation: "be opened",
            cause: new DocsStoreUnavailable({ path: directory, cause })
          })
        }
      })

const start = Effect.fnUntraced(function* (
  options: DocsOptions,
  blobs: Blobs["Service"],
  node: IrohNode["Service"],
  gossip: Gossip["Service"] | undefined,
  book: AddressBook["Service"] | undefined
): Effect.fn.Return<Engine, DocsStoreError, Scope.Scope> {
  const storage = yield* Effect.acquireRelease(openStorage(options.directory), (storage) => Effect.sync(storage.close))
  const documents = new Documents(storage, node.endpointId, options.deletions ?? "final")
  const addresses = new Addresses(book)
  const theContents = yield* contents.make({
    blobs,
    addressOf: (peer) => addresses.get(peer),
    concurrency: options.maxDownloads ?? 8,
    arrived: (document, hashes) =>
      documents
        .change("note contents", () => hashes.forEach((hash) => document.stored.setMissing(hash, undefined)))
        .pipe(
          Effect.ignore({ log: true }),
          Effect.andThen(
            Effect.forEach(
              hashes,
              (hash) => {
                document.subscribers.publish({ _tag: "ContentReady", hash })
                return tell(document, "neighbors", { _tag: "ContentReady", hash: BlobHash.toBytes(hash) })
              },
              { discard: true }
            )
          )
        )
  })
  const theSyncer = yield* syncer.make({
    documents,
    contents: theContents,
    node,
    addresses,
    authorize: options.authorize ?? (() => Effect.succeed(true)),
    limits: {
      maxMessage: options.maxMessage ?? 64 * 1024 * 1024,
      idleTimeout: options.idleTimeout ?? "30 seconds",
      sessionTimeout: options.sessionTimeout ?? "10 minutes"
    }
  })
  const theLive = yield* live.make({
    gossip,
    contents: theContents,
    syncer: theSyncer,
    resyncInterval: options.resyncInterval ?? "1 minute"
  })
  const engine: Engine = {
    documents,
    live: theLive,
    contents: theContents,
    syncer: theSyncer,
    addresses,
    authorKeys: new AuthorKeys(),
    defaultAuthor: Effect.suspend(() => defaultAuthor(Effect.succeed(engine), newSecret)),
    blobs,
    node
  }
  return engine
})

export const make = Effect.fnUntraced(function* (
  options: DocsOptions
): Effect.fn.Return<Docs["Service"], never, Blobs | IrohNode | Scope.Scope> {
  const blobs = yield* Blobs
  const node = yield* IrohNode
  const gossip = Option.getOrUndefined(yield* Effect.serviceOption(Gossip))
  const book = Option.getOrUndefined(yield* Effect.serviceOption(AddressBook))
  const engine = yield* onDemand(start(options, blobs, node, gossip, book))
  const handle = (document: OpenDocument): Document => makeDocument(engine, document.id)

  /** Puts a document into the store, or adds the permission to write to one that is there. */
  const take = Effect.fnUntraced(function* (capability: Capability) {
    const { documents } = yield* engine
    const namespace = DocumentId.toBytes(documentOf(capability))
    const secret = capability._tag === "Write" ? Redacted.value(capability.secret) : undefined
    yield* documents.change("add a document", () => {
      const known = documents.storage.document(namespace)
      if (known === undefined) documents.storage.create(namespace, secret)
      else if (secret !== undefined && known.secret === undefined) known.setSecret(secret)
    })
    return yield* Effect.catchTag(documents.find(DocumentId.fromBytes(namespace)), "DocumentNotFound", Effect.die)
  })

  return {
    create: Effect.flatMap(newSecret, (secret) =>
      Effect.map(take({ _tag: "Write", secret: Redacted.make(secret) }), handle)
    ).pipe(Effect.withSpan("Docs.create")),
    named: Effect.fn("Docs.named")(function* (name) {
      const { documents } = yield* engine
      const { storage } = documents
      const secret = yield* newSecret
      const id = yield* documents.change("make a document", () => {
        const known = storage.setting(`document/${name}`)
        if (known !== undefined && storage.document(DocumentId.toBytes(DocumentId.parse(known))) !== undefined) {
          return DocumentId.parse(known)
        }
        const { publicKey } = keyPair(secret)
        storage.create(publicKey, secret)
        const made = DocumentId.fromBytes(publicKey)
        storage.setSetting(`document/${name}`, made)
        return made
      })
      return makeDocument(engine, id)
    }),
    open: Effect.fn("Docs.open")(function* (id) {
      const { documents } = yield* engine
      return handle(yield* documents.find(id))
    }),
    list: Effect.gen(function* () {
      const { documents } = yield* engine
      const all = yield* documents.read("list documents", () => documents.storage.documents())
      return all.map(({ namespace, secret }) => ({
        id: DocumentId.fromBytes(namespace),
        mode: secret === undefined ? ("read" as const) : ("write" as const)
      }))
    }).pipe(Effect.withSpan("Docs.list")),
    drop: Effect.fn("Docs.drop")(function* (id) {
      const { documents, live, syncer } = yield* engine
      const document = yield* documents.find(id)
      document.syncing = false
      yield* live.stop(document)
      yield* syncer.stop(document)
      yield* documents.change("drop a document", () => documents.storage.drop(document.stored.namespace))
      documents.forget(document)
      yield* Effect.mapError(blobs.tags.removeAll({ prefix: document.tagPrefix }), contentFailed)
    }),
    join: Effect.fn("Docs.join")(function* (ticket) {
      const { capability, nodes } = yield* parsed(ticket)
      const document = handle(yield* take(capability))
      yield* Effect.catchTag(document.startSync(nodes), "DocumentNotFound", Effect.die)
      return document
    }),
    joinAndSubscribe: Effect.fn("Docs.joinAndSubscribe")(function* (ticket) {
      const { capability, nodes } = yield* parsed(ticket)
      const document = handle(yield* take(capability))
      const events = yield* Effect.catchTag(document.subscribe(), "DocumentNotFound", Effect.die)
      yield* Effect.catchTag(document.startSync(nodes), "DocumentNotFound", Effect.die)
      return [document, events] as const
    }),
    import: Effect.fn("Docs.import")((capability) => Effect.map(take(capability), handle)),
    secret: Effect.fn("Docs.secret")(function* (id) {
      const { documents } = yield* engine
      const { secret } = (yield* documents.find(id)).stored
      return secret === undefined ? undefined : Redacted.make(secret, { label: "document secret" })
    }),
    authors: makeAuthors(engine, newSecret),
    protocol: {
      alpn: syncer.ALPN,
      handler: Router.bidirectional((connection) =>
        Effect.flatMap(engine, ({ syncer }) => syncer.serve(connection)).pipe(
          Effect.catch((error) =>
            Effect.logDebug("A peer's session did not come to its end", { peer: connection.remoteId }, error)
          )
        )
      )
    }
  }
})

const parsed = (ticket: string | DocTicket.DocTicket): Effect.Effect<DocTicket.DocTicket, DocTicketError> =>
  typeof ticket !== "string"
    ? Effect.succeed(ticket)
    : Effect.try({
        try: () => DocTicket.decode(ticket),
        catch: (error) => (error instanceof DocTicketError ? error : new DocTicketError({ problem: String(error) }))
      })
