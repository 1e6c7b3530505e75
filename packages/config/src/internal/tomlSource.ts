import * as Result from "effect/Result"
import { AsterConfigError, describeOrigin, type Origin } from "../AsterConfigError.ts"
import type { SettingName } from "../Settings.ts"
import { isTable, kindOf, originOf, type Table, type TomlDocument } from "../TomlDocument.ts"
import { fieldNames, fields } from "./fields.ts"
import { suggestion } from "./nearest.ts"

/** A TOML file's settings as text by field name, and what to tell the user about the rest. */
export interface TomlSettings {
  readonly texts: ReadonlyMap<string, string>
  readonly warnings: ReadonlyArray<string>
}

const bySection = (() => {
  const sections = new Map<string, Map<string, SettingName>>()
  for (const name of fieldNames) {
    const { toml } = fields[name]
    if (toml === undefined) continue
    const keys = sections.get(toml.section) ?? new Map<string, SettingName>()
    sections.set(toml.section, keys.set(toml.key, name))
  }
  return sections
})()

const expectations = {
  boolean: "a TOML boolean (true or false, without quotation marks)",
  integer: "a TOML integer, not negative",
  string: "a TOML string"
} as const

const fits = (type: keyof typeof expectations, value: unknown): boolean =>
  type === "integer" ? Number.isSafeInteger(value) && Number(value) >= 0 : typeof value === type

/** The section that knows a key. */
const homeOf = (key: string): string | undefined => [...bySection].find(([, keys]) => keys.has(key))?.[0]

/**
 * What to say about something unknown: as a warning, or as an error where it seems to be about trust, since a setting
 * that does not count would silently leave a gate open.
 */
const reported = (origin: Origin, detail: string, about: ReadonlyArray<string>): AsterConfigError | string =>
  about.includes("trust")
    ? new AsterConfigError({ reason: "UnknownKey", origin, detail })
    : `${describeOrigin(origin)}: ${detail}`

const unknownKey = (origin: Origin, section: string, key: string): AsterConfigError | string => {
  const home = homeOf(key)
  const known = [...(bySection.get(section) ?? bySection).keys()]
  const detail = `unknown key${home === undefined ? suggestion(key, known) : `; it belongs into [${home}]`}`
  return reported(origin, detail, [section, home ?? ""])
}

const unknownSection = (document: TomlDocument, section: string, value: unknown): AsterConfigError | string => {
  if (!isTable(value)) return unknownKey(originOf(document, "", section), "", section)
  const detail = `unknown section${suggestion(section, [...bySection.keys()])}`
  return reported(
    originOf(document, section),
    detail,
    Object.keys(value).map((key) => homeOf(key) ?? "")
  )
}

/** "an integer" is no explanation for why an integer was not taken. */
const got = (type: keyof typeof expectations, value: unknown): string =>
  type === "integer" && Number.isSafeInteger(value) ? "a negative one" : kindOf(value)

const readSection = (
  document: TomlDocument,
  section: string,
  table: Table,
  keys: ReadonlyMap<string, SettingName>,
  texts: Map<string, string>,
  warnings: Array<string>
): AsterConfigError | undefined => {
  for (const [key, value] of Object.entries(table)) {
    const origin = originOf(document, section, key)
    const name = keys.get(key)
    if (name === undefined) {
      const problem = unknownKey(origin, section, key)
      if (typeof problem !== "string") return problem
      warnings.push(problem)
      continue
    }
    const type = fields[name].toml?.type ?? "string"
    if (!fits(type, value)) {
      const detail = `expected ${expectations[type]}, got ${got(type, value)}`
      return new AsterConfigError({ reason: "InvalidValue", origin, detail })
    }
    texts.set(fields[name].name, String(value))
  }
  return undefined
}

/** Checks sections, keys and TOML types. Unknown keys are warnings, but errors in `[trust]` or where they belong there. */
export const readSettings = (document: TomlDocument): Result.Result<TomlSettings, AsterConfigError> => {
  const texts = new Map<string, string>()
  const warnings: Array<string> = []
  for (const [section, table] of Object.entries(document.root)) {
    const keys = bySection.get(section)
    if (keys === undefined) {
      const problem = unknownSection(document, section, table)
      if (typeof problem !== "string") return Result.fail(problem)
      warnings.push(problem)
      continue
    }
    if (!isTable(table)) {
      const detail = `expected a table, got ${kindOf(table)}`
      const origin = originOf(document, "", section)
      return Result.fail(new AsterConfigError({ reason: "InvalidValue", origin, detail }))
    }
    const problem = readSection(document, section, table, keys, texts, warnings)
    if (problem !== undefined) return Result.fail(problem)
  }
  return Result.succeed({ texts, warnings })
}
