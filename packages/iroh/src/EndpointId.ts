/**
 * An endpoint's name on the network: its ed25519 public key, written as 64 lower-case hex digits.
 *
 * @since 0.1.0
 */
import { Point } from "@noble/ed25519"
import { base16 } from "@scure/base"
import * as Brand from "effect/Brand"
import * as Data from "effect/Data"

/** 64 lower-case hex digits; authenticated by the TLS handshake when it comes from a `Connection`. */
export type EndpointId = Brand.Branded<string, "@aster-effect/iroh/EndpointId">

/** A text or byte array that cannot be an endpoint id. */
export class EndpointIdError extends Data.TaggedError("EndpointIdError")<{ readonly problem: string }> {
  override get message(): string {
    return `Not an endpoint id: ${this.problem}. Pass 32 bytes, or 64 hex digits.`
  }
}

const brand = Brand.nominal<EndpointId>()
const hex64 = /^[0-9a-fA-F]{64}$/

/** Whether `text` is 64 hex digits, in either case. */
export const isHex = (text: string): boolean => hex64.test(text)

/**
 * Reads 64 hex digits in either case.
 *
 * Only the spelling is checked: that the bytes are a point on the curve shows when somebody connects.
 *
 * @throws EndpointIdError
 */
export const parse = (text: string): EndpointId => {
  if (!hex64.test(text)) throw new EndpointIdError({ problem: `${text.length} characters that are not 64 hex digits` })
  return brand(text.toLowerCase())
}

/**
 * Names the endpoint whose public key is these 32 bytes.
 *
 * @throws EndpointIdError
 */
export const fromBytes = (bytes: Uint8Array): EndpointId => {
  if (bytes.length !== 32) throw new EndpointIdError({ problem: `${bytes.length} bytes` })
  return brand(base16.encode(bytes).toLowerCase())
}

/** The 32 bytes of the public key. */
export const toBytes = (id: EndpointId): Uint8Array => base16.decode(id.toUpperCase())

/**
 * Whether the id is a public key: a point on the curve. Costs about as much as verifying a signature, and is needed only
 * where an id was heard of and is passed on; nobody connects under one that is none.
 */
export const isKey = (id: EndpointId): boolean => {
  try {
    Point.fromBytes(toBytes(id))
    return true
  } catch {
    return false
  }
}
