/**
 * The structures that steer a call: the header a client opens it with, and the status that ends it (Aster RPC wire,
 * control structures).
 *
 * Both exist in XLANG and in JSON. The first byte tells them apart: `{` is JSON.
 *
 * @since 0.1.0
 */
import { Fory, ForyError, Type } from "@aster-effect/fory"
import { CodecError } from "../message/CodecError.ts"
import { parse } from "../message/JsonText.ts"
import {
  MAX_METADATA_ENTRIES,
  MAX_METADATA_KEY_LENGTH,
  MAX_METADATA_TOTAL_BYTES,
  MAX_METADATA_VALUE_LENGTH,
  MAX_STATUS_DETAIL_ENTRIES,
  MAX_STATUS_MESSAGE_LENGTH
} from "../Limits.ts"
import type { Encoding } from "../message/MessageCodec.ts"
import { MAX_CODE, RpcError } from "./RpcError.ts"
import { nameOf, StatusCode } from "./Status.ts"

/**
 * Payload of the HEADER frame. `deadlineEpochMs` 0 or less means none; an empty `method` opens a session.
 *
 * @since 0.1.0
 */
export interface StreamHeader {
  readonly service: string
  readonly method: string
  readonly version: number
  readonly callId: string
  readonly deadlineEpochMs: number
  readonly serializationMode: number
  readonly metadataKeys: ReadonlyArray<string>
  readonly metadataValues: ReadonlyArray<string>
}

/** Payload of the CALL frame, which begins a call in a session. @since 0.1.0 */
export interface CallHeader {
  readonly method: string
  readonly callId: string
  readonly deadlineEpochMs: number
  readonly metadataKeys: ReadonlyArray<string>
  readonly metadataValues: ReadonlyArray<string>
}

/** Payload of the TRAILER frame. @since 0.1.0 */
export interface RpcStatus {
  readonly code: number
  readonly message: string
  readonly detailKeys: ReadonlyArray<string>
  readonly detailValues: ReadonlyArray<string>
}

/** @since 0.1.0 */
export const SERIALIZATION_MODE: { readonly [E in Encoding]: number } = { xlang: 0, json: 3 }

const strings = Type.list(Type.string)
const headerType = Type.struct({
  namespace: "_aster",
  name: "StreamHeader",
  fields: {
    service: Type.string,
    method: Type.string,
    version: Type.int,
    callId: Type.string,
    deadlineEpochMs: Type.int,
    serializationMode: Type.int,
    metadataKeys: strings,
    metadataValues: strings
  }
})
const statusType = Type.struct({
  namespace: "_aster",
  name: "RpcStatus",
  fields: { code: Type.int, message: Type.string, detailKeys: strings, detailValues: strings }
})
const callType = Type.struct({
  namespace: "_aster",
  name: "CallHeader",
  fields: {
    method: Type.string,
    callId: Type.string,
    deadlineEpochMs: Type.int,
    metadataKeys: strings,
    metadataValues: strings
  }
})
const fory = Fory.make({ types: [headerType, callType, statusType] })
const headerCodec = fory.codec(headerType)
const callCodec = fory.codec(callType)
const statusCodec = fory.codec(statusType)

const OPEN_BRACE = 0x7b
const utf8 = new TextEncoder()

/** The encoding a control payload is in, by its first byte. @since 0.1.0 */
export const encodingOf = (payload: Uint8Array): Encoding => (payload[0] === OPEN_BRACE ? "json" : "xlang")

/** @since 0.1.0 */
export const encodeHeader = (header: StreamHeader, encoding: Encoding): Uint8Array =>
  encoding === "json" ? utf8.encode(JSON.stringify(inOrder(header))) : headerCodec.encode(header)

const inOrder = (header: StreamHeader): StreamHeader => ({
  service: header.service,
  method: header.method,
  version: header.version,
  callId: header.callId,
  deadlineEpochMs: header.deadlineEpochMs,
  serializationMode: header.serializationMode,
  metadataKeys: header.metadataKeys,
  metadataValues: header.metadataValues
})

/**
 * Reads a header in either encoding. JSON headers may lack keys and have others; deadlines may be fractional.
 *
 * @throws CodecError
 * @since 0.1.0
 */
export const decodeHeader = (payload: Uint8Array): StreamHeader => {
  if (encodingOf(payload) === "xlang") return decodeXlang(headerCodec, payload)
  const json = new JsonFields("StreamHeader", parse(payload))
  return {
    service: json.string("service"),
    method: json.string("method"),
    version: json.number("version"),
    callId: json.string("callId"),
    deadlineEpochMs: json.number("deadlineEpochMs"),
    serializationMode: json.number("serializationMode"),
    metadataKeys: json.strings("metadataKeys"),
    metadataValues: json.strings("metadataValues")
  }
}

/** @since 0.1.0 */
export const encodeCallHeader = (header: CallHeader, encoding: Encoding): Uint8Array =>
  encoding === "json"
    ? utf8.encode(
        JSON.stringify({
          method: header.method,
          callId: header.callId,
          deadlineEpochMs: header.deadlineEpochMs,
          metadataKeys: header.metadataKeys,
          metadataValues: header.metadataValues
        })
      )
    : callCodec.encode(header)

/**
 * Reads the header of a call in a session, in either encoding.
 *
 * @throws CodecError
 * @since 0.1.0
 */
export const decodeCallHeader = (payload: Uint8Array): CallHeader => {
  if (encodingOf(payload) === "xlang") return decodeXlang(callCodec, payload)
  const json = new JsonFields("CallHeader", parse(payload))
  return {
    method: json.string("method"),
    callId: json.string("callId"),
    deadlineEpochMs: json.number("deadlineEpochMs"),
    metadataKeys: json.strings("metadataKeys"),
    metadataValues: json.strings("metadataValues")
  }
}

/** The payload of a trailer. @since 0.1.0 */
export const encodeStatus = (status: RpcStatus, encoding: Encoding): Uint8Array =>
  encoding === "json"
    ? utf8.encode(
        JSON.stringify({
          code: status.code,
          message: status.message,
          detailKeys: status.detailKeys,
          detailValues: status.detailValues
        })
      )
    : statusCodec.encode(status)

/**
 * Reads a status in either encoding, whatever the call's: servers of release 0.1.2 end JSON calls with XLANG trailers.
 *
 * @throws CodecError
 * @since 0.1.0
 */
export const decodeStatus = (payload: Uint8Array): RpcStatus => {
  if (encodingOf(payload) === "xlang") return decodeXlang(statusCodec, payload)
  const json = new JsonFields("RpcStatus", parse(payload))
  return {
    code: json.number("code"),
    message: json.string("message"),
    detailKeys: json.strings("detailKeys"),
    detailValues: json.strings("detailValues")
  }
}

/** @since 0.1.0 */
export const OK: RpcStatus = { code: 0, message: "", detailKeys: [], detailValues: [] }

/**
 * The status an error travels as; over-long parts are cut, and what is no text (a character cut in half) is mended, since
 * a status that cannot be written would be no answer at all. A code that is none becomes UNKNOWN.
 *
 * @since 0.1.0
 */
export const statusOf = (error: RpcError): RpcStatus => ({
  code: isFailureCode(error.code) ? error.code : StatusCode.UNKNOWN,
  message: cut(error.message.toWellFormed()),
  ...detailsOf(Object.entries(error.details))
})

/** The end of a successful call, with response metadata in its details. @since 0.1.0 */
export const okWith = (metadata: ReadonlyMap<string, string>): RpcStatus =>
  metadata.size === 0 ? OK : { ...OK, ...detailsOf([...metadata]) }

const detailsOf = (entries: ReadonlyArray<readonly [string, string]>) => {
  const details = entries.slice(0, MAX_STATUS_DETAIL_ENTRIES)
  return {
    detailKeys: details.map(([key]) => key.toWellFormed()),
    detailValues: details.map(([, value]) => `${value}`.toWellFormed())
  }
}

/**
 * The error a status stands for. The `[NAME] ` that TypeScript servers of release 0.1.2 put first is taken off. A number
 * that is no code of a failure, like 1.5, becomes UNKNOWN.
 *
 * @since 0.1.0
 */
export const errorOf = (status: RpcStatus): RpcError => {
  const details = Object.fromEntries(pairsOf(status))
  if (!isFailureCode(status.code)) {
    const message = `the call ended with ${status.code}, which is no status code: ${cut(status.message)}`
    return new RpcError({ code: StatusCode.UNKNOWN, message, details })
  }
  const prefix = `[${nameOf(status.code)}] `
  const message = cut(status.message.startsWith(prefix) ? status.message.slice(prefix.length) : status.message)
  return new RpcError({ code: status.code, message, details })
}

/**
 * Detail by which our servers say that a session goes on after a failed call: those of release 0.1.2 end it with some, and
 * say nothing more.
 *
 * @since 0.1.0
 */
export const SESSION_ALIVE = "aster.session"

/** The details of a status as a map; keys without a value are dropped. @since 0.1.0 */
export const pairsOf = (status: RpcStatus): ReadonlyMap<string, string> =>
  status.detailKeys.length === 0
    ? NO_METADATA
    : new Map(
        status.detailKeys
          .slice(0, Math.min(MAX_STATUS_DETAIL_ENTRIES, status.detailValues.length))
          .map((key, i) => [key, status.detailValues[i]!] as const)
          .filter(([key]) => key !== SESSION_ALIVE)
      )

const isFailureCode = (code: number): boolean => Number.isInteger(code) && code >= 1 && code <= MAX_CODE

const cut = (message: string): string =>
  message.length <= MAX_STATUS_MESSAGE_LENGTH
    ? message
    : `${message.slice(0, MAX_STATUS_MESSAGE_LENGTH).toWellFormed()}...`

const NO_METADATA: ReadonlyMap<string, string> = new Map()

/**
 * Metadata of a header as a map; keys without a value get the empty string, values without a key are dropped.
 *
 * @throws RpcError RESOURCE_EXHAUSTED when a limit is exceeded
 * @since 0.1.0
 */
export const metadataOf = (
  header: Pick<StreamHeader, "metadataKeys" | "metadataValues">
): ReadonlyMap<string, string> => {
  const { metadataKeys, metadataValues } = header
  if (metadataKeys.length === 0) return NO_METADATA
  const metadata = new Map(
    metadataKeys.slice(0, MAX_METADATA_ENTRIES + 1).map((key, i) => [key, metadataValues[i] ?? ""] as const)
  )
  const problem = metadataProblem(metadata, metadataKeys.length)
  if (problem !== undefined) throw RpcError.of("RESOURCE_EXHAUSTED", `metadata exceeds limits: ${problem}`)
  return metadata
}

/**
 * Which limit the metadata of a call exceeds, if any. Lengths count UTF-16 units, the total UTF-8 bytes.
 *
 * @since 0.1.0
 */
export const metadataProblem = (metadata: ReadonlyMap<string, string>, entries = metadata.size): string | undefined => {
  if (entries > MAX_METADATA_ENTRIES) return `${entries} entries, at most ${MAX_METADATA_ENTRIES}`
  let total = 0
  for (const [key, value] of metadata) {
    if (key.length > MAX_METADATA_KEY_LENGTH)
      return `a key of ${key.length} characters, at most ${MAX_METADATA_KEY_LENGTH}`
    if (value.length > MAX_METADATA_VALUE_LENGTH) {
      return `a value of ${value.length} characters, at most ${MAX_METADATA_VALUE_LENGTH}`
    }
    total += Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  return total > MAX_METADATA_TOTAL_BYTES ? `${total} bytes in all, at most ${MAX_METADATA_TOTAL_BYTES}` : undefined
}

const decodeXlang = <A>(codec: { readonly decode: (bytes: Uint8Array) => A }, payload: Uint8Array): A => {
  try {
    return codec.decode(payload)
  } catch (error) {
    if (!(error instanceof ForyError)) throw error
    throw new CodecError({ reason: "Malformed", detail: error.message })
  }
}

/** Fields of a JSON control structure; missing ones have their type's empty value. */
class JsonFields {
  readonly #name: string
  readonly #fields: { readonly [key: string]: unknown }

  constructor(name: string, json: unknown) {
    this.#name = name
    this.#fields = json as { readonly [key: string]: unknown }
  }

  string(key: string): string {
    const value = this.#get(key) ?? ""
    return typeof value === "string" ? value : this.#fail(key, "a string")
  }

  number(key: string): number {
    const value = this.#get(key) ?? 0
    return typeof value === "number" ? value : this.#fail(key, "a number")
  }

  strings(key: string): ReadonlyArray<string> {
    const value = this.#get(key) ?? []
    return Array.isArray(value) && value.every((item) => typeof item === "string")
      ? value
      : this.#fail(key, "an array of strings")
  }

  #get(key: string): unknown {
    return Object.hasOwn(this.#fields, key) ? this.#fields[key] : undefined
  }

  #fail(key: string, expected: string): never {
    throw new CodecError({ reason: "Malformed", detail: `${this.#name}.${key} is not ${expected}` })
  }
}
