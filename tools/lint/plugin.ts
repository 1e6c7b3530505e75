/** The project's own rules for oxlint. */
import { readFileSync } from "node:fs"
import * as path from "node:path"
import { refusal } from "./refusal.ts"

/** As much of a node of ESTree as the rules below look at. */
interface Node {
  readonly source: { readonly value: unknown } | null
}

/** As much of what is exported: a class, function or type, or a constant. */
interface Declaration {
  readonly id?: { readonly name?: string }
  readonly declarations?: ReadonlyArray<{ readonly id: { readonly name?: string } }>
}

/** As much of a comment as they look at: without its delimiters. */
interface Comment {
  readonly type: string
  readonly value: string
}

/** As much of the linter as they use. */
interface Context {
  readonly physicalFilename: string
  readonly report: (problem: { readonly node: object; readonly message: string }) => void
  readonly sourceCode: {
    readonly getAllComments: () => ReadonlyArray<Comment>
    readonly getCommentsBefore: (node: object) => ReadonlyArray<Comment>
  }
}

/** The file that is read, relative to the root. */
const fileOf = (context: Context): string => path.relative(root, context.physicalFilename).split(path.sep).join("/")

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
    const file = fileOf(context)
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

const isDoc = ({ type, value }: Comment): boolean => type === "Block" && value.startsWith("*")

/** What a module exports is described where it stands, and somebody says since when: it, or the head of the module. */
const documented = {
  create: (context: Context) => {
    if (!/^packages\/[\w-]+\/src\/(?!index\.ts$)(?!.*\b(internal|proto)\/)/.test(fileOf(context))) return {}
    const [head] = context.sourceCode.getAllComments()
    const dated = head !== undefined && isDoc(head) && head.value.includes("@since")
    const described = new Set<string>()
    return {
      ExportNamedDeclaration: (node: { readonly declaration: Declaration | null }) => {
        if (node.declaration === null) return
        const { declarations: [variable] = [], id = variable?.id } = node.declaration
        const name = id?.name ?? ""
        const doc = context.sourceCode.getCommentsBefore(node).findLast(isDoc)
        // Overloads and a type of the same name share one description.
        if (doc === undefined && described.has(name)) return
        described.add(name)
        const missing =
          doc === undefined ? "a doc comment" : dated || doc.value.includes("@since") ? undefined : "@since"
        if (missing !== undefined) context.report({ node, message: `What a door exports has ${missing}.` })
      }
    }
  }
}

/** A name, `Module.name`, or a call of either, as far as the rule on errors reads it. */
interface Expression {
  readonly type: string
  readonly name?: string
  readonly callee?: Expression
  readonly object?: Expression
  readonly property?: Expression
}

/** What a class is made from: `Schema.TaggedError` for `Schema.TaggedError<X>()("X", {})`. */
const nameOf = (expression: Expression | null | undefined): string =>
  expression?.callee !== undefined
    ? nameOf(expression.callee)
    : expression?.property !== undefined
      ? `${nameOf(expression.object)}.${nameOf(expression.property)}`
      : (expression?.name ?? "")

const isDoor = (file: string): boolean => /^packages\/[\w-]+\/src\//.test(file) && !/\/(internal|proto)\//.test(file)

interface ImportNode {
  readonly importKind?: string
  readonly source: { readonly value: string }
  readonly specifiers: ReadonlyArray<{
    readonly type: string
    readonly importKind?: string
    readonly imported?: { readonly name: string }
  }>
}

/**
 * What an Effect fails with is a `Schema.TaggedError`, and `Data.TaggedError` where errors are made per stream and never
 * travel. Plain subclasses of `Error` are for code without effects.
 */
const errors = {
  create: (context: Context) => {
    const file = fileOf(context)
    if (!isDoor(file)) return {}
    let effects = false
    return {
      ImportDeclaration: ({ importKind, source }: ImportNode) => {
        if (source.value === "effect/Effect" && importKind !== "type") effects = true
      },
      ExportNamedDeclaration: (node: {
        readonly declaration: { readonly type: string; readonly superClass?: Expression | null } | null
      }) => {
        const base = nameOf(node.declaration?.superClass)
        const message =
          base === "Data.TaggedError" && file.startsWith("packages/iroh")
            ? undefined
            : effectErrors.has(base)
              ? "What an Effect fails with is a Schema.TaggedError."
              : effects && plainErrors.has(base)
                ? "Code with effects fails with a Schema.TaggedError; plain errors are for code without."
                : undefined
        if (message !== undefined) context.report({ node, message })
      }
    }
  }
}

const effectErrors = new Set(["TaggedError", "Data.TaggedError", "Data.Error", "Schema.ErrorClass"])
const plainErrors = new Set(["Error", "TypeError", "RangeError", "SyntaxError"])

/** Functions of effect are called by the name of their module, apart from those of `Function`, which are about none. */
const namespaces = {
  create: (context: Context) => ({
    ImportDeclaration: (node: ImportNode) => {
      const from = node.source.value
      if (node.importKind === "type" || !from.startsWith("effect/") || from === "effect/Function") return
      const named = node.specifiers.find(
        ({ imported, importKind, type }) =>
          type === "ImportSpecifier" && importKind !== "type" && /^[a-z]/.test(imported?.name ?? "")
      )
      if (named === undefined) return
      context.report({ node, message: `import * as ${from.split("/").at(-1)} from "${from}"` })
    }
  })
}

export default { meta: { name: "aster" }, rules: { layers, documented, errors, namespaces } }
