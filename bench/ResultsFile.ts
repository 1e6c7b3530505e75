/** The file of results: one section per program that measures, each written by that program alone. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"

/** The sections, in their order. */
const names = ["calls", "scaleNative", "scaleNumber0", "interceptors", "features", "blobs", "gossip", "docs"] as const

/** A section of the file. */
export type Section = (typeof names)[number]

const marker = (name: Section) => `<!-- ${name} -->\n`

/** The sections of a page by name. */
const sections = (page: string): Map<string, string> => {
  const parts = page.split(/^<!-- (\w+) -->\n/m)
  return new Map(parts.flatMap((name, i) => (i % 2 === 1 ? [[name, parts[i + 1]!] as const] : [])))
}

/** Writes one section of the file at `path`; the others stay as they are. */
export const writeSection = (path: string, name: Section, text: string): void => {
  const all = sections(existsSync(path) ? readFileSync(path, "utf8") : "")
  all.set(name, `${text.trimEnd()}\n`)
  const page = names.flatMap((each) => (all.has(each) ? [marker(each) + all.get(each)!.trimEnd()] : []))
  writeFileSync(path, `${page.join("\n\n")}\n`)
}
