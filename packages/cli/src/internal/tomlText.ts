/** A TOML table as data. */
export type Table = Readonly<Record<string, unknown>>

export const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)

/** JSON escapes what TOML does, except for DEL. */
const quoted = (text: string): string => JSON.stringify(text).replaceAll("\u007f", "\\u007f")

const keyText = (key: string): string => (/^[A-Za-z0-9_-]+$/.test(key) ? key : quoted(key))

const numberText = (value: number): string =>
  Number.isFinite(value) ? String(value) : String(value).replace("NaN", "nan").replace("Infinity", "inf")

const valueText = (value: unknown): string => {
  if (typeof value === "string") return quoted(value)
  if (typeof value === "number") return numberText(value)
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return `[${value.map(valueText).join(", ")}]`
  if (!isTable(value)) return String(value)
  const pairs = Object.entries(value).map(([key, inner]) => `${keyText(key)} = ${valueText(inner)}`)
  return pairs.length === 0 ? "{}" : `{ ${pairs.join(", ")} }`
}

/** The text of a document: values first, then a header for every table; arrays of tables are written in one line. */
export const tomlText = (table: Table, path: ReadonlyArray<string> = []): string => {
  const entries = Object.entries(table)
  const values = entries.filter(([, value]) => !isTable(value))
  const tables = entries.flatMap(([key, value]) => (isTable(value) ? [tomlText(value, [...path, key])] : []))
  // A table that only holds tables needs no header of its own.
  const header =
    path.length === 0 || (values.length === 0 && tables.length > 0) ? "" : `[${path.map(keyText).join(".")}]\n`
  const own = header + values.map(([key, value]) => `${keyText(key)} = ${valueText(value)}\n`).join("")
  return [own, ...tables].filter((text) => text !== "").join("\n")
}
