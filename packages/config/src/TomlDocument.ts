/**
 * TOML files as they are read: with the places of their keys, for errors that say where to look.
 *
 * @since 0.1.0
 */
import * as Toml from "effect/encoding/Toml"
import * as Result from "effect/Result"
import { AsterConfigError, type Origin } from "./AsterConfigError.ts"

/** A TOML table; a parsed one has no prototype, so every key is data. @since 0.1.0 */
export type Table = Readonly<Record<string, unknown>>

/** @since 0.1.0 */
export interface TomlDocument {
  readonly file: string
  readonly text: string
  readonly root: Table
}

/** @since 0.1.0 */
export const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)

/** What a value is, in the words of a TOML user. @since 0.1.0 */
export const kindOf = (value: unknown): string => {
  if (Array.isArray(value)) return "an array"
  if (value instanceof Date) return "a date"
  if (typeof value === "boolean") return "a boolean"
  if (typeof value === "string") return "a string"
  if (typeof value === "number") return Number.isInteger(value) ? "an integer" : "a float"
  return "a table"
}

/** Parses a document; `file` is the name errors carry. Errors quote no values, which may be secret. @since 0.1.0 */
export const parse = (file: string, text: string): Result.Result<TomlDocument, AsterConfigError> =>
  Result.mapBoth(Toml.parse(text), {
    onSuccess: (root): TomlDocument => ({ file, text, root }),
    onFailure: ({ message }) => {
      const place = / at line (\d+), column (\d+)$/.exec(message)
      const origin: Origin = place === null ? { file } : { file, line: Number(place[1]), column: Number(place[2]) }
      // The parser quotes bare values, and a secret that lost its quotation marks is one.
      const problem = message
        .slice(0, place?.index)
        .replace(/^(Invalid value|Invalid date-time|Integer out of range) .*$/s, "$1")
      return new AsterConfigError({ reason: "InvalidToml", origin, detail: `not valid TOML: ${problem}` })
    }
  })

const bare = (name: string): string => name.replaceAll(/["'\s]/g, "")

/**
 * The line of `key` in the `index`-th table headed by `header`, else the header's line; an empty header is the top of the
 * document. The parser keeps no positions, so this looks for the lines people write; unusual layouts answer `undefined`
 * rather than a wrong line.
 */
const lineOf = (text: string, header: string, index: number, key: string | undefined): number | undefined => {
  let seen = -1
  let headerLine = header === "" ? 0 : undefined
  for (const [at, line] of text.split("\n").entries()) {
    const heading = /^\s*\[\[?([^\]]+)\]/.exec(line)
    if (heading !== null) {
      if (headerLine !== undefined) break
      if (bare(heading[1] ?? "") === header && ++seen === index) headerLine = at + 1
    } else if (headerLine !== undefined && key !== undefined) {
      const assigned = /^\s*("[^"]*"|'[^']*'|[\w-]+)\s*=/.exec(line)
      if (assigned !== null && bare(assigned[1] ?? "") === key) return at + 1
    }
  }
  return headerLine === 0 ? undefined : headerLine
}

/**
 * Where a key of a table stands; an empty header is the top of the document, and `index` counts tables of the same header,
 * for `[[arrays of tables]]`.
 *
 * @since 0.1.0
 */
export const originOf = (document: TomlDocument, header: string, key?: string, index?: number): Origin => {
  const line = lineOf(document.text, header, index ?? 0, key)
  return {
    file: document.file,
    ...(line === undefined ? {} : { line }),
    ...(header === "" ? {} : { table: index === undefined ? `[${header}]` : `[[${header}]]` }),
    ...(key === undefined ? {} : { key })
  }
}
