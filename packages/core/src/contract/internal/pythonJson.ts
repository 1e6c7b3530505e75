/** JSON as Python's `json.dumps` writes it: ASCII only, and numbers in Python's spelling. */
import { floatText, numberText } from "./pythonNumber.ts"

/** A number that is a float in Python, and so is written with a fraction even when it is whole. */
export class PythonFloat {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

/** Objects are lists of members, so that their order is plain to see. */
export type PythonJson =
  | null
  | boolean
  | string
  | number
  | bigint
  | PythonFloat
  | ReadonlyArray<PythonJson>
  | { readonly members: ReadonlyArray<readonly [key: string, value: PythonJson]> }

/** `indent` spaces per level, every member and element on a line of its own; without it no white space at all. */
export const pythonJson = (value: PythonJson, indent?: number): string => write(value, indent, "\n")

const write = (value: PythonJson, indent: number | undefined, lineStart: string): string => {
  if (value === null || typeof value === "boolean" || typeof value === "bigint") return String(value)
  if (typeof value === "string") return asciiString(value)
  if (typeof value === "number") return numberText(value)
  if (value instanceof PythonFloat) return floatText(value.value)
  const inner = indent === undefined ? "" : lineStart + " ".repeat(indent)
  const outer = indent === undefined ? "" : lineStart
  const enclose = (open: string, parts: ReadonlyArray<string>, close: string): string =>
    parts.length === 0 ? open + close : open + inner + parts.join(`,${inner}`) + outer + close
  if ("members" in value) {
    const colon = indent === undefined ? ":" : ": "
    const member = ([key, item]: readonly [string, PythonJson]) => asciiString(key) + colon + write(item, indent, inner)
    return enclose("{", value.members.map(member), "}")
  }
  const item = (item: PythonJson) => write(item, indent, inner)
  return enclose("[", value.map(item), "]")
}

const asciiString = (text: string): string =>
  JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
