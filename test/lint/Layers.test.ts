import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { areas, packages, rooms } from "../../tools/lint/layers.ts"
import { lint } from "./lint.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))

/** An import, the file it stands in, and whether lint is to refuse it. */
interface Plant {
  readonly file: string
  readonly statement: (line: number) => string
  readonly refused: boolean
}

const names = Object.keys(packages)
const pairs = names.flatMap((from) => names.filter((to) => to !== from).map((to) => [from, to] as const))

/** Every way to write an import, as a line whose names no other line of its file has. */
const statements: ReadonlyArray<(specifier: string, line: number) => string> = [
  (specifier) => `import "${specifier}"`,
  (specifier) => `export * from "${specifier}"`,
  (specifier, line) => `export { x as x${line} } from "${specifier}"`,
  (specifier, line) => `export const x${line} = import("${specifier}")`,
  (specifier, line) => `export type X${line} = import("${specifier}").X`
]

const plant = (file: string, specifier: string, refused: boolean): ReadonlyArray<Plant> =>
  statements.map((statement) => ({ file, statement: (line) => statement(specifier, line), refused }))

const betweenPackages = pairs.flatMap(([from, to]) => {
  const file = `packages/${from}/src/Planted.ts`
  const refused = !packages[from]!.includes(to)
  return [
    ...plant(file, `@aster-effect/${to}`, refused),
    ...plant(file, `@aster-effect/${to}/Door`, refused),
    ...plant(file, `@aster-effect/${to}/room/Door`, refused),
    ...plant(file, `@aster-effect/${to}/internal/closed`, true),
    ...plant(file, `@aster-effect/${to}/proto/Logic`, true),
    ...plant(file, `@aster-effect/${to}/room/internal/closed`, true),
    ...plant(file, `../../${to}/src/Door.ts`, true),
    ...plant(`packages/${from}/src/room/deep/Planted.ts`, `../../../../${to}/src/Door.ts`, true)
  ]
})

const betweenRooms = Object.entries(rooms).flatMap(([name, order]) =>
  order.flatMap((from, low) => {
    const src = `packages/${name}/src`
    return [
      ...order.flatMap((to, high) => [
        ...plant(`${src}/${from}/Planted.ts`, `../${to}/Door.ts`, high > low),
        ...plant(`${src}/${from}/internal/planted.ts`, `../../${to}/Door.ts`, high > low),
        ...plant(`${src}/${from}/Planted.ts`, `../${to}/internal/closed.ts`, high !== low)
      ]),
      ...plant(`${src}/${from}/Planted.ts`, `../Beside.ts`, false),
      ...plant(`${src}/${from}/Planted.ts`, `../index.ts`, true),
      ...plant(`${src}/${from}/Planted.ts`, `@aster-effect/${name}/${from}/Door`, true),
      ...plant(`${src}/Beside.ts`, `./${from}/Door.ts`, true),
      ...plant(`${src}/index.ts`, `./${from}/Door.ts`, false)
    ]
  })
)

const fromAreas = Object.entries(areas).flatMap(([area, allowed]) => [
  ...names.flatMap((to) => [
    ...plant(`${area}/planted.ts`, `@aster-effect/${to}/Door`, false),
    ...plant(`${area}/planted.ts`, `@aster-effect/${to}/internal/closed`, true),
    ...plant(`${area}/planted.ts`, `@aster-effect/${to}/proto/Logic`, true),
    ...plant(`${area}/planted.ts`, `../packages/${to}/src/Door.ts`, true),
    ...plant(`${area}/planted.ts`, `../packages/${to}/src/internal/closed.ts`, area !== "test"),
    ...plant(`${area}/planted.ts`, `../packages/${to}/src/proto/Logic.ts`, area !== "test"),
    ...plant(`packages/${to}/src/Planted.ts`, `../../../${area}/Thing.ts`, true),
    ...plant(`packages/${to}/src/Planted.ts`, `@aster-effect/${area}/Thing`, true)
  ]),
  ...Object.keys(areas).flatMap((to) =>
    plant(`${area}/planted.ts`, `../${to}/Thing.ts`, area !== to && !allowed.includes(to))
  )
])

const dependencies = names.flatMap((name) => [
  ...plant(`packages/${name}/src/Planted.ts`, "declared/module", false),
  ...plant(`packages/${name}/src/Planted.ts`, "@declared/scoped", false),
  ...plant(`packages/${name}/src/Planted.ts`, "node:path", false),
  ...plant(`packages/${name}/src/Planted.ts`, "undeclared/module", true),
  ...plant(`packages/${name}/src/Planted.ts`, "@declared/other", true)
])

describe("the layers", () => {
  it("let through what they allow and refuse the rest, whichever way it is written", () => {
    const plants = [betweenPackages, betweenRooms, fromAreas, dependencies].flat()
    const files = Map.groupBy(plants, ({ file }) => file)
    const refused = lint(
      "layers",
      new Map([...files].map(([file, list]) => [file, list.map(({ statement }, index) => statement(index + 1))]))
    )
    const wrong = [...files].flatMap(([file, list]) =>
      list.flatMap((each, index) =>
        each.refused === refused.has(`${file}:${index + 1}`)
          ? []
          : [`${file}: ${each.statement(index + 1)} is ${each.refused ? "let through" : "refused"}`]
      )
    )
    assert.deepStrictEqual(wrong, [])
    assert.isAbove(plants.filter((each) => each.refused).length, 1000)
  })

  it("have no cycle", () => {
    const open = new Set<string>()
    const visit = (name: string): void => {
      assert.isFalse(open.has(name), `${name} imports from itself over ${[...open].join(", ")}`)
      open.add(name)
      for (const to of packages[name]!) visit(to)
      open.delete(name)
    }
    names.forEach(visit)
  })

  it.each(
    readdirSync(path.join(root, "packages")).filter((name) =>
      existsSync(path.join(root, "packages", name, "package.json"))
    )
  )("%s: its manifest and its references name what it may import from, and no more", (name) => {
    const allowed = packages[name]
    assert.isDefined(allowed, `${name} has no line in tools/lint/layers.ts`)
    const read = (file: string) => JSON.parse(readFileSync(path.join(root, "packages", name, file), "utf8"))
    const { dependencies = {} } = read("package.json") as { readonly dependencies?: Record<string, string> }
    const { references = [] } = read("tsconfig.json") as {
      readonly references?: ReadonlyArray<{ readonly path: string }>
    }
    const own = Object.keys(dependencies).filter((each) => each.startsWith("@aster-effect/"))
    for (const each of own) assert.include(allowed, each.slice("@aster-effect/".length))
    for (const each of references) assert.include(allowed, each.path.replace("../", ""))
  })
})
