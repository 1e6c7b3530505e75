import { isTable, type Table } from "./tomlDocument.ts"

const short: Readonly<Record<string, string>> = {
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\f": "\\f",
  "\r": "\\r",
  '"': '\\"',
  "\\": "\\\\"
}

const quote = (text: string): string =>
  `"${text.replaceAll(
    // oxlint-disable-next-line no-control-regex -- exactly the characters TOML wants escaped
    /[\u0000-\u001f"\\\u007f]/g,
    (c) => short[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`
  )}"`

const keyText = (key: string): string => (/^[A-Za-z0-9_-]+$/.test(key) ? key : quote(key))

const numberText = (value: number): string =>
  Number.isFinite(value) ? String(value) : Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf"

const inlineTable = (table: Table): string => {
  const pairs = Object.entries(table).map(([key, value]) => `${keyText(key)} = ${valueText(value)}`)
  return pairs.length === 0 ? "{}" : `{ ${pairs.join(", ")} }`
}

/** One value on one line. */
export const valueText = (value: unknown): string => {
  if (typeof value === "string") return quote(value)
  if (typeof value === "boolean") return String(value)
  if (typeof value === "number") return numberText(value)
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return `[${value.map(valueText).join(", ")}]`
  return isTable(value) ? inlineTable(value) : '""'
}

/** `{ "aster.name" = "x", "aster.role" = "a,b" }`: the shape and order 0.1.2 writes attributes in. */
export const attributesText = (attributes: ReadonlyMap<string, string>): string =>
  `{ ${[...attributes]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${quote(key)} = ${quote(value)}`)
    .join(", ")} }`

/** `key = value`. */
export const assignment = (key: string, value: unknown): string => `${keyText(key)} = ${valueText(value)}`

/** Whether a value gets headers of its own instead of a line. */
export const isNested = (value: unknown): value is Table | ReadonlyArray<Table> => isTable(value) || isTableArray(value)

const isTableArray = (value: unknown): value is ReadonlyArray<Table> =>
  Array.isArray(value) && value.length > 0 && value.every(isTable)

/** A table with its own header (the root, at the empty path, has none), then its sub-tables; an empty line after each. */
export const tableLines = (path: ReadonlyArray<string>, table: Table, brackets = ["[", "]"]): ReadonlyArray<string> => {
  const entries = Object.entries(table)
  const plain = entries.filter(([, value]) => !isNested(value))
  const [open, close] = brackets
  const header = `${open}${path.map(keyText).join(".")}${close}`
  // A table that only holds tables needs no header of its own.
  const own =
    path.length > 0 && (plain.length > 0 || entries.length === 0 || open === "[[")
      ? [header, ...plain.map(([key, value]) => assignment(key, value)), ""]
      : []
  const nested = entries.flatMap(([key, value]) => {
    if (isTableArray(value)) return value.flatMap((item) => tableLines([...path, key], item, ["[[", "]]"]))
    return isTable(value) ? tableLines([...path, key], value) : []
  })
  return [...own, ...nested]
}
