/**
 * Services in modules, named as `MODULE:EXPORT`: a JavaScript or TypeScript file, or an installed package, and the name
 * under which it exports a `Service` value.
 *
 * @since 0.1.0
 */
import type * as Service from "@aster-effect/core/service/Service"
import * as fs from "node:fs/promises"
import { createRequire } from "node:module"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import * as Effect from "effect/Effect"
import { type CliFailure, refused } from "./CliFailure.ts"
import { Locations, resolve } from "./Locations.ts"

/** Services are known by their shape: the module may have another copy of the library. */
const isService = (value: unknown): value is Service.Any =>
  typeof value === "object" &&
  value !== null &&
  "name" in value &&
  typeof value.name === "string" &&
  "version" in value &&
  typeof value.version === "number" &&
  "methods" in value &&
  Array.isArray(value.methods) &&
  "description" in value &&
  "contract" in value

/** The file a module name stands for: a path from the working directory, else a package installed there. */
const locate = async (locations: Locations, module: string): Promise<string> => {
  const file = resolve(locations, module)
  const isFile = await fs.stat(file).then(
    (stat) => stat.isFile(),
    () => false
  )
  return isFile ? file : createRequire(path.join(locations.directory, "_.js")).resolve(module)
}

const importModule = async (locations: Locations, module: string): Promise<Readonly<Record<string, unknown>>> =>
  import(pathToFileURL(await locate(locations, module)).href)

const problemOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** Imports the module, which runs its code, and takes the service. @since 0.1.0 */
export const load = Effect.fn("ServiceModule.load")(function* (
  spec: string
): Effect.fn.Return<Service.Any, CliFailure> {
  const at = spec.lastIndexOf(":")
  const module = spec.slice(0, Math.max(at, 0))
  const name = spec.slice(at + 1)
  if (module === "" || name === "") {
    return yield* refused(`"${spec}": expected MODULE:EXPORT, for example ./services.js:TaskRunner`)
  }
  const locations = yield* Locations
  const exports = yield* Effect.tryPromise({
    try: () => importModule(locations, module),
    catch: (cause) => refused(`cannot import ${module}: ${problemOf(cause)}`)
  })
  const value = exports[name]
  if (isService(value)) return value
  const services = Object.keys(exports).filter((key) => isService(exports[key]))
  const known = services.length === 0 ? "it exports no service" : `its services: ${services.join(", ")}`
  return yield* refused(`${module} exports no service under the name ${name}; ${known}`)
})
