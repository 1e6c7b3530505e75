/**
 * The names of the classes and enumerations of a service, by which XLANG tells them apart.
 *
 * @since 0.1.0
 */
import type { WireType } from "./WireType.ts"

/**
 * A name that two different classes or enumerations of these messages have, undefined when there is none. A class and its
 * subclass have the same name.
 *
 * @since 0.1.0
 */
export const repeated = (messages: ReadonlyArray<WireType>): string | undefined => {
  const named = new Map<string, WireType>()
  const pending = [...messages]
  for (let type = pending.pop(); type !== undefined; type = pending.pop()) {
    switch (type._tag) {
      case "List":
      case "Set":
        pending.push(type.element)
        break
      case "Map":
        pending.push(type.key, type.value)
        break
      case "Optional":
        pending.push(type.of)
        break
      case "Enum":
      case "Struct": {
        const { name, namespace } = type.name
        const full = namespace === "" ? name : `${namespace}/${name}`
        const known = named.get(full)
        if (known === type) break
        if (known !== undefined) return full
        named.set(full, type)
        if (type._tag === "Struct") pending.push(...type.fields().map((field) => field.type))
      }
    }
  }
  return undefined
}
