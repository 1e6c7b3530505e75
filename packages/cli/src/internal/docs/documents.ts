/** Documents of this machine's user, in a directory, on a node that lasts as long as a command. */
import * as NodeConfig from "@aster-effect/config/NodeConfig"
import { AddressBook } from "@aster-effect/iroh-gossip/AddressBook"
import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { Docs } from "@aster-effect/iroh-docs/Docs"
import type { DocEvent } from "@aster-effect/iroh-docs/DocEvent"
import type { Document } from "@aster-effect/iroh-docs/Document"
import * as DocumentId from "@aster-effect/iroh-docs/DocumentId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Router from "@aster-effect/iroh/Router"
import * as ClientTrust from "@aster-effect/trust/ClientTrust"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as path from "node:path"
import { refused } from "../../CliFailure.ts"
import { Locations, resolve } from "../../Locations.ts"
import { addInput } from "../blobs/add.ts"
import { toStdout } from "../blobs/get.ts"
import { clientConfig } from "../clientConfig.ts"
import { printable } from "../printable.ts"

/** Where documents are kept: `--store`, else `~/.aster/docs`. */
const directoryOf = Effect.fnUntraced(function* (store: string | undefined) {
  const locations = yield* Locations
  return store === undefined ? path.join(locations.home, ".aster", "docs") : resolve(locations, store)
})

/** The documents in the directory. A node that others reach is made only where `online` says so. */
const open = Effect.fnUntraced(function* (store: string | undefined, online: boolean) {
  const directory = yield* directoryOf(store)
  const config = yield* clientConfig(undefined)
  const { secretKey } = yield* ClientTrust.resolve(config, {})
  const settings = online ? yield* NodeConfig.nodeOptions(config, secretKey) : loopback
  const layer = Docs.layer({ directory }).pipe(
    Layer.provideMerge(Layer.mergeAll(Blobs.layer, Gossip.layerWith(AddressBook.layerMemory()))),
    Layer.provideMerge(
      Layer.mergeAll(BlobStore.layer({ directory: path.join(directory, "blobs") }), IrohNode.layer(settings))
    )
  )
  const context = yield* Layer.build(layer)
  const docs = Context.get(context, Docs)
  if (online) {
    const blobs = { alpn: BlobsProtocol.ALPN, handler: BlobsProtocol.handler() }
    yield* Router.serve({
      protocols: [docs.protocol, blobs, GossipProtocol.protocol],
      gracePeriod: "1 second"
    }).pipe(Effect.provideContext(context))
  }
  return { docs, blobs: Context.get(context, Blobs) }
})

const find = (docs: Docs["Service"], text: string) =>
  Effect.flatMap(
    Effect.try({
      try: () => DocumentId.parse(text.trim()),
      catch: () => refused(`${printable(text)} is not a document id: see \`aster docs ls\``)
    }),
    docs.open
  )

export const create = Effect.fnUntraced(function* (store: string | undefined) {
  const { docs } = yield* open(store, false)
  yield* Console.log((yield* docs.create).id)
}, Effect.scoped)

/** Lists documents, or the latest entries of one. */
export const list = Effect.fnUntraced(function* (
  store: string | undefined,
  document: string | undefined,
  prefix: string,
  json: boolean
) {
  const { docs } = yield* open(store, false)
  if (document === undefined) {
    const all = yield* docs.list
    return yield* Effect.forEach(
      all,
      ({ id, mode }) => Console.log(json ? JSON.stringify({ document: id, mode }) : `${id}  ${mode}`),
      { discard: true }
    )
  }
  const found = yield* find(docs, document)
  yield* found
    .getMany({ latestPerKey: true, key: { prefix } })
    .pipe(
      Stream.runForEach(({ author, hash, keyText, size, timestamp }) =>
        Console.log(
          json
            ? JSON.stringify({ key: keyText, size, hash, author, timestamp })
            : printable(`${keyText}  ${size} bytes  ${new Date(timestamp / 1000).toISOString()}`)
        )
      )
    )
}, Effect.scoped)

/** What is written: a text, or what is in a file, where "-" is standard input. */
export type Value = { readonly text: string } | { readonly file: string }

export const set = Effect.fnUntraced(function* (
  store: string | undefined,
  document: string,
  key: string,
  value: Value
) {
  const { blobs, docs } = yield* open(store, false)
  const found = yield* find(docs, document)
  if ("text" in value) {
    yield* found.set(key, value.text)
    return
  }
  const { hash, size } =
    value.file === "-"
      ? yield* addInput(blobs, {})
      : yield* blobs.addPath(resolve(yield* Locations, value.file), { tag: false })
  yield* found.setHash(key, hash, size)
}, Effect.scoped)

/** Prints the latest value under a key: as text, or `raw` as its bytes are. */
export const get = Effect.fnUntraced(function* (
  store: string | undefined,
  document: string,
  key: string,
  raw: boolean
) {
  const { blobs, docs } = yield* open(store, false)
  const found = yield* find(docs, document)
  const entry = yield* found.latest(key)
  if (Option.isNone(entry)) return yield* refused(`there is nothing under ${printable(key)}`)
  if (raw) return yield* toStdout(blobs, entry.value.hash)
  yield* Console.log(new TextDecoder().decode(yield* found.read(entry.value)))
}, Effect.scoped)

export const remove = Effect.fnUntraced(function* (store: string | undefined, document: string, prefix: string) {
  const found = yield* find((yield* open(store, false)).docs, document)
  yield* Console.log(`${yield* found.delete(prefix)} entries deleted`)
}, Effect.scoped)

/** Prints a ticket and lets others sync until the command is stopped. */
export const share = Effect.fnUntraced(function* (store: string | undefined, document: string, mode: "read" | "write") {
  const found = yield* find((yield* open(store, true)).docs, document)
  yield* Console.log(yield* found.share(mode))
  yield* follow(yield* found.subscribe(), found)
}, Effect.scoped)

/** Takes a document by a ticket: once, or live until the command is stopped. */
export const join = Effect.fnUntraced(function* (
  store: string | undefined,
  ticket: string,
  live: boolean,
  timeoutSeconds: number
) {
  const { docs } = yield* open(store, true)
  const [document, events] = yield* docs.joinAndSubscribe(ticket.trim())
  if (live) {
    yield* Console.error(`Document ${document.id}`)
    return yield* follow(events, document)
  }
  const finished = yield* events.pipe(
    Stream.filter((event) => event._tag === "SyncFinished" && event.error?.reason !== "AlreadySyncing"),
    Stream.runHead,
    Effect.timeoutOption(`${timeoutSeconds} seconds`),
    Effect.map(Option.flatten)
  )
  if (Option.isNone(finished)) return yield* refused("no node of the ticket could be reached in time")
  const event = finished.value
  if (event._tag === "SyncFinished" && event.error !== undefined) return yield* event.error
  // Contents follow their entries.
  yield* document.status.pipe(
    Effect.repeat({ until: ({ missing }) => missing.length === 0, schedule: Schedule.spaced("100 millis") }),
    Effect.timeoutOption(`${timeoutSeconds} seconds`)
  )
  const { entries, missing } = yield* document.status
  yield* Console.error(`${entries} entries${missing.length === 0 ? "" : `, ${missing.length} contents are missing`}`)
  yield* Console.log(document.id)
}, Effect.scoped)

/** Syncs with the peers that are remembered, and prints changes until the command is stopped. */
export const watch = Effect.fnUntraced(function* (store: string | undefined, document: string) {
  const found = yield* find((yield* open(store, true)).docs, document)
  const events = yield* found.subscribe()
  yield* found.startSync()
  yield* follow(events, found)
}, Effect.scoped)

const follow = (events: Stream.Stream<DocEvent>, document: Document) =>
  Stream.runForEach(events, (event) => {
    switch (event._tag) {
      case "InsertLocal":
      case "InsertRemote": {
        const { entry } = event
        if (entry.isDeletion) return Console.log(printable(`- ${entry.keyText}`))
        return document.read(entry).pipe(
          Effect.match({
            onFailure: () => `${entry.size} bytes that are not here yet`,
            onSuccess: (bytes) => new TextDecoder().decode(bytes.subarray(0, 200))
          }),
          Effect.flatMap((text) => Console.log(printable(`+ ${entry.keyText} = ${text}`)))
        )
      }
      case "SyncFinished":
        return event.error === undefined || event.error.reason === "AlreadySyncing"
          ? Console.error(`synced with ${event.peer.slice(0, 10)}: ${event.received} in, ${event.sent} out`)
          : Console.error(printable(event.error.message))
      case "NeighborUp":
        return Console.error(`${event.peer.slice(0, 10)} is a neighbour`)
      case "NeighborDown":
        return Console.error(`${event.peer.slice(0, 10)} is a neighbour no longer`)
      case "Lagged":
        return Console.error(`${event.missed} changes were missed`)
      default:
        return Effect.void
    }
  })
