/**
 * Finds the producers of a service in a registry document (service registry, resolving).
 *
 * @since 0.1.0
 */
import type { AuthorId } from "@aster-effect/iroh-docs/AuthorId"
import type { DocEntry } from "@aster-effect/iroh-docs/DocEntry"
import type { Document, ReadError } from "@aster-effect/iroh-docs/Document"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Lease from "./Lease.ts"
import * as RegistryKey from "./RegistryKey.ts"

/** Nobody serves what was asked for. @since 0.1.0 */
export class ServiceNotFound extends Schema.TaggedError<ServiceNotFound>()("ServiceNotFound", {
  service: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `no producer of ${this.service}: ${this.detail}`
  }
}

/** Which producers are wanted. The first of contract id, version, channel and tag that is given counts. @since 0.1.0 */
export interface Wanted {
  readonly service: string
  readonly contractId?: string | undefined
  readonly version?: number | undefined
  readonly channel?: string | undefined
  readonly tag?: string | undefined
  /** Default `aster/1`. */
  readonly alpn?: string | undefined
  /** Any of these will do; `fory-xlang` is another spelling of `xlang`. Default: every mode. */
  readonly serializationModes?: ReadonlyArray<string> | undefined
  /** Producers that name another one are left out. */
  readonly policyRealm?: string | undefined
  /** Among producers that are as ready: in turn, the least busy first, or by chance. Default `round_robin`. */
  readonly strategy?: "round_robin" | "least_load" | "random" | undefined
}

/** @since 0.1.0 */
export interface ResolverOptions {
  readonly document: Document
  /**
   * Who may write: this author, and those of its list `_aster/acl/writers`. Lists of others do not count. Default:
   * everybody that has the document's secret.
   */
  readonly owner?: AuthorId | undefined
}

/** @since 0.1.0 */
export interface Resolver {
  /** Whether the word of an author counts, by the list of writers as it is now. */
  readonly isTrusted: (author: AuthorId) => Effect.Effect<boolean, ReadError>
  /** Leases of producers that serve what is wanted, best first; at least one. */
  readonly resolve: (wanted: Wanted) => Effect.Effect<ReadonlyArray<Lease.Lease>, ServiceNotFound | ReadError>
  /** Every lease of what is wanted that stands in the registry, in no order: whether it holds says {@link isUsable}. */
  readonly leases: (wanted: Wanted) => Effect.Effect<ReadonlyArray<Lease.Lease>, ServiceNotFound | ReadError>
}

/** A lease may be so old, in milliseconds. */
const MAX_AGE_MS = 45_000
/** Leases of one contract that are looked at. */
const MAX_LEASES = 10_000

/** @since 0.1.0 */
export const make = ({ document, owner }: ResolverOptions): Resolver => {
  /** The last lease seen of an endpoint, by key: older ones of the same count are refused. */
  const seen = new Map<string, Pick<Lease.Lease, "leaseSeq" | "updatedAtEpochMs">>()
  let turn = 0

  const textOf = (entry: DocEntry, limit: number): Effect.Effect<string | undefined, ReadError> =>
    entry.size > limit
      ? Effect.succeed(undefined)
      : document.read(entry).pipe(
          Effect.map((bytes) => new TextDecoder().decode(bytes)),
          Effect.catchTag("ContentMissing", () => Effect.succeed(undefined))
        )

  const writers = Effect.fnUntraced(function* (): Effect.fn.Return<ReadonlySet<string> | undefined, ReadError> {
    if (owner === undefined) return undefined
    const list = yield* document.getOne({ author: owner, key: { exact: RegistryKey.acl("writers") } })
    const text = Option.isSome(list) ? yield* textOf(list.value, Lease.MAX_BYTES) : undefined
    return new Set([owner, ...parseList(text)])
  })

  /** The latest trusted entries under keys, by key. */
  const entries = Effect.fnUntraced(function* (key: { exact: string } | { prefix: string }) {
    const trusted = yield* writers()
    const all = yield* Stream.runCollect(document.getMany({ key, sort: "key", limit: MAX_LEASES }))
    const latest = new Map<string, DocEntry>()
    for (const entry of all) {
      if (trusted !== undefined && !trusted.has(entry.author)) continue
      const known = latest.get(entry.keyText)
      if (known === undefined || known.timestamp < entry.timestamp) latest.set(entry.keyText, entry)
    }
    return latest
  })

  const pointer = Effect.fnUntraced(function* (key: string) {
    const entry = [...(yield* entries({ exact: key })).values()][0]
    const text = entry === undefined ? undefined : yield* textOf(entry, 256)
    return text !== undefined && /^[0-9a-f]{64}$/.test(text) ? text : undefined
  })

  const contractOf = Effect.fnUntraced(function* (wanted: Wanted) {
    const { channel, contractId, service, tag, version } = wanted
    if (contractId !== undefined) return contractId
    const key =
      version !== undefined
        ? RegistryKey.version(service, version)
        : channel !== undefined
          ? RegistryKey.channel(service, channel)
          : tag !== undefined
            ? RegistryKey.tag(service, tag)
            : undefined
    if (key !== undefined) {
      const found = yield* pointer(key)
      return found ?? (yield* new ServiceNotFound({ service, detail: `the registry has nothing at ${key}` }))
    }
    // Without anything said it is the newest version.
    const prefix = `services/${service}/versions/v`
    const versions = [...(yield* entries({ prefix })).keys()]
      .map((key) => Number(key.slice(prefix.length)))
      .filter(Number.isSafeInteger)
    if (versions.length === 0)
      return yield* new ServiceNotFound({ service, detail: "the registry has no version of it" })
    const newest = RegistryKey.version(service, Math.max(...versions))
    return (yield* pointer(newest)) ?? (yield* new ServiceNotFound({ service, detail: `${newest} is no contract` }))
  })

  /** Whether a lease is no older than what was seen of its endpoint; a later write may begin a new count. */
  const isCurrent = (key: string, lease: Lease.Lease): boolean => {
    const last = seen.get(key)
    if (last !== undefined && lease.leaseSeq < last.leaseSeq && lease.updatedAtEpochMs <= last.updatedAtEpochMs)
      return false
    seen.set(key, lease)
    return true
  }

  const leases = Effect.fn("Resolver.leases")(function* (
    wanted: Wanted
  ): Effect.fn.Return<ReadonlyArray<Lease.Lease>, ServiceNotFound | ReadError> {
    const { service } = wanted
    const contractId = yield* contractOf(wanted)
    const found: Array<Lease.Lease> = []
    for (const [key, entry] of yield* entries({ prefix: RegistryKey.leases(service, contractId) })) {
      const lease = Lease.decode((yield* textOf(entry, Lease.MAX_BYTES)) ?? "")
      // What a lease says has to be what its key says.
      if (lease === undefined || key !== RegistryKey.lease(service, contractId, lease.endpointId)) continue
      if (lease.contractId !== contractId || lease.service !== service) continue
      if (isCurrent(key, lease)) found.push(lease)
    }
    return found
  })

  const resolve = Effect.fn("Resolver.resolve")(function* (
    wanted: Wanted
  ): Effect.fn.Return<ReadonlyArray<Lease.Lease>, ServiceNotFound | ReadError> {
    const { service } = wanted
    const all = yield* leases(wanted)
    const now = yield* Clock.currentTimeMillis
    const found = all.filter((lease) => isUsable(lease, wanted, now))
    if (found.length === 0) return yield* new ServiceNotFound({ service, detail: "no lease of it holds" })
    return yield* ranked(found, wanted.strategy ?? "round_robin", turn++)
  })

  return {
    isTrusted: (author) => Effect.map(writers(), (trusted) => trusted?.has(author) ?? true),
    leases,
    resolve
  }
}

/**
 * Whether a lease holds and its producer can be called as wanted.
 *
 * @param now milliseconds since the Unix epoch
 * @since 0.1.0
 */
export const isUsable = (lease: Lease.Lease, wanted: Wanted, now: number): boolean => {
  if (lease.healthStatus !== "ready" && lease.healthStatus !== "degraded") return false
  if (now > Math.min(lease.updatedAtEpochMs + MAX_AGE_MS, lease.leaseExpiresEpochMs)) return false
  if (lease.alpn !== (wanted.alpn ?? "aster/1")) return false
  const modes = wanted.serializationModes?.map(modeOf)
  if (modes !== undefined && !lease.serializationModes.some((mode) => modes.includes(modeOf(mode)))) return false
  const { policyRealm } = wanted
  return policyRealm === undefined || lease.policyRealm === undefined || policyRealm === lease.policyRealm
}

const modeOf = (mode: string): string => (mode === "fory-xlang" ? "xlang" : mode)

/** Ready producers before degraded ones, each as the strategy has it. */
const ranked = Effect.fnUntraced(function* (
  leases: ReadonlyArray<Lease.Lease>,
  strategy: NonNullable<Wanted["strategy"]>,
  turn: number
) {
  const ordered: Array<Lease.Lease> = []
  for (const health of ["ready", "degraded"]) {
    const group = leases.filter(({ healthStatus }) => healthStatus === health)
    if (strategy === "least_load")
      ordered.push(...group.toSorted((a, b) => (a.load ?? Infinity) - (b.load ?? Infinity)))
    else if (strategy === "random") ordered.push(...(yield* Random.shuffle(group)))
    else {
      const start = group.length === 0 ? 0 : turn % group.length
      ordered.push(...group.slice(start), ...group.slice(0, start))
    }
  }
  return ordered
})

const parseList = (text: string | undefined): ReadonlyArray<string> => {
  if (text === undefined) return []
  try {
    const json: unknown = JSON.parse(text)
    return Array.isArray(json) ? json.filter((item): item is string => typeof item === "string") : []
  } catch {
    return []
  }
}
