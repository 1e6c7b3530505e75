/** Modules generated from contracts whose names and texts are meant to be taken for code. */
import * as ClientModule from "@aster-effect/cli/ClientModule"
import * as Contract from "@aster-effect/core/contract/Contract"
import { ContractError } from "@aster-effect/core/contract/ContractError"
import * as Manifest from "@aster-effect/core/contract/Manifest"
import * as ManifestDescription from "@aster-effect/core/contract/ManifestDescription"
import { ManifestError } from "@aster-effect/core/contract/ManifestError"
import * as Wire from "@aster-effect/core/message/Wire"
import type { EnumType, ServiceDescription, StructType, WireType } from "@aster-effect/core/message/WireType"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs/promises"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { sandbox } from "./Sandbox.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))

const CODE = "globalThis.taken = true"

const hostile: ReadonlyArray<string> = [
  `"); ${CODE}; ("`,
  `'); ${CODE}; ('`,
  `\`\${${CODE}}\``,
  `*/ ${CODE} /*`,
  `a\n${CODE} //`,
  `a\r${CODE} //`,
  `a\u2028${CODE} //`,
  `\\"); ${CODE}; //`,
  `/* ${CODE}`,
  `// ${CODE}`,
  `\u202e${CODE}\u202c`,
  "\u001b]0;title\u0007\u009b2J",
  "../../../etc/passwd",
  "..\\..\\x",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "then",
  "default",
  "class",
  "any",
  "string",
  "object",
  "globalThis",
  "undefined",
  "Wire",
  "a b",
  "1st",
  "𝒳𝒴",
  "\ud800",
  ""
]

class Message extends Wire.Class<Message>("ns/Message")({
  first: Wire.String.pipe(Wire.withDefault("a default")),
  kind: Wire.Enum("ns/Kind", { ONE: "one", TWO: "two" }),
  more: Wire.List(Wire.String)
}) {}

const Plain = Service.make("Plain", { description: "what it is for" }).add(
  Rpc.unary("first", { request: Message, response: Message, description: "what it does", deprecated: "use another" })
)

/** Changes of one name or text each. */
interface Change {
  readonly service?: string
  readonly method?: string
  readonly field?: string
  readonly message?: string
  readonly namespace?: string
  readonly member?: string
  readonly fallback?: string
  readonly description?: string
  readonly deprecated?: string
}

const places = [
  "service",
  "method",
  "field",
  "message",
  "namespace",
  "member",
  "fallback",
  "description",
  "deprecated"
] as const satisfies ReadonlyArray<keyof Change>

const named = <T extends EnumType | StructType>(type: T, { message, namespace }: Change): T["name"] => {
  const to = { name: message ?? type.name.name, namespace: namespace ?? type.name.namespace }
  const tag = `${to.namespace}/${to.name}`
  return { ...type.name, ...to, tag, qualifiedName: tag.replaceAll("/", ".") }
}

const changedType = (type: WireType, change: Change): WireType => {
  switch (type._tag) {
    case "Struct":
      return {
        ...type,
        name: named(type, change),
        fields: () =>
          type.fields().map((field, i) => ({
            ...field,
            ...(i === 0 && change.field !== undefined ? { name: change.field } : {}),
            ...(i === 0 && change.fallback !== undefined ? { defaultValue: { value: change.fallback } } : {}),
            ...(change.description === undefined ? {} : { description: change.description }),
            type: changedType(field.type, { namespace: change.namespace, member: change.member } as Change)
          }))
      }
    case "Enum":
      return {
        ...type,
        name: named(type, change),
        members: type.members.map((member, i) =>
          i === 0 && change.member !== undefined ? { ...member, name: change.member, value: change.member } : member
        )
      }
    default:
      return type
  }
}

const changed = (change: Change, version: number): ServiceDescription => ({
  ...Plain.description,
  version,
  ...(change.service === undefined ? {} : { name: change.service }),
  ...(change.description === undefined ? {} : { description: change.description }),
  ...(change.deprecated === undefined ? {} : { deprecated: change.deprecated }),
  methods: Plain.description.methods.map((method) => ({
    ...method,
    ...(change.method === undefined ? {} : { name: change.method }),
    ...(change.description === undefined ? {} : { description: change.description }),
    ...(change.deprecated === undefined ? {} : { deprecated: change.deprecated }),
    request: changedType(method.request, change),
    response: changedType(method.response, change)
  }))
})

/** The manifest of a description, as a producer could publish it; undefined when it is refused, saying why. */
const manifestOf = (description: ServiceDescription): string | undefined => {
  try {
    const manifest = Manifest.encode(
      Manifest.fromDescription(description, Contract.fromDescription(description), { wireTypes: true })
    )
    const described = ManifestDescription.describe(Manifest.parse(manifest))
    return ClientModule.problemOf(described.description) === undefined ? manifest : undefined
  } catch (error) {
    if (error instanceof ManifestError || error instanceof ContractError) return undefined
    throw error
  }
}

describe("a generated client", () => {
  it.live("is a module that compiles and does nothing, whatever a contract's names are", () =>
    Effect.gen(function* () {
      const cases = places.flatMap((place) => hostile.map((text) => ({ place, text })))
      const taken: Array<string> = []
      const manifests = cases.flatMap(({ place, text }, i) => {
        const manifest = manifestOf(changed({ [place]: text }, i + 1))
        if (manifest !== undefined) taken.push(place)
        return manifest ?? []
      })
      // Texts are free, so at least those get as far as the generator.
      for (const place of ["description", "deprecated", "fallback"]) {
        assert.isAbove(taken.filter((each) => each === place).length, 20, place)
      }
      const { aster, file, list, write } = yield* sandbox()
      const nameless = changed({ service: "" }, 1)
      const contract = Contract.fromDescription(nameless)
      yield* write("nameless.json", Manifest.encode(Manifest.fromDescription(nameless, contract, { wireTypes: true })))
      const refused = yield* aster("contract gen-client nameless.json --out client.ts")
      assert.strictEqual(refused.code, 1)
      assert.include(refused.err, "no definition can have the contract's names")
      assert.notInclude(yield* list("."), "client.ts")
      yield* Effect.promise(() => fs.symlink(`${root}node_modules`, file("node_modules")))
      yield* write("m.json", `[${manifests.join(",")}]`)
      const { code, err } = yield* aster("contract gen-client m.json --out client.ts")
      assert.deepStrictEqual([code, err], [0, ""])
      const text = yield* Effect.promise(() => fs.readFile(file("client.ts"), "utf8"))
      // Nothing that shows as something else than it is.
      assert.notMatch(text.replaceAll("\n", ""), /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u)
      yield* write("package.json", '{"type":"module"}')
      const base = JSON.stringify(`${root}tsconfig.base.json`)
      yield* write(
        "tsconfig.json",
        `{"extends":${base},"compilerOptions":{"noEmit":true,"composite":false,"declarationMap":false},"files":["client.ts"]}`
      )
      const tsc = `${root}node_modules/.bin/tsc`
      yield* Effect.promise(() =>
        promisify(execFile)(tsc, ["--project", file("tsconfig.json")]).catch((error: { readonly stdout: string }) =>
          assert.fail(error.stdout)
        )
      )
      const module: Readonly<Record<string, unknown>> = yield* Effect.promise(
        () => import(pathToFileURL(file("client.ts")).href)
      )
      assert.isFalse("taken" in globalThis)
      assert.isFalse("taken" in Object.prototype)
      const made = Object.values(module).filter(
        (value): value is Service.Any => typeof value === "object" && value !== null && "contract" in value
      )
      assert.sameMembers(
        made.map(({ contract }) => contract.contractId),
        manifests.map((manifest) => Manifest.parse(manifest).contractId)
      )
    })
  )
})
