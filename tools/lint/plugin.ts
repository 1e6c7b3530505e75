/** The project's own rules for oxlint. */
import { readFileSync } from "node:fs"
import * as path from "node:path"
import { refusal } from "./refusal.ts"

/** As much of a node of ESTree as the rules below look at. */
interface Node {
  readonly source: { readonly value: unknown } | null
}

/** As much of the linter as they use. */
interface Context {
  readonly physicalFilename: string
  readonly report: (problem: { readonly node: object; readonly message: string }) => void
}

const root = path.resolve(import.meta.dirname, "../..")

const manifests = new Map<string, ReadonlySet<string>>()

/** The dependencies that the manifest of a package declares for those who install it. */
const declaredBy = (name: string): ReadonlySet<string> => {
  const known = manifests.get(name)
  if (known !== undefined) return known
  const manifest = JSON.parse(readFileSync(path.join(root, "packages", name, "package.json"), "utf8")) as Readonly<
    Record<string, Readonly<Record<string, string>> | undefined>
  >
  const declared = new Set(
    ["dependencies", "peerDependencies", "optionalDependencies"].flatMap((kind) => Object.keys(manifest[kind] ?? {}))
  )
  manifests.set(name, declared)
  return declared
}

/** Imports go the way that `layers.ts` allows, and to what a package's manifest declares. */
const layers = {
  create: (context: Context) => {
    const file = path.relative(root, context.physicalFilename).split(path.sep).join("/")
    const [top, name = "", folder] = file.split("/")
    const declared = top === "packages" && folder === "src" ? declaredBy(name) : undefined
    const check = ({ source }: Node) => {
      if (typeof source?.value !== "string") return
      const message = refusal(file, source.value, declared)
      if (message !== undefined) context.report({ node: source, message })
    }
    return {
      ImportDeclaration: check,
      ExportAllDeclaration: check,
      ExportNamedDeclaration: check,
      ImportExpression: check,
      TSImportType: check
    }
  }
}

export default { meta: { name: "aster" }, rules: { layers } }
