/**
 * What a server tells a consumer about a service it offers (contract identity, ServiceSummary JSON).
 *
 * @since 0.1.0
 */
import { pythonJson } from "./internal/pythonJson.ts"
import * as MessageDigest from "./MessageDigest.ts"
import {
  HEX_ID_LENGTH,
  MAX_ADMISSION_PAYLOAD_SIZE,
  MAX_CHANNELS_PER_SERVICE,
  MAX_SERVICE_NAME_LENGTH,
  MAX_SERVICES_IN_ADMISSION
} from "../Limits.ts"
import type { Scope } from "../message/WireType.ts"

/** @since 0.1.0 */
export interface ServiceSummary {
  readonly name: string
  readonly version: number
  /** 64 lower-case hex digits, or empty when the server has not published the contract. */
  readonly contractId: string
  /** Where to connect, by channel name. The default channel is `rpc`; an address may have any of the textual forms. */
  readonly channels: { readonly [channel: string]: string }
  /** The scope of the service. The wire calls it pattern; it is not the pattern of a method. */
  readonly pattern: Scope
  /** Modes the server accepts. Empty means XLANG, which is what release 0.1.2's Python servers send. */
  readonly serializationModes: ReadonlyArray<string>
  /** What travels in each method, by name (`MessageDigest`). Release 0.1.2 has no such key and ignores it. */
  readonly messageDigests?: { readonly [method: string]: string } | undefined
}

/** The JSON form of a `ServiceSummary`, with its keys in the reference's order. @since 0.1.0 */
export interface ServiceSummaryJson {
  readonly name: string
  readonly version: number
  readonly contract_id: string
  readonly channels: { readonly [channel: string]: string }
  readonly pattern: Scope
  readonly serialization_modes: ReadonlyArray<string>
  readonly message_digests?: { readonly [method: string]: string }
}

/** The JSON form, for embedding into a larger message. @since 0.1.0 */
export const toJson = (summary: ServiceSummary): ServiceSummaryJson => ({
  name: summary.name,
  version: summary.version,
  contract_id: summary.contractId,
  channels: summary.channels,
  pattern: summary.pattern,
  serialization_modes: summary.serializationModes,
  ...(summary.messageDigests === undefined ? undefined : { message_digests: summary.messageDigests })
})

/** The JSON text as the reference writes it: no white space, ASCII only. @since 0.1.0 */
export const encode = (summary: ServiceSummary): string =>
  pythonJson({
    members: [
      ["name", summary.name],
      ["version", summary.version],
      ["contract_id", summary.contractId],
      ["channels", { members: Object.entries(summary.channels) }],
      ["pattern", summary.pattern],
      ["serialization_modes", summary.serializationModes],
      ...digestMembers(summary)
    ]
  })

const digestMembers = ({
  messageDigests
}: ServiceSummary): ReadonlyArray<readonly [string, { readonly members: ReadonlyArray<readonly [string, string]> }]> =>
  messageDigests === undefined ? [] : [["message_digests", { members: Object.entries(messageDigests) }]]

/** Most modes of one summary; the protocol has four. */
const MAX_MODES = 100

/**
 * The summary in a parsed JSON value from a peer, or `undefined` when it breaks a rule.
 *
 * `name`, `version` (an integer of 32 bits, or its decimal text) and `contract_id` are mandatory; `channels`, `pattern`
 * (`shared`) and `serialization_modes` default when missing, null or empty; `stream` is an older spelling of `session`;
 * unknown keys are ignored. Names of services and channels are 1 to 256 characters without control characters and path
 * separators (and not `.` or `..`), a contract id is empty or 64 lower-case hex digits, and there are at most 100
 * channels. `message_digests` that are none are dropped: they only serve to warn.
 *
 * @since 0.1.0
 */
export const fromJson = (json: unknown): ServiceSummary | undefined => {
  if (!isObject(json)) return undefined
  const { name, contract_id: contractId } = json
  const version = integer(json["version"])
  const channels = channelsOf(json["channels"])
  const pattern = scopeOf(json["pattern"])
  const serializationModes = modesOf(json["serialization_modes"])
  if (
    !isName(name) ||
    version === undefined ||
    !isContractId(contractId) ||
    channels === undefined ||
    pattern === undefined ||
    serializationModes === undefined
  ) {
    return undefined
  }
  const messageDigests = digestsOf(json["message_digests"])
  const summary = { name, version, contractId, channels, pattern, serializationModes }
  return messageDigests === undefined ? summary : { ...summary, messageDigests }
}

/**
 * The usable summaries of a peer's `services` list, in order: at most the first 10,000 entries are looked at, and those
 * that `fromJson` refuses are dropped. Anything but an array is an empty list.
 *
 * @since 0.1.0
 */
export const listFromJson = (json: unknown): ReadonlyArray<ServiceSummary> =>
  Array.isArray(json)
    ? json
        .slice(0, MAX_SERVICES_IN_ADMISSION)
        .map(fromJson)
        .filter((summary) => summary !== undefined)
    : []

const isObject = (json: unknown): json is { readonly [key: string]: unknown } =>
  typeof json === "object" && json !== null && !Array.isArray(json)

const forbiddenInNames = /[\p{Cc}/\\]/u

const isName = (name: unknown): name is string =>
  typeof name === "string" &&
  name !== "" &&
  // A character is at most two units, so the cheap test bounds the spread behind it.
  name.length <= 2 * MAX_SERVICE_NAME_LENGTH &&
  [...name].length <= MAX_SERVICE_NAME_LENGTH &&
  name.isWellFormed() &&
  !forbiddenInNames.test(name) &&
  name !== "." &&
  name !== ".."

const isContractId = (id: unknown): id is string =>
  typeof id === "string" && (id === "" || (id.length === HEX_ID_LENGTH && /^[0-9a-f]+$/.test(id)))

/** The reference converts, so decimal text counts too. */
const integer = (value: unknown): number | undefined => {
  const number = typeof value === "string" && /^-?\d{1,10}$/.test(value) ? Number(value) : value
  return typeof number === "number" && (number | 0) === number ? number | 0 : undefined
}

const channelsOf = (json: unknown): { readonly [channel: string]: string } | undefined => {
  if (isBlank(json)) return {}
  if (!isObject(json)) return undefined
  const channels: Array<readonly [string, string]> = []
  for (const [name, address] of Object.entries(json)) {
    if (!isName(name) || !isAddress(address) || channels.length === MAX_CHANNELS_PER_SERVICE) return undefined
    channels.push([name, address])
  }
  return Object.fromEntries(channels)
}

/** Addresses are judged where they are dialled; here only their size, which no admission response can exceed. */
const isAddress = (address: unknown): address is string =>
  typeof address === "string" && address.length <= MAX_ADMISSION_PAYLOAD_SIZE

const digestsOf = (json: unknown): { readonly [method: string]: string } | undefined => {
  if (!isObject(json)) return undefined
  const digests = Object.entries(json)
  return digests.every(([, digest]) => MessageDigest.isDigest(digest))
    ? (Object.fromEntries(digests) as { readonly [method: string]: string })
    : undefined
}

const scopeOf = (json: unknown): Scope | undefined => {
  if (isBlank(json) || json === "shared") return "shared"
  return json === "session" || json === "stream" ? "session" : undefined
}

const modesOf = (json: unknown): ReadonlyArray<string> | undefined => {
  if (isBlank(json)) return []
  return Array.isArray(json) && json.length <= MAX_MODES && json.every((mode) => typeof mode === "string")
    ? json
    : undefined
}

/** What the reference takes for "not given". */
const isBlank = (json: unknown): boolean =>
  json === undefined || json === null || json === "" || (Array.isArray(json) && json.length === 0)
