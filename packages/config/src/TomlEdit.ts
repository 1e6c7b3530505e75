/**
 * TOML files as they are changed: by line, so that comments, layout and values that nobody here knows stay as they are.
 *
 * This knows where keys and headers are, and nothing of what values mean. Whoever edits parses the outcome and compares
 * it with what was wanted before it is written, see `changed`.
 *
 * @since 0.1.0
 */
import { isDeepStrictEqual } from "node:util"
import * as Result from "effect/Result"
import { AsterConfigError } from "./AsterConfigError.ts"
import { parse, type Table } from "./TomlDocument.ts"
import { assignment } from "./TomlText.ts"

/** The lines under one header, the header first; those before the first header have an empty path. @since 0.1.0 */
export interface Section {
  readonly path: ReadonlyArray<string>
  /** Headed by `[[...]]`: one element of an array of tables. */
  readonly array: boolean
  readonly lines: ReadonlyArray<string>
}

type Delimiter = '"' | "'" | '"""' | "'''"

/** Where a reader of TOML stands at the end of a line: within a string that goes on, and within how many brackets. */
interface Position {
  readonly delimiter: Delimiter | undefined
  readonly depth: number
}

const outside: Position = { delimiter: undefined, depth: 0 }

/** Reads on to the end of the line; `comment` is where a comment begins, else the line's length. */
const readLine = (line: string, start: Position, from = 0): Position & { readonly comment: number } => {
  let { delimiter, depth } = start
  let i = from
  while (i < line.length) {
    if (delimiter !== undefined) {
      if (delimiter.startsWith('"') && line[i] === "\\") i += 2
      else if (line.startsWith(delimiter, i)) {
        i += delimiter.length
        // Up to two quotation marks may stand before the closing three.
        while (delimiter.length === 3 && line[i] === delimiter[0]) i++
        delimiter = undefined
      } else i++
      continue
    }
    const c = line[i]
    if (c === "#") return { delimiter, depth, comment: i }
    if (c === '"' || c === "'") {
      delimiter = line.startsWith(c.repeat(3), i) ? (c === '"' ? '"""' : "'''") : c
      i += delimiter.length
      continue
    }
    if (c === "[" || c === "{") depth++
    else if (c === "]" || c === "}") depth--
    i++
  }
  // A string on one line that does not end is a mistake that parsing finds.
  return { delimiter: delimiter?.length === 3 ? delimiter : undefined, depth, comment: line.length }
}

const keyPart = /\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*/y

/** The parts of a dotted key, and where it ends; undefined for escapes and other mistakes, which match nothing. */
const readKey = (text: string, from: number): { readonly path: ReadonlyArray<string>; readonly end: number } => {
  const path: Array<string> = []
  let end = from
  do {
    if (path.length > 0) end++
    keyPart.lastIndex = end
    const part = keyPart.exec(text)
    if (part === null) return { path: [], end }
    path.push(part[1] ?? part[2] ?? part[3] ?? "")
    end = keyPart.lastIndex
  } while (text[end] === ".")
  return { path, end }
}

/** Takes a text apart; `join` puts it together again, byte by byte. @since 0.1.0 */
export const sections = (text: string): ReadonlyArray<Section> => {
  const found: Array<Section & { readonly lines: Array<string> }> = [{ path: [], array: false, lines: [] }]
  let position = outside
  for (const line of text.split("\n")) {
    const isHeader = position.delimiter === undefined && position.depth === 0 && /^\s*\[/.test(line)
    if (isHeader) {
      const array = /^\s*\[\[/.test(line)
      const { path } = readKey(line, line.indexOf("[") + (array ? 2 : 1))
      found.push({ path, array, lines: [] })
    }
    found.at(-1)?.lines.push(line)
    position = isHeader ? outside : readLine(line, position)
  }
  return found
}

/** @since 0.1.0 */
export const join = (parts: ReadonlyArray<Section>): string => parts.flatMap(({ lines }) => lines).join("\n")

/** Whether a section is that of a table, or of one inside it. @since 0.1.0 */
export const isWithin = ({ path }: Section, table: ReadonlyArray<string>): boolean =>
  table.every((part, i) => path[i] === part) && path.length >= table.length

/** The lines `[first, after)` of an assignment. */
const assigned = (lines: ReadonlyArray<string>, key: string): readonly [first: number, after: number] | undefined => {
  let position = outside
  let first: number | undefined
  for (const [i, line] of lines.entries()) {
    const isStart = position.delimiter === undefined && position.depth === 0
    if (isStart && !/^\s*\[/.test(line)) {
      const { end, path } = readKey(line, 0)
      if (path.length === 1 && path[0] === key && line[end] === "=") first = i
    }
    position = isStart && /^\s*\[/.test(line) ? outside : readLine(line, position)
    if (first !== undefined && position.delimiter === undefined && position.depth === 0) return [first, i + 1]
  }
  return undefined
}

/** The section with a key set: in its place, with its comment, or as the last one. @since 0.1.0 */
export const withKey = (section: Section, key: string, value: unknown): Section => {
  const { lines } = section
  const place = assigned(lines, key)
  if (place !== undefined) {
    const [first, after] = place
    const line = lines[first] ?? ""
    const comment = after === first + 1 ? line.slice(readLine(line, outside).comment) : ""
    const indent = /^\s*/.exec(line)?.[0] ?? ""
    const next = `${indent}${assignment(key, value)}${comment === "" ? (line.endsWith("\r") ? "\r" : "") : ` ${comment}`}`
    return { ...section, lines: [...lines.slice(0, first), next, ...lines.slice(after)] }
  }
  const last = lines.findLastIndex((line) => line.trim() !== "") + 1
  return { ...section, lines: [...lines.slice(0, last), assignment(key, value), ...lines.slice(last)] }
}

/** Sections with more lines after them, an empty line in between. @since 0.1.0 */
export const withLines = (parts: ReadonlyArray<Section>, lines: ReadonlyArray<string>): ReadonlyArray<Section> => {
  const kept = join(parts).replace(/\s+$/, "")
  return sections([...(kept === "" ? [] : [kept, ""]), ...lines].join("\n"))
}

/**
 * The edited text, if it says what it is to say: parsed, it has to be `expected`. Fails with `InvalidValue` for layouts
 * that this cannot edit, such as tables written as dotted keys, and then nothing is to be written.
 *
 * @since 0.1.0
 */
export const changed = (
  file: string,
  parts: ReadonlyArray<Section>,
  expected: Table
): Result.Result<string, AsterConfigError> => {
  const text = `${join(parts).replace(/\s+$/, "")}\n`
  const outcome = Result.map(parse(file, text), ({ root }) => root)
  if (Result.isSuccess(outcome) && isDeepStrictEqual(plain(outcome.success), plain(expected))) {
    return Result.succeed(text)
  }
  const detail =
    "it cannot be changed without changing what else it says: write its tables under headers of their own, like " +
    "[profiles.name] and [[peers]]"
  return Result.fail(new AsterConfigError({ reason: "InvalidValue", origin: { file }, detail }))
}

/** Parsed tables have no prototype, and absent keys are as good as undefined ones. */
const plain = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== "object" || value === null || value instanceof Date) return value
  return new Map(Object.entries(value).flatMap(([key, inner]) => (inner === undefined ? [] : [[key, plain(inner)]])))
}
