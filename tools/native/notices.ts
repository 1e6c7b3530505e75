/**
 * The licences of what is linked into an addon: `node notices.ts > THIRD-PARTY-LICENSES.md`. The texts are those that the
 * crates carry; a crate without one is listed with its licence's name and its repository.
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
  readonly license: string
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
    .map(({ license, manifest_path, name, repository, version }) => ({
      title: `${name} ${version}`,
      license: `${license ?? "see the text"}${repository === null ? "" : `, ${repository}`}`,
      texts: texts(dirname(manifest_path))
    }))
    .toSorted((a, b) => (a.title < b.title ? -1 : 1))
}

const texts = (folder: string): ReadonlyArray<string> =>
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

/** The page: each text once, with all who carry it. */
export const notices = (target?: string): string => {
  const crates = linked(target)
  const carriers = new Map<string, Array<string>>()
  for (const { texts, title } of crates) {
    for (const text of texts) carriers.set(text, [...(carriers.get(text) ?? []), title])
  }
  const list = crates.map(({ license, title }) => `- ${title}: ${license}`)
  const full = [...carriers].map(([text, titles]) => `## ${titles.join(", ")}\n\n\`\`\`text\n${text}\n\`\`\``)
  return ["# What is linked into this addon", list.join("\n"), ...full].join("\n\n") + "\n"
}

if (import.meta.main) process.stdout.write(notices(process.argv[2]))
