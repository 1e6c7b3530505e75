/**
 * A producer's word that it serves a contract at an endpoint, for a while (service registry, leases).
 *
 * @since 0.1.0
 */

/** How a producer is. Callers use `ready`, and `degraded` where nobody is. @since 0.1.0 */
export type Health = "starting" | "ready" | "degraded" | "draining"

const healths: ReadonlySet<string> = new Set<Health>(["starting", "ready", "degraded", "draining"])

/** @since 0.1.0 */
export interface Lease {
  /** 64 hex digits. */
  readonly endpointId: string
  readonly contractId: string
  readonly service: string
  readonly version: number
  /** Milliseconds since the Unix epoch. */
  readonly leaseExpiresEpochMs: number
  /** Grows with every write; starts at 1 with every start of the producer. */
  readonly leaseSeq: number
  readonly alpn: string
  readonly serializationModes: ReadonlyArray<string>
  readonly featureFlags: ReadonlyArray<string>
  readonly relayUrl: string | undefined
  /** `ip:port` each. */
  readonly directAddrs: ReadonlyArray<string>
  /** From 0, idle, to 1; undefined when it is not known. */
  readonly load: number | undefined
  readonly languageRuntime: string | undefined
  readonly asterVersion: string
  readonly policyRealm: string | undefined
  readonly healthStatus: Health
  readonly tags: ReadonlyArray<string>
  /** Milliseconds since the Unix epoch. */
  readonly updatedAtEpochMs: number
}

/** The value that withdraws a lease. @since 0.1.0 */
export const WITHDRAWN = "null"

/** How long a lease holds, in milliseconds. @since 0.1.0 */
export const DURATION_MS = 45_000

/** The JSON form: 18 keys, all of which readers of release 0.1.2 want. @since 0.1.0 */
export const encode = (lease: Lease): string =>
  JSON.stringify({
    endpoint_id: lease.endpointId,
    contract_id: lease.contractId,
    service: lease.service,
    version: lease.version,
    lease_expires_epoch_ms: lease.leaseExpiresEpochMs,
    lease_seq: lease.leaseSeq,
    alpn: lease.alpn,
    serialization_modes: lease.serializationModes,
    feature_flags: lease.featureFlags,
    relay_url: lease.relayUrl ?? null,
    direct_addrs: lease.directAddrs,
    load: lease.load ?? null,
    language_runtime: lease.languageRuntime ?? null,
    aster_version: lease.asterVersion,
    policy_realm: lease.policyRealm ?? null,
    health_status: lease.healthStatus,
    tags: lease.tags,
    updated_at_epoch_ms: lease.updatedAtEpochMs
  })

/** Most bytes of a lease that are read. @since 0.1.0 */
export const MAX_BYTES = 16_384

const MAX_ADDRESSES = 64

/** Reads the JSON form; undefined when it is none, or withdrawn. @since 0.1.0 */
export const decode = (text: string): Lease | undefined => {
  if (text.length > MAX_BYTES) return undefined
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined
  const fields = json as Record<string, unknown>
  const string = (key: string) => (typeof fields[key] === "string" ? fields[key] : undefined)
  const integer = (key: string) => (Number.isSafeInteger(fields[key]) ? (fields[key] as number) : undefined)
  const strings = (key: string) => {
    const list = fields[key]
    return Array.isArray(list) && list.length <= MAX_ADDRESSES && list.every((item) => typeof item === "string")
      ? (list as ReadonlyArray<string>)
      : undefined
  }
  const lease = {
    endpointId: string("endpoint_id"),
    contractId: string("contract_id"),
    service: string("service"),
    version: integer("version"),
    leaseExpiresEpochMs: integer("lease_expires_epoch_ms"),
    leaseSeq: integer("lease_seq"),
    alpn: string("alpn"),
    serializationModes: strings("serialization_modes"),
    featureFlags: strings("feature_flags"),
    relayUrl: string("relay_url"),
    directAddrs: strings("direct_addrs"),
    load: typeof fields["load"] === "number" && Number.isFinite(fields["load"]) ? fields["load"] : undefined,
    languageRuntime: string("language_runtime"),
    asterVersion: string("aster_version") ?? "",
    policyRealm: string("policy_realm"),
    healthStatus: string("health_status"),
    tags: strings("tags") ?? [],
    updatedAtEpochMs: integer("updated_at_epoch_ms")
  }
  return isLease(lease) ? lease : undefined
}

const optional: ReadonlySet<string> = new Set(["relayUrl", "load", "languageRuntime", "policyRealm"])

const isLease = (fields: Record<string, unknown>): fields is Record<string, unknown> & Lease =>
  Object.entries(fields).every(([key, value]) => value !== undefined || optional.has(key)) &&
  healths.has(String(fields["healthStatus"])) &&
  /^[0-9a-f]{64}$/.test(String(fields["endpointId"]))
