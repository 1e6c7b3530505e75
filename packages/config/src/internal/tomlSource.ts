import { Result } from "effect"
import { AsterConfigError, describeOrigin } from "../AsterConfigError.ts"
import type { SettingName } from "../Settings.ts"
import { fieldNames, fields } from "./fields.ts"
import { suggestion } from "./nearest.ts"
import { isTable, kindOf, originOf, type Table, type TomlDocument } from "./tomlDocument.ts"

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
      const detail = `unknown key${suggestion(key, [...keys.keys()])}`
      // A misspelt trust setting would silently leave a gate open.
      if (section === "trust") return new AsterConfigError({ reason: "UnknownKey", origin, detail })
      warnings.push(`${describeOrigin(origin)}: ${detail}`)
      continue
    }
    const type = fields[name].toml?.type ?? "string"
    if (!fits(type, value)) {
      const detail = `expected ${expectations[type]}, got ${kindOf(value)}`
      return new AsterConfigError({ reason: "InvalidValue", origin, detail })
    }
    texts.set(fields[name].name, String(value))
  }
  return undefined
}

/** Checks sections, keys and TOML types. Unknown keys are warnings, in `[trust]` errors. */
export const readSettings = (document: TomlDocument): Result.Result<TomlSettings, AsterConfigError> => {
  const texts = new Map<string, string>()
  const warnings: Array<string> = []
  for (const [section, table] of Object.entries(document.root)) {
    const keys = bySection.get(section)
    if (keys === undefined) {
      const place = describeOrigin(originOf(document, section))
      warnings.push(`${place}: unknown section${suggestion(section, [...bySection.keys()])}`)
      continue
    }
    if (!isTable(table)) {
      const detail = `expected a table, got ${kindOf(table)}`
      return Result.fail(new AsterConfigError({ reason: "InvalidValue", origin: originOf(document, section), detail }))
    }
    const problem = readSection(document, section, table, keys, texts, warnings)
    if (problem !== undefined) return Result.fail(problem)
  }
  return Result.succeed({ texts, warnings })
}
