import * as fs from "node:fs/promises"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Expiry } from "./nonceDatabase.ts"

const Nonce = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))

const NonceFile = Schema.fromJsonString(
  Schema.Struct({
    consumed: Schema.Array(Nonce),
    expires: Schema.optionalKey(
      Schema.Record(Nonce, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })))
    )
  })
)

const decode = Schema.decodeUnknownOption(NonceFile)

/** The nonces in the text of a file, undefined when it is not one of used nonces (Aster admission, nonce store). */
export const parse = (text: string): ReadonlyArray<readonly [nonce: string, expires: Expiry]> | undefined => {
  const stored = Option.getOrUndefined(decode(text))
  if (stored === undefined) return undefined
  const expires = new Map(Object.entries(stored.expires ?? {}))
  return stored.consumed.map((nonce) => {
    const seconds = expires.get(nonce)
    return [nonce, seconds === undefined ? undefined : BigInt(seconds)]
  })
}

/** The text that release 0.1.2 reads; `expires` is ours. */
export const format = (entries: Iterable<readonly [nonce: string, expires: Expiry]>): string => {
  const consumed: Array<string> = []
  const expires: Array<string> = []
  for (const [nonce, seconds] of entries) {
    consumed.push(`"${nonce}"`)
    // A moment JSON cannot hold exactly is as good as never.
    if (seconds !== undefined && seconds <= Number.MAX_SAFE_INTEGER) expires.push(`"${nonce}":${seconds}`)
  }
  return `{"consumed":[${consumed.join(",")}],"expires":{${expires.join(",")}}}\n`
}

/** What tells one version of a file from another; empty when there is none. */
export const fingerprint = async (file: string): Promise<string> => {
  try {
    const { ino, mtimeNs, size } = await fs.stat(file, { bigint: true })
    return `${ino} ${mtimeNs} ${size}`
  } catch (cause) {
    if (typeof cause === "object" && cause !== null && "code" in cause && cause.code === "ENOENT") return ""
    throw cause
  }
}
