/**
 * What producers say to each other on the topic of their mesh: signed messages in JSON (Aster admission, producer mesh,
 * message). Pure: bytes in, values out.
 *
 * @since 0.1.0
 */
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as Credential from "@aster-effect/trust/Credential"
import * as Ed25519 from "@aster-effect/iroh/Ed25519"
import * as Hex from "effect/encoding/Hex"
import * as Result from "effect/Result"

/** A message as it travels. @since 0.1.0 */
export interface MeshMessage {
  /** 0 to 127 are the protocol's, 128 to 255 private ones. */
  readonly type: number
  readonly payload: Uint8Array
  /** Who wrote it; the signature is checked with this key. */
  readonly sender: EndpointId.EndpointId
  /** Milliseconds since the Unix epoch, by the sender's clock. */
  readonly epochMs: number
  /** 64 bytes. */
  readonly signature: Uint8Array
}

/** The words of release 0.1.2; others are carried too. @since 0.1.0 */
export type Health = "starting" | "ready" | "degraded" | "draining"

/**
 * What a message says.
 *
 * | tag | type | |
 * |---|---|---|
 * | `Introduce` | 1 | a grant that release 0.1.2 gives no form; changes nothing |
 * | `Depart` | 2 | the sender leaves |
 * | `ContractPublished` | 3 | where the sender published a contract |
 * | `LeaseUpdate` | 4 | the sender serves a service, and how it is |
 * | `Credential` | 128 | a producer, the sender or another, with its own credential: ours only |
 * | `Rotated` | 129 | the mesh has a new salt, which the sender gives to whoever it admits: ours only |
 *
 * @since 0.1.0
 */
export type Body =
  | { readonly _tag: "Introduce"; readonly grant: Uint8Array }
  | { readonly _tag: "Depart"; readonly reason: string }
  | {
      readonly _tag: "ContractPublished"
      readonly service: string
      readonly version: number
      /** The collection of the contract's parts, 64 hex digits. */
      readonly collectionHash: string
    }
  | {
      readonly _tag: "LeaseUpdate"
      readonly service: string
      readonly version: number
      /** 64 hex digits. */
      readonly contractId: string
      readonly health: string
      /** Ours: `address`, a node address in base64. */
      readonly addressing: Readonly<Record<string, string>>
    }
  | {
      readonly _tag: "Credential"
      readonly credential: Credential.EnrollmentCredential
      /** Whether the others are to say what they are, because the sender has just come and has not heard it. */
      readonly asks: boolean
    }
  | { readonly _tag: "Rotated"; readonly removed: ReadonlyArray<EndpointId.EndpointId> }

const types = {
  Introduce: 1,
  Depart: 2,
  ContractPublished: 3,
  LeaseUpdate: 4,
  Credential: 128,
  Rotated: 129
} as const satisfies Record<Body["_tag"], number>

const tags: ReadonlyMap<number, Body["_tag"]> = new Map(
  Object.entries(types).map(([tag, type]) => [type, tag as Body["_tag"]])
)

/** The type of a message that says this. @since 0.1.0 */
export const typeOf = ({ _tag }: Pick<Body, "_tag">): number => types[_tag]

/** Most bytes of a broadcast (iroh-gossip wire, sizes); larger ones would silence the links of Rust peers. */
const MAX_CONTENT = 4057
/** The envelope without payload and without the digits of the type, with an epoch of 13 digits. */
const ENVELOPE = 266

/**
 * Most bytes of a payload: 1,895, and 1,894 for types of three digits (Aster admission, producer mesh, sizes).
 *
 * @since 0.1.0
 */
export const maxPayload = (type: number): number => Math.floor((MAX_CONTENT - ENVELOPE - String(type).length) / 2)

/** Producers that one `Rotated` names as removed, at most. @since 0.1.0 */
export const MAX_REMOVED = 24

/** A payload that no message holds. @since 0.1.0 */
export class PayloadTooLarge extends Error {
  readonly size: number
  readonly limit: number
  constructor(size: number, limit: number) {
    super(`a message to producers holds ${limit} bytes, not ${size}: use shorter names, addresses or attributes`)
    this.size = size
    this.limit = limit
  }
}

/**
 * The bytes that are signed: type, payload, the sender's id as text, the time as u64 big-endian.
 *
 * @since 0.1.0
 */
export const signingBytes = ({
  epochMs,
  payload,
  sender,
  type
}: Pick<MeshMessage, "type" | "payload" | "sender" | "epochMs">): Uint8Array => {
  const bytes = new Uint8Array(1 + payload.length + sender.length + 8)
  bytes[0] = type
  bytes.set(payload, 1)
  bytes.set(utf8.encode(sender), 1 + payload.length)
  new DataView(bytes.buffer).setBigUint64(bytes.length - 8, BigInt(epochMs))
  return bytes
}

const utf8 = new TextEncoder()
const strictUtf8 = new TextDecoder("utf-8", { fatal: true })

/**
 * A message of this sender.
 *
 * @param sign makes the 64-byte signature of the sender's key
 * @throws PayloadTooLarge
 * @since 0.1.0
 */
export const make = (
  body: Body,
  sender: EndpointId.EndpointId,
  epochMs: number,
  sign: (bytes: Uint8Array) => Uint8Array
): MeshMessage => {
  const type = types[body._tag]
  const payload = payloadOf(body)
  if (payload.length > maxPayload(type)) throw new PayloadTooLarge(payload.length, maxPayload(type))
  const unsigned = { type, payload, sender, epochMs }
  return { ...unsigned, signature: sign(signingBytes(unsigned)) }
}

/** Whether the sender's key signed the message. @since 0.1.0 */
export const isSigned = (message: MeshMessage): boolean =>
  Ed25519.verify(EndpointId.toBytes(message.sender), signingBytes(message), message.signature)

/** The content of the broadcast, as release 0.1.2 writes it. @since 0.1.0 */
export const encode = ({ epochMs, payload, sender, signature, type }: MeshMessage): Uint8Array =>
  utf8.encode(
    JSON.stringify({ type, payload: Hex.encode(payload), sender, epoch_ms: epochMs, signature: Hex.encode(signature) })
  )

type Json = Readonly<Record<string, unknown>>

const parseObject = (bytes: Uint8Array): Json | undefined => {
  try {
    const json: unknown = JSON.parse(strictUtf8.decode(bytes))
    return typeof json === "object" && json !== null && !Array.isArray(json) ? (json as Json) : undefined
  } catch {
    return undefined
  }
}

const hexOf = (value: unknown): Uint8Array | undefined => {
  if (typeof value !== "string" || !/^([0-9a-fA-F]{2})*$/.test(value)) return undefined
  return Result.getOrElse(Hex.decode(value), () => undefined)
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isHash = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{64}$/.test(value)

/** Reads the content of a broadcast; undefined when it is none of these messages. @since 0.1.0 */
export const decode = (content: Uint8Array): MeshMessage | undefined => {
  const json = content.length <= MAX_CONTENT ? parseObject(content) : undefined
  if (json === undefined) return undefined
  const { epoch_ms: epochMs, sender, type } = json
  const payload = hexOf(json["payload"])
  const signature = hexOf(json["signature"])
  if (!isCount(type) || type > 255 || payload === undefined || signature?.length !== 64) return undefined
  if (!isHash(sender) || !isCount(epochMs)) return undefined
  return { type, payload, sender: EndpointId.parse(sender), epochMs, signature }
}

const payloadOf = (body: Body): Uint8Array => {
  switch (body._tag) {
    case "Introduce":
      return body.grant
    case "Depart":
      return utf8.encode(JSON.stringify({ reason: body.reason }))
    case "ContractPublished":
      return utf8.encode(
        JSON.stringify({
          service_name: body.service,
          version: body.version,
          contract_collection_hash: body.collectionHash
        })
      )
    case "LeaseUpdate":
      return utf8.encode(
        JSON.stringify({
          service_name: body.service,
          version: body.version,
          contract_id: body.contractId,
          health_status: body.health,
          addressing_info: body.addressing
        })
      )
    case "Credential": {
      // Whoever reads credentials passes over a key that it does not know.
      const text = Credential.toJson(body.credential, "wire")
      return utf8.encode(body.asks ? `${text.slice(0, -1)},"asks":true}` : text)
    }
    case "Rotated":
      return utf8.encode(JSON.stringify({ removed: body.removed }))
  }
}

/** Bounds of the names that peers send. */
const MAX_NAME = 256
const MAX_HEALTH = 32

const isName = (value: unknown): value is string =>
  typeof value === "string" && value.length >= 1 && value.length <= MAX_NAME && !/[\p{Cc}/\\]/u.test(value)

const isVersion = (value: unknown): value is number => isCount(value) && value <= 0x7fff_ffff

const texts = (value: unknown): Readonly<Record<string, string>> | undefined => {
  if (value === undefined || value === null) return {}
  if (typeof value !== "object" || Array.isArray(value)) return undefined
  return Object.values(value).every((text) => typeof text === "string")
    ? (value as Readonly<Record<string, string>>)
    : undefined
}

/**
 * What a message says: undefined when nobody knows its type, `malformed` when its payload is not of its type. A departure
 * whose reason cannot be read is one all the same.
 *
 * @since 0.1.0
 */
export const bodyOf = ({ payload, type }: MeshMessage): Body | "malformed" | undefined => {
  const tag = tags.get(type)
  switch (tag) {
    case undefined:
      return undefined
    case "Introduce":
      return payload.length === 0 ? "malformed" : { _tag: tag, grant: payload }
    case "Depart": {
      const reason = parseObject(payload)?.["reason"]
      return { _tag: tag, reason: typeof reason === "string" ? reason.slice(0, MAX_NAME) : "" }
    }
    case "Credential": {
      const json = parseObject(payload)
      const parsed = json === undefined ? undefined : Credential.parseProducer(strictUtf8.decode(payload))
      return parsed !== undefined && Result.isSuccess(parsed)
        ? { _tag: tag, credential: parsed.success, asks: json?.["asks"] === true }
        : "malformed"
    }
    default:
      return jsonBody(tag, parseObject(payload) ?? {})
  }
}

const jsonBody = (tag: "ContractPublished" | "LeaseUpdate" | "Rotated", json: Json): Body | "malformed" => {
  if (tag === "Rotated") {
    const { removed } = json
    if (!Array.isArray(removed) || removed.length > MAX_REMOVED || !removed.every(isHash)) return "malformed"
    return { _tag: tag, removed: removed.map(EndpointId.parse) }
  }
  const { service_name: service, version } = json
  if (!isName(service) || !isVersion(version)) return "malformed"
  if (tag === "ContractPublished") {
    const { contract_collection_hash: collectionHash } = json
    return isHash(collectionHash) ? { _tag: tag, service, version, collectionHash } : "malformed"
  }
  const { contract_id: contractId, health_status: health } = json
  const addressing = texts(json["addressing_info"])
  if (!isHash(contractId) || typeof health !== "string" || health.length > MAX_HEALTH) return "malformed"
  return addressing === undefined ? "malformed" : { _tag: tag, service, version, contractId, health, addressing }
}
