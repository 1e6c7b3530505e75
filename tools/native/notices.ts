/**
 * The licences of what is linked into an addon: `node notices.ts > THIRD-PARTY-LICENSES.md`. The texts are those that the
 * crates carry, or that of MIT; another crate without one is listed with its licence's name and its repository.
 */
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { crate } from "./cargo.ts"

interface Package {
  readonly id: string
  readonly name: string
  readonly version: string
  readonly license: string | null
  readonly authors: ReadonlyArray<string>
  readonly repository: string | null
  readonly manifest_path: string
}

interface Metadata {
  readonly packages: ReadonlyArray<Package>
  readonly resolve: {
    readonly root: string
    readonly nodes: ReadonlyArray<{
      readonly id: string
      readonly deps: ReadonlyArray<{
        readonly pkg: string
        readonly dep_kinds: ReadonlyArray<{ readonly kind: string | null }>
      }>
    }>
  }
}

/** A crate and the texts of its licences. */
export interface Linked {
  readonly title: string
  /** An SPDX expression. */
  readonly license: string | undefined
  readonly repository: string | undefined
  readonly texts: ReadonlyArray<string>
}

/** Everything that the addon is made of, but for itself; of one target, or of all. */
export const linked = (target?: string): ReadonlyArray<Linked> => {
  const filter = target === undefined ? [] : ["--filter-platform", target]
  const { packages, resolve } = JSON.parse(
    execFileSync("cargo", ["metadata", "--locked", "--format-version", "1", ...filter], {
      cwd: crate,
      encoding: "utf8",
      maxBuffer: 1 << 28
    })
  ) as Metadata
  const needed = new Set<string>()
  const visit = (id: string): void => {
    if (needed.has(id)) return
    needed.add(id)
    for (const { dep_kinds, pkg } of resolve.nodes.find((node) => node.id === id)?.deps ?? []) {
      if (dep_kinds.some(({ kind }) => kind === null)) visit(pkg)
    }
  }
  visit(resolve.root)
  return packages
    .filter(({ id }) => needed.has(id) && id !== resolve.root)
    .map(({ authors, license, manifest_path, name, repository, version }) => ({
      title: `${name} ${version}`,
      license: license ?? undefined,
      repository: repository ?? undefined,
      texts: textsOf(dirname(manifest_path), license ?? "", authors.join(", ") || `the authors of ${name}`)
    }))
    .toSorted((a, b) => (a.title < b.title ? -1 : 1))
}

/** Those that a crate carries. One under MIT that has none gets its licence's text: that has to be with every copy. */
const textsOf = (folder: string, license: string, authors: string): ReadonlyArray<string> => {
  const carried = textsIn(folder)
  const isMit = carried.length === 0 && license.split(/[^\w.-]+/).includes("MIT")
  return isMit ? [`Copyright (c) ${authors}\n\n${mit}`] : carried
}

/** https://spdx.org/licenses/MIT.html */
const mit = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`

const textsIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder)
    .filter((name) => /^(licen[cs]e|copying|notice|unlicense)/i.test(name))
    .toSorted()
    .flatMap((name) => {
      try {
        return readFileSync(join(folder, name), "utf8").trim()
      } catch {
        return [] // a folder
      }
    })

/** The crates with their licences, a line each. */
export const list = (crates: ReadonlyArray<Linked>): string =>
  crates
    .map(({ license = "see the text", repository, title }) =>
      [`- ${title}: ${license}`, ...(repository === undefined ? [] : [repository])].join(", ")
    )
    .join("\n")

/** The page: each text once, with all who carry it. */
export const notices = (target?: string): string => {
  const crates = linked(target)
  const carriers = new Map<string, Array<string>>()
  for (const { texts, title } of crates) {
    for (const text of texts) carriers.set(text, [...(carriers.get(text) ?? []), title])
  }
  const full = [...carriers].map(([text, titles]) => `## ${titles.join(", ")}\n\n\`\`\`text\n${text}\n\`\`\``)
  return ["# What is linked into this addon", list(crates), ...full].join("\n\n") + "\n"
}

if (import.meta.main) process.stdout.write(notices(process.argv[2]))
