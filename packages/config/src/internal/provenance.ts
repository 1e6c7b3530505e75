import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import type { Origin } from "../AsterConfigError.ts"
import { type Field, fieldByName } from "./fields.ts"

/** One place settings come from; `load` paths are `[field name]`. */
export interface SettingSource {
  readonly kind: "inline" | "environment" | "file"
  readonly label: (field: Field<unknown>) => string
  readonly origin: (field: Field<unknown>) => Origin
  readonly provider: ConfigProvider.ConfigProvider
}

/**
 * The sources as one provider, strongest first, that notes who answered. Only the source is noted, never the value. An
 * empty text of a field whose empty means "unset" does not count as an answer.
 */
export const withProvenance = (sources: ReadonlyArray<SettingSource>) => {
  const answered = new Map<string, SettingSource>()
  const provider = ConfigProvider.make(
    Effect.fnUntraced(function* (path: ConfigProvider.Path) {
      const name = String(path[0])
      const field = fieldByName.get(name)
      if (field === undefined) return undefined
      for (const source of sources) {
        const text = (yield* source.provider.load(path))?.value
        if (text === undefined || (field.empty === "unset" && text.trim() === "")) continue
        answered.set(name, source)
        return ConfigProvider.makeValue(text)
      }
      return undefined
    })
  )
  return { provider, sourceOf: (name: string) => answered.get(name) }
}

/** Environment variables under the field names, surrounding whitespace removed. */
export const environmentSource = (environment: ConfigProvider.ConfigProvider): SettingSource => ({
  kind: "environment",
  label: ({ variable }) => variable,
  origin: ({ variable }) => ({ variable }),
  provider: ConfigProvider.make((path) => {
    const field = fieldByName.get(String(path[0]))
    return field === undefined
      ? Effect.succeed(undefined)
      : environment
          .load([field.variable])
          .pipe(
            Effect.map((node) => (node?.value === undefined ? undefined : ConfigProvider.makeValue(node.value.trim())))
          )
  })
})

/** Texts by field name. */
export const textSource = (
  texts: ReadonlyMap<string, string>,
  source: Omit<SettingSource, "provider">
): SettingSource => ({
  ...source,
  provider: ConfigProvider.make((path) => {
    const text = texts.get(String(path[0]))
    return Effect.succeed(text === undefined ? undefined : ConfigProvider.makeValue(text))
  })
})
