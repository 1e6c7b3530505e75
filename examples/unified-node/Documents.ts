/** The commands about documents and authors. */
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as AuthorId from "@aster-effect/iroh-docs/AuthorId"
import * as Capability from "@aster-effect/iroh-docs/Capability"
import type { DocEntry } from "@aster-effect/iroh-docs/DocEntry"
import type { DocEvent } from "@aster-effect/iroh-docs/DocEvent"
import type { Docs } from "@aster-effect/iroh-docs/Docs"
import * as DocTicket from "@aster-effect/iroh-docs/DocTicket"
import type { Document } from "@aster-effect/iroh-docs/Document"
import * as DocumentId from "@aster-effect/iroh-docs/DocumentId"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { addressOf, bytesOf, need, type Request } from "./Arguments.ts"

type Commands = Readonly<Record<string, (request: Request) => Effect.Effect<unknown, unknown, Scope.Scope>>>

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

const showEntry = ({ author, hash, key, keyText, size, timestamp }: DocEntry) => {
  const bytes = hex(key)
  return { author, key: hex(Buffer.from(keyText)) === bytes ? keyText : { hex: bytes }, hash, len: size, timestamp }
}

const showSigned = (entry: DocEntry) => ({ ...showEntry(entry), signed: hex(entry.encode()) })

const showEvent = (event: DocEvent): object | undefined => {
  switch (event._tag) {
    case "InsertLocal":
      return { type: "insertLocal", entry: showEntry(event.entry) }
    case "InsertRemote":
      return {
        type: "insertRemote",
        from: event.from,
        entry: showEntry(event.entry),
        content: event.contentHere ? "Complete" : "Missing"
      }
    case "ContentReady":
      return { type: "contentReady", hash: event.hash }
    case "PendingContentReady":
      return { type: "pendingContentReady" }
    case "NeighborUp":
      return { type: "neighborUp", peer: event.peer }
    case "NeighborDown":
      return { type: "neighborDown", peer: event.peer }
    case "SyncFinished":
      return {
        type: "syncFinished",
        peer: event.peer,
        received: event.received,
        sent: event.sent,
        error: event.error?.message
      }
    default:
      return undefined
  }
}

/** Commands on documents whose contents are in `blobs`; `print` shows what happens to those that are followed. */
export const documentCommands = (
  docs: Docs["Service"],
  blobs: Blobs["Service"],
  self: EndpointId,
  print: (line: object) => Effect.Effect<void>
): Commands => {
  const opened = ({ doc }: Request) => docs.open(DocumentId.parse(need(doc, "doc")))
  const author = ({ author }: Request) => (author === undefined ? undefined : AuthorId.parse(author))
  const on =
    (use: (document: Document, request: Request) => Effect.Effect<unknown, unknown, Scope.Scope>) =>
    (request: Request) =>
      Effect.flatMap(opened(request), (document) => use(document, request))
  const follow = (events: Stream.Stream<DocEvent>, doc: string) =>
    Effect.forkScoped(
      Stream.runForEach(events, (event) => {
        const data = showEvent(event)
        return data === undefined ? Effect.void : print({ event: "doc", doc, data })
      })
    )
  const queryOf = (request: Request) => ({
    author: author(request),
    key:
      request.prefix !== undefined
        ? { prefix: bytesOf(request.prefix) }
        : request.key !== undefined
          ? { exact: bytesOf(request.key) }
          : undefined,
    latestPerKey: request.latest,
    sort: request.byKey === true ? ("key" as const) : ("author" as const),
    direction: request.descending === true ? ("descending" as const) : ("ascending" as const),
    includeDeleted: request.empty,
    limit: request.limit,
    offset: request.offset
  })
  const secretOf = ({ secret }: Request) => Redacted.make(bytesOf({ hex: need(secret, "secret") }))

  const capabilityOf = (request: Request): Capability.Capability =>
    request.secret !== undefined
      ? { _tag: "Write", secret: secretOf(request) }
      : { _tag: "Read", document: DocumentId.parse(need(request.doc, "doc")) }

  const sign = Effect.fnUntraced(function* (document: Document, request: Request) {
    const { hash, len, value } = request
    const bytes = value === undefined ? undefined : bytesOf(value)
    const content =
      bytes !== undefined
        ? { hash: (yield* blobs.addBytes(bytes)).hash, size: bytes.length }
        : hash !== undefined
          ? { hash: BlobHash.parse(hash), size: need(len, "len") }
          : undefined
    const unsigned = {
      key: bytesOf(need(request.key, "key")),
      timestamp: need(request.timestamp, "timestamp"),
      content
    }
    return yield* document.sign(unsigned, { author: author(request) })
  })

  return {
    "author.create": () => Effect.map(docs.authors.create, (author) => ({ author })),
    "author.default": () => Effect.map(docs.authors.default, (author) => ({ author })),
    "author.setDefault": (request) => docs.authors.setDefault(need(author(request), "author")),
    "author.import": (request) => Effect.map(docs.authors.import(secretOf(request)), (author) => ({ author })),
    "author.export": (request) =>
      Effect.map(docs.authors.export(need(author(request), "author")), (secret) => ({
        secret: hex(Redacted.value(secret))
      })),
    "author.delete": (request) => docs.authors.delete(need(author(request), "author")),
    "author.list": () => docs.authors.list,
    "doc.create": () => Effect.map(docs.create, ({ id }) => ({ doc: id })),
    "doc.open": on(({ id }) => Effect.succeed({ doc: id })),
    // A document of ours has no handles that could be left open.
    "doc.close": on(() => Effect.void),
    "doc.list": () => Effect.map(docs.list, (all) => all.map(({ id, mode }) => ({ doc: id, capability: mode }))),
    "doc.drop": ({ doc }) => docs.drop(DocumentId.parse(need(doc, "doc"))),
    "doc.import": (request) => Effect.map(docs.import(capabilityOf(request)), ({ id }) => ({ doc: id })),
    "doc.makeTicket": (request) =>
      Effect.sync(() => ({
        ticket: DocTicket.encode({
          capability: capabilityOf(request),
          nodes: need(request.nodes, "nodes").map(addressOf)
        })
      })),
    "doc.parseTicket": ({ ticket }) =>
      Effect.sync(() => {
        const { capability, nodes } = DocTicket.decode(need(ticket, "ticket"))
        const shown = nodes.map(({ directAddresses, endpointId, relayUrl }) => ({
          id: endpointId,
          addrs: directAddresses,
          relays: relayUrl === undefined ? [] : [relayUrl]
        }))
        return { doc: Capability.documentOf(capability), capability: capability._tag.toLowerCase(), nodes: shown }
      }),
    "doc.join": ({ quiet, ticket }) =>
      Effect.flatMap(docs.joinAndSubscribe(need(ticket, "ticket")), ([{ id }, events]) =>
        Effect.as(quiet === true ? Effect.void : follow(events, id), { doc: id })
      ),
    "doc.share": on((document, { write }) =>
      Effect.map(document.share(write === true ? "write" : "read"), (ticket) => ({ ticket }))
    ),
    "doc.secret": ({ doc }) =>
      Effect.map(docs.secret(DocumentId.parse(need(doc, "doc"))), (secret) =>
        secret === undefined ? {} : { secret: hex(Redacted.value(secret)) }
      ),
    "doc.startSync": on((document, { peers }) => document.startSync((peers ?? []).map(addressOf))),
    "doc.leave": on((document) => document.leave),
    "doc.subscribe": on((document) =>
      Effect.flatMap(document.subscribe(), (events) => Effect.asVoid(follow(events, document.id)))
    ),
    "doc.status": on((document) => document.status),
    "doc.setPolicy": on((document, { except, only }) =>
      document.setDownloadPolicy({
        _tag: only === undefined ? "EverythingExcept" : "NothingExcept",
        filters: (only ?? except ?? []).map((prefix) => ({ prefix: bytesOf(prefix) }))
      })
    ),
    "doc.set": on((document, request) =>
      Effect.map(
        document.set(bytesOf(need(request.key, "key")), bytesOf(need(request.value, "value")), {
          author: author(request)
        }),
        ({ hash }) => ({ hash })
      )
    ),
    "doc.fill": on((document, request) =>
      Effect.gen(function* () {
        const { first = 0 } = request
        const prefix = bytesOf(request.prefix ?? "")
        const started = performance.now()
        for (let i = first; i < first + need(request.count, "count"); i++) {
          const value = Buffer.alloc(Math.max(8, request.size ?? 8))
          value.writeBigUInt64BE(BigInt(i))
          const key = Buffer.concat([prefix, Buffer.from(String(i).padStart(8, "0"))])
          yield* document.set(key, value, { author: author(request) })
        }
        return { ms: performance.now() - started }
      })
    ),
    "doc.setHash": on((document, request) =>
      document.setHash(
        bytesOf(need(request.key, "key")),
        BlobHash.parse(need(request.hash, "hash")),
        need(request.len, "len"),
        { author: author(request) }
      )
    ),
    "doc.del": on((document, request) =>
      Effect.map(document.delete(bytesOf(need(request.prefix, "prefix")), { author: author(request) }), (removed) => ({
        removed
      }))
    ),
    "doc.sign": on((document, request) => Effect.map(sign(document, request), showSigned)),
    // With `signed` what another node has signed, in hex.
    "doc.insert": on((document, request) =>
      Effect.gen(function* () {
        const entry = request.signed === undefined ? yield* sign(document, request) : undefined
        const signed = entry === undefined ? bytesOf({ hex: need(request.signed, "signed") }) : entry.encode()
        if (!(yield* document.insert(signed))) return yield* Effect.fail("the same entry or a newer one is there")
        return entry === undefined ? {} : showSigned(entry)
      })
    ),
    "doc.initialMessage": on((document) =>
      Effect.map(document.reconcile(self), ({ reply }) => ({ message: hex(need(reply, "a message")) }))
    ),
    "doc.processMessage": on((document, { message }) =>
      Effect.map(document.reconcile(self, bytesOf({ hex: need(message, "message") })), ({ received, reply, sent }) => ({
        reply: reply === undefined ? null : hex(reply),
        received,
        sent
      }))
    ),
    "doc.get": on((document, request) =>
      Effect.map(document.getOne(queryOf(request)), Option.match({ onNone: () => null, onSome: showSigned }))
    ),
    "doc.query": on((document, request) =>
      Effect.map(Stream.runCollect(document.getMany(queryOf(request))), (all) => all.map(showEntry))
    ),
    "doc.count": on((document, request) =>
      Effect.map(Stream.runCount(document.getMany(queryOf(request))), (count) => ({ count }))
    )
  }
}
