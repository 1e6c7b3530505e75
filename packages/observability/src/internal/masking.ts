import * as Redacted from "effect/Redacted"

/** Names of secrets (Aster configuration, logging); what stands under them is not printed at all. */
const secrets: ReadonlySet<string> = new Set([
  "secret_key",
  "private_key",
  "signing_key",
  "root_privkey",
  "signature",
  "credential_json",
  "iid_token",
  "enrollment_token",
  "password",
  "token",
  "auth",
  "authorization",
  "credential"
])

/** Names of ids, of which the ends are printed. */
const ids: ReadonlySet<string> = new Set(["root_pubkey", "endpoint_id", "node_id", "peer", "nonce", "contract_id"])

/** Longer texts of these are shortened. */
const SHORT = 12

/** How deep values are looked into. */
const MAX_DEPTH = 6
const MAX_ENTRIES = 100
const MAX_TEXT = 8_192

const underName = (name: string, value: unknown, mask: boolean, depth: number): unknown => {
  if (mask && value !== null && value !== undefined) {
    const known = name.replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase()
    if (secrets.has(known)) return "***"
    if (ids.has(known) && typeof value === "string" && value.length > SHORT) {
      return `${value.slice(0, 8)}...${value.slice(-4)}`
    }
  }
  return plain(value, mask, depth)
}

/** A value as JSON has it: bounded, without bytes, and with the names of secrets looked for everywhere inside. */
const plain = (value: unknown, mask: boolean, depth: number): unknown => {
  if (typeof value === "string") return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}...` : value
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value)
  if (value === null || value === undefined || typeof value === "boolean") return value
  if (typeof value !== "object") return String(value)
  if (Redacted.isRedacted(value)) return String(value)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? String(value) : value.toISOString()
  if (value instanceof Error) return `${value.name}: ${value.message}`
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `<${value.byteLength} bytes>`
  if (depth >= MAX_DEPTH) return "..."
  if (Array.isArray(value) || value instanceof Set) {
    return [...value].slice(0, MAX_ENTRIES).map((inner) => plain(inner, mask, depth + 1))
  }
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  return Object.fromEntries(
    entries
      .slice(0, MAX_ENTRIES)
      .map(([name, inner]) => [String(name), underName(String(name), inner, mask, depth + 1)])
  )
}

/** Fields as they may be printed. */
export const maskedFields = (fields: ReadonlyMap<string, unknown>, mask: boolean): ReadonlyMap<string, unknown> =>
  new Map([...fields].map(([name, value]) => [name, underName(name, value, mask, 0)]))
