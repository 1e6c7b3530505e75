/**
 * TOML files as they are written: everything is escaped, so that no value can become a key or a table.
 *
 * @since 0.1.0
 */
import { isTable, type Table } from "./TomlDocument.ts"

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

/** One value on one line. @since 0.1.0 */
export const valueText = (value: unknown): string => {
  if (typeof value === "string") return quote(value)
  if (typeof value === "boolean") return String(value)
  if (typeof value === "number") return numberText(value)
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return `[${value.map(valueText).join(", ")}]`
  return isTable(value) ? inlineTable(value) : '""'
}

/** `key = value`. @since 0.1.0 */
export const assignment = (key: string, value: unknown): string => `${keyText(key)} = ${valueText(value)}`

/** Whether a value gets headers of its own instead of a line. @since 0.1.0 */
export const isNested = (value: unknown): value is Table | ReadonlyArray<Table> => isTable(value) || isTableArray(value)

const isTableArray = (value: unknown): value is ReadonlyArray<Table> =>
  Array.isArray(value) && value.length > 0 && value.every(isTable)

/** A table under its own header, of which the root has none, then its sub-tables; an empty line after each. */
const tableLines = (path: ReadonlyArray<string>, table: Table, brackets = ["[", "]"]): ReadonlyArray<string> => {
  const entries = Object.entries(table)
  const plain = entries.filter(([, value]) => !isNested(value))
  const [open, close] = brackets
  const header = path.length === 0 ? [] : [`${open}${path.map(keyText).join(".")}${close}`]
  // A table that only holds tables needs no header of its own.
  const isShown = plain.length > 0 || open === "[[" || (entries.length === 0 && path.length > 0)
  const own = isShown ? [...header, ...plain.map(([key, value]) => assignment(key, value)), ""] : []
  const nested = entries.flatMap(([key, value]) => {
    if (isTableArray(value)) return value.flatMap((item) => tableLines([...path, key], item, ["[[", "]]"]))
    return isTable(value) ? tableLines([...path, key], value) : []
  })
  return [...own, ...nested]
}

/**
 * A table's values, then the tables in it under their headers; an empty line after each.
 *
 * @since 0.1.0
 */
export const lines = (table: Table): ReadonlyArray<string> => tableLines([], table)

/** The text of a document. @since 0.1.0 */
export const format = (table: Table): string => lines(table).join("\n")
