/**
 * What happens in a registry document (service registry, events).
 *
 * Release 0.1.2 tells of it on a gossip topic, unsigned, so that listeners have to look for themselves. Here it follows from
 * the entries of the document, which are signed by who has written them.
 *
 * @since 0.1.0
 */
import type { AuthorId } from "@aster-effect/iroh-docs/AuthorId"
import type { DocEntry } from "@aster-effect/iroh-docs/DocEntry"
import type { DocEvent } from "@aster-effect/iroh-docs/DocEvent"
import type { ReadError } from "@aster-effect/iroh-docs/Document"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Lease from "./Lease.ts"
import * as Resolver from "./Resolver.ts"

/**
 * | event | meaning |
 * |---|---|
 * | `ContractPublished` | a version of a service has this contract |
 * | `PointerChanged` | a channel or a tag of a service points at this contract |
 * | `LeaseChanged` | a producer has taken, refreshed or changed a lease |
 * | `LeaseRemoved` | a producer has taken its lease back |
 * | `AclChanged` | a list of authors was changed |
 * | `Missed` | this listener was too slow: so much of what happens in the document passed it by |
 *
 * @since 0.1.0
 */
export type RegistryEvent =
  | {
      readonly _tag: "ContractPublished"
      readonly service: string
      readonly version: number
      readonly contractId: string
      readonly author: AuthorId
    }
  | {
      readonly _tag: "PointerChanged"
      readonly service: string
      readonly kind: "channel" | "tag"
      readonly name: string
      readonly contractId: string
      readonly author: AuthorId
    }
  | { readonly _tag: "LeaseChanged"; readonly lease: Lease.Lease; readonly author: AuthorId }
  | {
      readonly _tag: "LeaseRemoved"
      readonly service: string
      readonly contractId: string
      readonly endpointId: string
      readonly author: AuthorId
    }
  | { readonly _tag: "AclChanged"; readonly list: string; readonly author: AuthorId }
  | { readonly _tag: "Missed"; readonly events: number }

/** Entries whose contents are waited for. */
const MAX_PENDING = 4096

/**
 * Follows a registry document from now on, until the scope closes. What authors write whose word does not count is left out,
 * and so is what is not as it should be.
 *
 * @since 0.1.0
 */
export const follow = Effect.fn("RegistryEvents.follow")(function* (
  options: Resolver.ResolverOptions
): Effect.fn.Return<Stream.Stream<RegistryEvent>, ReadError, Scope.Scope> {
  const { document } = options
  const { isTrusted } = Resolver.make(options)
  /** Entries by the hash of a content that has not arrived yet. */
  const pending = new Map<string, Array<DocEntry>>()

  const eventOf = Effect.fnUntraced(function* (
    entry: DocEntry
  ): Effect.fn.Return<ReadonlyArray<RegistryEvent>, ReadError> {
    const parse = parserOf(entry.keyText)
    if (parse === undefined || entry.size > Lease.MAX_BYTES || !(yield* isTrusted(entry.author))) return []
    const read = document.read(entry).pipe(
      Effect.map((bytes) => new TextDecoder().decode(bytes)),
      Effect.catchTag("ContentMissing", () => Effect.succeed(undefined))
    )
    const text = yield* read
    const event = text === undefined ? undefined : parse(text, entry.author)
    return event === undefined ? [] : [event]
  })
  const arrived = (entries: ReadonlyArray<DocEntry>) =>
    Effect.map(Effect.forEach(entries, eventOf), (found) => found.flat())
  const look = (event: DocEvent): Effect.Effect<ReadonlyArray<RegistryEvent>, ReadError> => {
    switch (event._tag) {
      case "InsertLocal":
        return arrived([event.entry])
      case "InsertRemote": {
        const { contentHere, entry } = event
        if (contentHere) return arrived([entry])
        if (pending.size < MAX_PENDING && parserOf(entry.keyText) !== undefined) {
          pending.set(entry.hash, [...(pending.get(entry.hash) ?? []), entry].slice(-64))
        }
        return Effect.succeed([])
      }
      case "ContentReady": {
        const entries = pending.get(event.hash) ?? []
        pending.delete(event.hash)
        return arrived(entries)
      }
      case "Lagged":
        return Effect.succeed([{ _tag: "Missed", events: event.missed }])
      default:
        return Effect.succeed([])
    }
  }
  const events = yield* document.subscribe()
  return Stream.flatMap(events, (event) =>
    Stream.unwrap(
      Effect.match(look(event), {
        onSuccess: Stream.fromIterable,
        // The document cannot be read: whoever listens has missed something.
        onFailure: () => Stream.succeed<RegistryEvent>({ _tag: "Missed", events: 1 })
      })
    )
  )
})

type Parse = (text: string, author: AuthorId) => RegistryEvent | undefined

const ID = /^[0-9a-f]{64}$/

/** How the value under a key is read; undefined for keys that nothing is told of. */
const parserOf = (key: string): Parse | undefined => {
  const parts = key.split("/")
  if (parts.length === 3 && parts[0] === "_aster" && parts[1] === "acl") {
    const list = parts[2]!
    return (_, author) => ({ _tag: "AclChanged", list, author })
  }
  const [services, service, kind, name, endpoints, endpointId] = parts
  if (services !== "services" || service === undefined || name === undefined) return undefined
  if (parts.length === 4 && kind === "versions" && /^v[0-9]{1,9}$/.test(name)) {
    const version = Number(name.slice(1))
    return (text, author) =>
      ID.test(text) ? { _tag: "ContractPublished", service, version, contractId: text, author } : undefined
  }
  if (parts.length === 4 && (kind === "channels" || kind === "tags")) {
    const pointer = { service, name, kind: kind === "channels" ? "channel" : "tag" } as const
    return (text, author) =>
      ID.test(text) ? { _tag: "PointerChanged", ...pointer, contractId: text, author } : undefined
  }
  if (parts.length !== 6 || kind !== "contracts" || endpoints !== "endpoints") return undefined
  if (endpointId === undefined || !ID.test(endpointId) || !ID.test(name)) return undefined
  return (text, author) => {
    if (text === Lease.WITHDRAWN) return { _tag: "LeaseRemoved", service, contractId: name, endpointId, author }
    const lease = Lease.decode(text)
    // What a lease says has to be what its key says.
    return lease?.service === service && lease.contractId === name && lease.endpointId === endpointId
      ? { _tag: "LeaseChanged", lease, author }
      : undefined
  }
}
