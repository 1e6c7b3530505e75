/** What the layers say about one import: pure, on paths relative to the root of the project. */
import * as path from "node:path/posix"
import { areas, packages, rooms } from "./layers.ts"

const scope = "@aster-effect/"

/** Where a file is: in a package, in a folder beside the packages, or anywhere else. */
type Place =
  | { readonly kind: "package"; readonly name: string; readonly inside: ReadonlyArray<string> }
  | { readonly kind: "area"; readonly name: string }

const placeOf = (file: string): Place => {
  const [top = "", name = "", ...inside] = file.split("/")
  return top === "packages" ? { kind: "package", name, inside } : { kind: "area", name: top }
}

/** The folder whose own an `internal` folder is: `src/call` for `src/call/internal/x.ts`. */
const closedTo = (inside: ReadonlyArray<string>): string | undefined => {
  const at = inside.lastIndexOf("internal", inside.length - 2)
  return at < 0 ? undefined : inside.slice(0, at).join("/")
}

const isDoor = (inside: ReadonlyArray<string>): boolean => !inside.includes("internal") && !inside.includes("proto")

/** The height of a module in its package, counted from the modules beside the rooms; undefined where there are none. */
const heightOf = (name: string, inside: ReadonlyArray<string>): number | undefined => {
  const order = rooms[name]
  if (order === undefined || inside[0] !== "src") return undefined
  if (inside.length === 2) return inside[1] === "index.ts" ? order.length + 1 : 0
  const room = order.indexOf(inside[1]!)
  return room < 0 ? undefined : room + 1
}

const withinPackage = (name: string, from: ReadonlyArray<string>, to: ReadonlyArray<string>): string | undefined => {
  const owner = closedTo(to)
  if (owner !== undefined && !from.join("/").startsWith(`${owner}/`))
    return `${owner}/internal is closed to ${from[1]}/.`
  const low = heightOf(name, from)
  const high = heightOf(name, to)
  return low !== undefined && high !== undefined && high > low
    ? `${from[1]} stands below ${to[1]} in ${name}: rooms are ${rooms[name]!.join(" < ")}.`
    : undefined
}

const betweenPackages = (from: string, to: string, inside: ReadonlyArray<string>): string | undefined => {
  const allowed = packages[from]
  if (allowed === undefined) return `${from} has no line in tools/lint/layers.ts.`
  if (!allowed.includes(to)) return `${from} does not import from ${to}: it may from ${allowed.join(", ") || "none"}.`
  return isDoor(inside) ? undefined : `proto/ and internal/ of ${to} are its own.`
}

/**
 * Why `specifier` may not be imported by `file` (a path relative to the root), or undefined where it may. `declared`
 * are the dependencies in the manifest of the file's package.
 */
export const refusal = (
  file: string,
  specifier: string,
  declared: ReadonlySet<string> | undefined
): string | undefined => {
  const from = placeOf(file)
  const relative = specifier.startsWith(".") || specifier.startsWith("/")
  if (!relative && !specifier.startsWith(scope)) {
    const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")
    return from.kind === "area" || declared === undefined || specifier.startsWith("node:") || declared.has(name)
      ? undefined
      : `${name} is not among the dependencies of ${from.name}.`
  }
  const [name = "", ...rest] = specifier.slice(scope.length).split("/")
  const target = relative
    ? path.join(path.dirname(file), specifier)
    : name in areas
      ? [name, ...rest].join("/")
      : ["packages", name, "src", ...rest].join("/")
  const to = placeOf(target)
  if (from.kind === "area") {
    if (to.kind === "area") {
      return from.name === to.name || (areas[from.name] ?? []).includes(to.name)
        ? undefined
        : `${from.name} does not import from ${to.name}.`
    }
    if (isDoor(to.inside)) return relative ? `Import ${to.name} by its name: ${scope}${to.name}/...` : undefined
    if (from.name !== "test") return `proto/ and internal/ of ${to.name} are its own: import a door.`
    return relative ? undefined : `What is no door of ${to.name} is not exported: import the file.`
  }
  if (to.kind === "area") return `Packages stand alone: ${from.name} does not import from ${to.name}.`
  if (from.name === to.name) {
    if (from.inside[0] !== "src" || relative) return withinPackage(from.name, from.inside, to.inside)
    return `Import modules of ${to.name} by relative path.`
  }
  return (
    betweenPackages(from.name, to.name, to.inside) ??
    (relative ? `Import ${to.name} by its name: ${scope}${to.name}/...` : undefined) ??
    (declared === undefined || declared.has(scope + to.name)
      ? undefined
      : `${scope}${to.name} is not among the dependencies of ${from.name}.`)
  )
}
