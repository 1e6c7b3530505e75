/**
 * `.aster-identity`: a node's secret key and the credentials it was enrolled with, as TOML.
 *
 * ```toml
 * [node]
 * secret_key = "<base64 of 32 bytes>"
 * endpoint_id = "<64 hex>"
 *
 * [[peers]]
 * name = "billing-producer"
 * role = "producer"
 * type = "policy"
 * root_pubkey = "<64 hex>"
 * endpoint_id = "<64 hex>"
 * expires_at = 4102444800
 * signature = "<128 hex>"
 * attributes = { "aster.role" = "producer" }
 * ```
 *
 * Each `[[peers]]` entry is a credential; `name` and `role` label it and are not signed. Reading checks every field and
 * that the endpoint id belongs to the key. Signatures are the trust package's business.
 *
 * @since 0.1.0
 */
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { AsterConfigError } from "./AsterConfigError.ts"
import * as AtomicFile from "./AtomicFile.ts"
import * as BoundedFile from "./BoundedFile.ts"
import type { FileError } from "./FileError.ts"
import { parseSecretKey } from "./internal/parseSecretKey.ts"
import * as RootPublicKey from "./RootPublicKey.ts"
import { type TomlDocument, isTable, kindOf, originOf, parse as parseToml, type Table } from "./TomlDocument.ts"
import * as TomlEdit from "./TomlEdit.ts"
import { assignment, isNested, lines, valueText } from "./TomlText.ts"

/** Which side a credential is for. @since 0.1.0 */
export type EntryRole = "producer" | "consumer"

/**
 * One `[[peers]]` entry. Hex fields are lower case; `expiresAt` is in whole seconds since the Unix epoch. `attributes`
 * are those of the file, which 0.1.2 writes incompletely (see `CredentialFile` of the trust package).
 *
 * @since 0.1.0
 */
export interface IdentityEntry {
  readonly name: string | undefined
  readonly role: EntryRole
  readonly type: "policy" | "ott"
  readonly rootPubkey: RootPublicKey.RootPublicKey
  readonly endpointId: string | undefined
  readonly expiresAt: number
  readonly nonce: string | undefined
  /** A credential that is bound to no node is as good as a password. */
  readonly signature: Redacted.Redacted<string>
  readonly attributes: ReadonlyMap<string, string>
  /** Keys this version does not know, kept when the file is rewritten. */
  readonly extra: Table
}

/** The `[node]` table: the key, and the endpoint id that belongs to it. @since 0.1.0 */
export interface Node {
  readonly secretKey: SecretKey.SecretKey
  readonly endpointId: string
  readonly extra: Table
}

/** A whole identity file. `extra` holds other top-level keys and tables, `published_services` among them. @since 0.1.0 */
export interface IdentityFile {
  readonly node: Node | undefined
  readonly peers: ReadonlyArray<IdentityEntry>
  readonly extra: Table
}

/** @since 0.1.0 */
export const empty: IdentityFile = { node: undefined, peers: [], extra: {} }

/** A node table for a key. @since 0.1.0 */
export const node = (secretKey: SecretKey.SecretKey): Node => ({
  secretKey,
  endpointId: SecretKey.toEndpointId(secretKey),
  extra: {}
})

const maxPeers = 1_000

const without = (table: Table, known: ReadonlyArray<string>): Table =>
  Object.fromEntries(Object.entries(table).filter(([key]) => !known.includes(key)))

/** Reads the fields of one table, failing with the place and the expectation. */
class TableReader {
  private readonly document: TomlDocument
  private readonly header: string
  private readonly index: number | undefined
  private readonly table: Table

  constructor(document: TomlDocument, header: string, table: Table, index?: number) {
    this.document = document
    this.header = header
    this.index = index
    this.table = table
  }

  refuse(reason: AsterConfigError["reason"], key: string | undefined, detail: string): never {
    throw new AsterConfigError({ reason, origin: originOf(this.document, this.header, key, this.index), detail })
  }

  optional(key: string): unknown {
    return this.table[key]
  }

  text(key: string): string {
    const value = this.table[key]
    if (value === undefined) return this.refuse("InvalidValue", key, "missing")
    return typeof value === "string"
      ? value
      : this.refuse("InvalidValue", key, `expected a string, got ${kindOf(value)}`)
  }

  optionalText(key: string): string | undefined {
    return this.table[key] === undefined ? undefined : this.text(key)
  }

  hex(key: string, length: number): string {
    const value = this.text(key)
    return new RegExp(`^[0-9a-fA-F]{${length}}$`).test(value)
      ? value.toLowerCase()
      : this.refuse("InvalidValue", key, `expected ${length} hex characters, got ${value.length} characters`)
  }

  /** Endpoint ids are compared and signed as text, so their case matters. */
  optionalEndpointId(key: string): string | undefined {
    const value = this.optionalText(key)
    return value === undefined || /^[0-9a-f]{64}$/.test(value)
      ? value
      : this.refuse("InvalidValue", key, "expected an endpoint id of 64 lower-case hex characters")
  }

  oneOf<const W extends string>(key: string, words: ReadonlyArray<W>, fallback?: W): W {
    const value = this.table[key] === undefined && fallback !== undefined ? fallback : this.text(key)
    return words.find((word) => word === value) ?? this.refuse("InvalidValue", key, `expected ${words.join(" or ")}`)
  }

  seconds(key: string): number {
    const value = this.table[key]
    return typeof value === "number" && Number.isSafeInteger(value) && value >= 0
      ? value
      : this.refuse("InvalidValue", key, "expected a whole number of seconds since the Unix epoch")
  }

  parsed<A>(key: string, result: Result.Result<A, string>): A {
    return Result.isSuccess(result) ? result.success : this.refuse("InvalidValue", key, result.failure)
  }

  strings(key: string): ReadonlyMap<string, string> {
    const value = this.table[key]
    if (value === undefined) return new Map()
    if (!isTable(value)) return this.refuse("InvalidValue", key, `expected a table of strings, got ${kindOf(value)}`)
    return new Map(
      Object.entries(value).map(([name, text]) =>
        typeof text === "string"
          ? [name, text]
          : this.refuse("InvalidValue", key, `expected a string for "${name}", got ${kindOf(text)}`)
      )
    )
  }
}

const readNode = (document: TomlDocument): Node | undefined => {
  const table = document.root["node"]
  if (table === undefined) return undefined
  const reader = new TableReader(document, "node", isTable(table) ? table : {})
  if (!isTable(table)) return reader.refuse("InvalidValue", undefined, `expected a table, got ${kindOf(table)}`)
  if (table["secret_key"] === undefined) return undefined
  const secretKey = reader.parsed("secret_key", parseSecretKey(reader.text("secret_key")))
  const endpointId = SecretKey.toEndpointId(secretKey)
  const stated = reader.optionalEndpointId("endpoint_id")
  if (stated !== undefined && stated !== endpointId) {
    reader.refuse("EndpointMismatch", "endpoint_id", `the secret key's endpoint id is ${endpointId}, not ${stated}`)
  }
  return { secretKey, endpointId, extra: without(table, ["secret_key", "endpoint_id"]) }
}

const entryKeys = [
  "name",
  "role",
  "type",
  "root_pubkey",
  "endpoint_id",
  "expires_at",
  "nonce",
  "signature",
  "attributes"
]

const readEntry = (document: TomlDocument, table: unknown, index: number): IdentityEntry => {
  const reader = new TableReader(document, "peers", isTable(table) ? table : {}, index)
  if (!isTable(table)) return reader.refuse("InvalidValue", undefined, `expected a table, got ${kindOf(table)}`)
  return {
    name: reader.optionalText("name"),
    role: reader.oneOf("role", ["producer", "consumer"]),
    type: reader.oneOf("type", ["policy", "ott"], "policy"),
    rootPubkey: reader.parsed("root_pubkey", RootPublicKey.fromHex(reader.text("root_pubkey"))),
    endpointId: reader.optionalEndpointId("endpoint_id"),
    expiresAt: reader.seconds("expires_at"),
    nonce: reader.optional("nonce") === undefined ? undefined : reader.hex("nonce", 64),
    signature: Redacted.make(reader.hex("signature", 128), { label: "signature" }),
    attributes: reader.strings("attributes"),
    extra: without(table, entryKeys)
  }
}

const readEntries = (document: TomlDocument): ReadonlyArray<IdentityEntry> => {
  const peers = document.root["peers"] ?? []
  const reader = new TableReader(document, "peers", {}, 0)
  if (!Array.isArray(peers)) {
    return reader.refuse("InvalidValue", undefined, `expected [[peers]] tables, got ${kindOf(peers)}`)
  }
  if (peers.length > maxPeers) reader.refuse("InvalidValue", undefined, `more than ${maxPeers} entries`)
  return peers.map((peer, index) => readEntry(document, peer, index))
}

/**
 * Parses the text of an identity file; `file` is the name errors carry. Fails with `InvalidToml`, `InvalidValue` or
 * `EndpointMismatch`.
 *
 * @since 0.1.0
 */
export const parse = (text: string, file: string): Result.Result<IdentityFile, AsterConfigError> =>
  Result.flatMap(parseToml(file, text), (document) => {
    try {
      return Result.succeed({
        node: readNode(document),
        peers: readEntries(document),
        extra: without(document.root, ["node", "peers"])
      })
    } catch (cause) {
      if (cause instanceof AsterConfigError) return Result.fail(cause)
      throw cause
    }
  })

/** `{ "aster.name" = "x", "aster.role" = "a,b" }`: the shape and order 0.1.2 writes attributes in. */
const attributesText = (attributes: ReadonlyMap<string, string>): string =>
  `{ ${[...attributes]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${valueText(key)} = ${valueText(value)}`)
    .join(", ")} }`

const entryLines = (peer: IdentityEntry): ReadonlyArray<string> => {
  const fields: ReadonlyArray<readonly [string, unknown]> = [
    ["name", peer.name],
    ["role", peer.role],
    ["type", peer.type],
    ["root_pubkey", peer.rootPubkey],
    ["endpoint_id", peer.endpointId],
    ["expires_at", peer.expiresAt],
    ["nonce", peer.nonce],
    ["signature", Redacted.value(peer.signature)]
  ]
  return [
    "[[peers]]",
    ...fields.filter(([, value]) => value !== undefined).map(([key, value]) => assignment(key, value)),
    ...(peer.attributes.size === 0 ? [] : [`attributes = ${attributesText(peer.attributes)}`]),
    ...Object.entries(peer.extra).map(([key, value]) => assignment(key, value)),
    ""
  ]
}

const nodeLines = (node: Node): ReadonlyArray<string> => [
  "[node]",
  assignment("secret_key", SecretKey.toBase64(node.secretKey)),
  assignment("endpoint_id", node.endpointId),
  ...Object.entries(node.extra).map(([key, value]) => assignment(key, value)),
  ""
]

/**
 * The text of a new file: everything escaped, all attributes written (the signature covers the complete set), unknown
 * keys kept. For a file that is there see `edit`.
 *
 * @since 0.1.0
 */
export const format = (identity: IdentityFile): string => {
  const entries = Object.entries(identity.extra)
  return [
    "# .aster-identity -- generated by `aster enroll node`",
    "",
    ...lines(Object.fromEntries(entries.filter(([, value]) => !isNested(value)))),
    ...(identity.node === undefined ? [] : nodeLines(identity.node)),
    ...identity.peers.flatMap(entryLines),
    ...lines(Object.fromEntries(entries.filter(([, value]) => isNested(value)))),
    ""
  ].join("\n")
}

/** Adds an entry; one with the same name is replaced and moves to the end. @since 0.1.0 */
export const withEntry = (identity: IdentityFile, peer: IdentityEntry): IdentityFile => ({
  ...identity,
  peers: [...identity.peers.filter(({ name }) => name === undefined || name !== peer.name), peer]
})

/** What `select` looks for. @since 0.1.0 */
export interface Selection {
  /** The role the node is about to play. */
  readonly role: EntryRole
  /** The entry's `name`; the first entry with the role when absent. */
  readonly peer?: string | undefined
  /** The file's name, for errors. */
  readonly file: string
}

/**
 * The entry to use: the named one, else the first with the role, else none. An unknown name fails with `UnknownPeer`
 * and the list of names, a named entry of the other role with `WrongRole`.
 *
 * @since 0.1.0
 */
export const select = (
  identity: IdentityFile,
  { file, peer, role }: Selection
): Result.Result<IdentityEntry | undefined, AsterConfigError> => {
  if (peer === undefined) return Result.succeed(identity.peers.find((entry) => entry.role === role))
  const named = identity.peers.filter((entry) => entry.name === peer)
  const origin = { file, table: "[[peers]]", key: "name" }
  if (named[0] === undefined) {
    const names = identity.peers.flatMap(({ name }) => (name === undefined ? [] : [`"${name}"`]))
    const known = names.length === 0 ? "the file names none" : `known names: ${names.join(", ")}`
    return Result.fail(
      new AsterConfigError({ reason: "UnknownPeer", origin, detail: `no entry named "${peer}"; ${known}` })
    )
  }
  if (named[0].role !== role) {
    const detail = `"${peer}" has role "${named[0].role}", and this node needs an entry with role "${role}"`
    return Result.fail(new AsterConfigError({ reason: "WrongRole", origin, detail }))
  }
  return Result.succeed(named[0])
}

/** A file that was read: where, and who else has a hand on it. @since 0.1.0 */
export interface Loaded extends BoundedFile.Hands {
  readonly path: string
  readonly identity: IdentityFile
}

/** Reads and parses an identity file. @since 0.1.0 */
export const read = Effect.fn("IdentityFile.read")(function* (
  path: string
): Effect.fn.Return<Loaded, AsterConfigError | FileError> {
  const { text, ...hands } = yield* BoundedFile.read(path)
  const identity = yield* Effect.fromResult(parse(text, path))
  return { path, identity, ...hands }
})

/** Replaces an identity file atomically, mode 0600. @since 0.1.0 */
export const write = (path: string, identity: IdentityFile): Effect.Effect<void, FileError> =>
  AtomicFile.write(path, format(identity))

/** What a document of this identity says. */
const tables = (identity: IdentityFile): Result.Result<Table, AsterConfigError> =>
  Result.map(parseToml("(identity)", format(identity)), ({ root }) => root)

/** Where the `[[peers]]` entries are among the sections, each with the tables inside it. */
const entryPlaces = (all: ReadonlyArray<TomlEdit.Section>): ReadonlyArray<readonly [start: number, end: number]> =>
  all.flatMap(({ array, path }, start) => {
    if (!array || path.length !== 1 || path[0] !== "peers") return []
    const end = all.findIndex((section, i) => i > start && (section.path[0] !== "peers" || section.path.length === 1))
    return [[start, end === -1 ? all.length : end]]
  })

/**
 * The text of a file in which `before` became `after`: what is the same stays as it stands, comments included. Entries may
 * have been removed, changed and added, and a node added.
 *
 * @param text the file's, from which `before` was read; empty when there is none
 * @since 0.1.0
 */
export const edit = (
  file: string,
  text: string,
  before: IdentityFile,
  after: IdentityFile
): Result.Result<string, AsterConfigError> => {
  if (text.trim() === "") return Result.succeed(format(after))
  const all = TomlEdit.sections(text)
  const places = entryPlaces(all)
  // What there was keeps its lines; what is new or changed gets lines of its own. All are in the order of `after`.
  const chunks = after.peers.map((entry) => {
    const place = places[before.peers.indexOf(entry)]
    return place === undefined ? TomlEdit.sections(entryLines(entry).join("\n")).slice(1) : all.slice(...place)
  })
  const node = after.node === before.node ? undefined : after.node
  const hasTable = all.some(isNodeTable)
  const kept = all.flatMap((section, i) => {
    const at = places.findIndex(([start, end]) => start <= i && i < end)
    if (at !== -1) return places[at]?.[0] === i ? (chunks[at] ?? []) : []
    if (node === undefined || !isNodeTable(section)) return [section]
    const keyed = TomlEdit.withKey(section, "secret_key", SecretKey.toBase64(node.secretKey))
    return [TomlEdit.withKey(keyed, "endpoint_id", node.endpointId)]
  })
  const lines = [
    ...(node === undefined || hasTable ? [] : nodeLines(node)),
    ...chunks.slice(places.length).flatMap((chunk) => TomlEdit.join(chunk).split("\n"))
  ]
  return Result.flatMap(tables(after), (expected) => TomlEdit.changed(file, TomlEdit.withLines(kept, lines), expected))
}

const isNodeTable = ({ array, path }: TomlEdit.Section): boolean => !array && path.length === 1 && path[0] === "node"
