/** What commands are given, in the shapes of the Rust peer of the tests (test/peers/iroh-rs). */
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as Schema from "effect/Schema"

/** Text, bytes in hex, or `size` bytes of which byte i is (i + seed) mod 251. */
const Content = Schema.Union([
  Schema.String,
  Schema.Struct({ hex: Schema.String }),
  Schema.Struct({ size: Schema.Int, seed: Schema.optionalKey(Schema.Int) })
])

/** A ticket or id, or an address of parts. */
const Address = Schema.Union([
  Schema.String,
  Schema.Struct({
    id: Schema.String,
    addrs: Schema.optionalKey(Schema.Array(Schema.String)),
    relays: Schema.optionalKey(Schema.Array(Schema.String))
  })
])

/** A line of input. */
export const Request = Schema.Struct({
  id: Schema.Int,
  cmd: Schema.String,
  topic: Schema.optionalKey(Schema.String),
  peers: Schema.optionalKey(Schema.Array(Address)),
  addr: Schema.optionalKey(Address),
  quiet: Schema.optionalKey(Schema.Boolean),
  capacity: Schema.optionalKey(Schema.Int),
  content: Schema.optionalKey(Content),
  neighbors: Schema.optionalKey(Schema.Boolean),
  hash: Schema.optionalKey(Schema.String),
  ticket: Schema.optionalKey(Schema.String),
  format: Schema.optionalKey(Schema.Literals(["raw", "hashSeq"])),
  path: Schema.optionalKey(Schema.String),
  doc: Schema.optionalKey(Schema.String),
  author: Schema.optionalKey(Schema.String),
  secret: Schema.optionalKey(Schema.String),
  key: Schema.optionalKey(Content),
  value: Schema.optionalKey(Content),
  prefix: Schema.optionalKey(Content),
  len: Schema.optionalKey(Schema.Int),
  timestamp: Schema.optionalKey(Schema.Int),
  signed: Schema.optionalKey(Schema.String),
  message: Schema.optionalKey(Schema.String),
  count: Schema.optionalKey(Schema.Int),
  size: Schema.optionalKey(Schema.Int),
  first: Schema.optionalKey(Schema.Int),
  nodes: Schema.optionalKey(Schema.Array(Address)),
  write: Schema.optionalKey(Schema.Boolean),
  latest: Schema.optionalKey(Schema.Boolean),
  byKey: Schema.optionalKey(Schema.Boolean),
  descending: Schema.optionalKey(Schema.Boolean),
  empty: Schema.optionalKey(Schema.Boolean),
  limit: Schema.optionalKey(Schema.Int),
  offset: Schema.optionalKey(Schema.Int),
  only: Schema.optionalKey(Schema.Array(Content)),
  except: Schema.optionalKey(Schema.Array(Content)),
  from: Schema.optionalKey(Schema.Union([Address, Schema.Array(Address)]))
})
export type Request = typeof Request.Type

/** A field that the command needs. */
export const need = <A>(value: A | undefined, name: string): A => {
  if (value === undefined) throw new Error(`${name} is missing`)
  return value
}

export const bytesOf = (content: typeof Content.Type): Uint8Array => {
  if (typeof content === "string") return new TextEncoder().encode(content)
  if ("hex" in content) return Uint8Array.from(Buffer.from(content.hex, "hex"))
  return Uint8Array.from({ length: content.size }, (_, i) => (i + (content.seed ?? 0)) % 251)
}

export const addressOf = (address: typeof Address.Type): NodeAddr.NodeAddr =>
  typeof address === "string"
    ? NodeAddr.parse(address)
    : NodeAddr.make(EndpointId.parse(address.id), address.addrs ?? [], address.relays?.[0])

/** How bytes are shown: their size, up to 64 KiB of them in hex, and their text where they are UTF-8. */
export const show = (bytes: Uint8Array): Record<string, unknown> => {
  if (bytes.length > 65_536) return { size: bytes.length }
  const hex = Buffer.from(bytes).toString("hex")
  try {
    return { size: bytes.length, hex, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) }
  } catch {
    return { size: bytes.length, hex }
  }
}
