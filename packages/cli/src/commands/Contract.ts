/**
 * `aster contract gen|gen-client|inspect`: contracts of services.
 *
 * @since 0.1.0
 */
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import * as Contract from "@aster-effect/core/contract/Contract"
import * as Manifest from "@aster-effect/core/contract/Manifest"
import * as ManifestDescription from "@aster-effect/core/contract/ManifestDescription"
import { ManifestError } from "@aster-effect/core/contract/ManifestError"
import type * as Service from "@aster-effect/core/service/Service"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as ClientModule from "../ClientModule.ts"
import { type CliFailure, refused } from "../CliFailure.ts"
import { contractLines, type Described } from "../internal/contractText.ts"
import * as flags from "../internal/flags.ts"
import { printable } from "../internal/printable.ts"
import { profileHint } from "../internal/profileHint.ts"
import * as sourceRevision from "../internal/sourceRevision.ts"
import { Locations, resolve } from "../Locations.ts"
import * as Progress from "../Progress.ts"
import * as ServiceModule from "../ServiceModule.ts"

const defaultManifest = ".aster/manifest.json"

/** Computing a contract can fail: names and versions have rules. */
const manifestOf = (service: Service.Any, postponed: boolean): Effect.Effect<Manifest.Manifest, CliFailure> =>
  Effect.try({
    try: () =>
      Manifest.fromDescription(
        service.description,
        postponed ? Contract.fromDescription(service.description, { postponedAnnotations: true }) : service.contract,
        { wireTypes: true }
      ),
    catch: (cause) => refused(`service ${service.name}: ${cause instanceof Error ? cause.message : String(cause)}`)
  })

/** One object for one service, an array for several. */
const manifestText = (manifests: ReadonlyArray<Manifest.Manifest>): string => {
  const texts = manifests.map(Manifest.encode)
  return texts.length === 1 ? `${texts[0]}` : `[\n${texts.map((text) => text.replaceAll(/^/gm, "  ")).join(",\n")}\n]`
}

const writeFile = (file: string, text: string): Effect.Effect<void, CliFailure> =>
  Effect.tryPromise({
    try: async () => {
      await fs.mkdir(path.dirname(file), { recursive: true })
      await fs.writeFile(file, text)
    },
    catch: (cause) => refused(`cannot write ${file}: ${cause instanceof Error ? cause.message : String(cause)}`)
  })

const postponed = Flag.Boolean("postponed-annotations").pipe(
  Flag.withDescription("The contract is that of Python modules with `from __future__ import annotations`"),
  Flag.withDefault(false)
)

const gen = Command.make(
  "gen",
  {
    services: Flag.String("service").pipe(
      Flag.withMetavar("module:export"),
      Flag.withDescription("A module (file or package) and the Service it exports; may be repeated"),
      Flag.atLeast(1)
    ),
    out: Flag.String("out").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("path"),
      Flag.withDescription(`Manifest file to write (default: ${defaultManifest})`),
      Flag.withDefault(defaultManifest)
    ),
    semver: Flag.String("semver").pipe(
      Flag.withMetavar("version"),
      Flag.withDescription("Release to note in the manifest; not part of the contract"),
      Flag.optional
    ),
    postponed
  },
  Effect.fn("aster contract gen")(function* ({ out, postponed, semver, services }) {
    const locations = yield* Locations
    const file = resolve(locations, out)
    const found = yield* Effect.forEach(services, (spec) =>
      Effect.flatMap(ServiceModule.load(spec), (service) => manifestOf(service, postponed))
    )
    const revision = yield* Progress.during("Asking git", sourceRevision.of(locations.directory))
    const manifests = found.map((manifest) => ({ ...manifest, ...revision, semver: Option.getOrNull(semver) }))
    yield* writeFile(file, `${manifestText(manifests)}\n`)
    yield* Console.log(`Manifest: ${file}`)
    for (const { contractId, methodCount, service, version } of manifests) {
      yield* Console.log(`  ${service} v${version}  contract_id=${contractId.slice(0, 16)}...  methods=${methodCount}`)
    }
  })
).pipe(
  Command.withDescription("Write the contract manifest of services"),
  Command.withExamples([
    { command: "aster contract gen --service ./services.js:TaskRunner", description: `Into ${defaultManifest}` }
  ])
)

const ofService = Effect.fnUntraced(function* (spec: string, postponed: boolean) {
  const service = yield* ServiceModule.load(spec)
  const manifest = yield* manifestOf(service, postponed)
  return [{ manifest, typeNames: new Map(service.contract.types.map(({ hash, name }) => [hash, name])) }]
})

const ofFile = Effect.fnUntraced(function* (
  file: string,
  text: string
): Effect.fn.Return<ReadonlyArray<Described>, CliFailure> {
  return yield* Effect.try({
    try: () => Manifest.parseList(text).map((manifest) => ({ manifest, typeNames: new Map<string, string>() })),
    catch: (cause) =>
      refused(`${file} is no contract manifest: ${cause instanceof ManifestError ? cause.message : String(cause)}`)
  })
})

const maxManifestBytes = 16_777_216

const inspect = Command.make(
  "inspect",
  {
    target: Argument.String("target").pipe(
      Argument.withDescription(`A manifest file, or MODULE:EXPORT (default: ${defaultManifest})`),
      Argument.withDefault(defaultManifest)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print the manifest as JSON"), Flag.withDefault(false)),
    postponed
  },
  Effect.fn("aster contract inspect")(function* ({ json, postponed, target }) {
    const read = yield* Effect.result(BoundedFile.read(resolve(yield* Locations, target), maxManifestBytes))
    const isModule = read._tag === "Failure" && read.failure.code === "ENOENT" && target.includes(":")
    if (read._tag === "Failure" && !isModule) return yield* read.failure
    const described =
      read._tag === "Success" ? yield* ofFile(target, read.success.text) : yield* ofService(target, postponed)
    if (json) return yield* Console.log(manifestText(described.map(({ manifest }) => manifest)))
    yield* Effect.forEach(described.flatMap(contractLines), (line) => Console.log(printable(line)))
  })
).pipe(Command.withDescription("Show contract id, methods and types of a manifest or of a service in a module"))

const genClient = Command.make(
  "gen-client",
  {
    target: Argument.String("target").pipe(
      Argument.withDescription(
        `A manifest file, or a producer: ticket, base64 address or endpoint id (default: ${defaultManifest})`
      ),
      Argument.withDefault(defaultManifest)
    ),
    services: Flag.String("service").pipe(
      Flag.withMetavar("name"),
      Flag.withDescription("A service to define; may be repeated (default: all)"),
      Flag.atLeast(0)
    ),
    out: Flag.String("out").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("path"),
      Flag.withDescription("The TypeScript module to write (default: standard output)"),
      Flag.optional
    ),
    rcan: flags.rcan,
    timeout: flags.timeout("Time for everything that needs a producer")
  },
  Effect.fn("aster contract gen-client")(function* ({ out, rcan, services, target, timeout }) {
    const locations = yield* Locations
    const read = yield* Effect.result(BoundedFile.read(resolve(locations, target), maxManifestBytes))
    if (read._tag === "Failure" && read.failure.code !== "ENOENT") return yield* read.failure
    if (read._tag === "Failure" && target === defaultManifest) {
      return yield* refused(`there is no ${defaultManifest}; name a manifest file or a producer's address`)
    }
    const published =
      read._tag === "Success"
        ? (yield* ofFile(target, read.success.text)).map(({ manifest }) => ({ manifest, types: undefined }))
        : yield* ofProducer(
            target,
            services,
            Option.map(rcan, (file) => resolve(locations, file)),
            timeout
          )
    const wanted = published.filter(({ manifest }) => services.length === 0 || services.includes(manifest.service))
    const missing = services.find((name) => wanted.every(({ manifest }) => manifest.service !== name))
    if (missing !== undefined) {
      const known = published.map(({ manifest }) => manifest.service).join(", ")
      return yield* refused(`there is no service ${missing}; there is ${known === "" ? "none" : known}`)
    }
    const described = yield* Effect.forEach(wanted, ({ manifest, types }) =>
      Effect.try({
        try: () => ({ ...ManifestDescription.describe(manifest, types), contractId: manifest.contractId }),
        catch: (cause) => refused(cause instanceof Error ? cause.message : String(cause))
      }).pipe(
        Effect.tap(({ description }) => {
          const problem = ClientModule.problemOf(description)
          return problem === undefined
            ? Effect.void
            : refused(`no definition can have the contract's names: ${problem}`)
        })
      )
    )
    const text = ClientModule.render(described, { source: read._tag === "Success" ? target : "a producer" })
    if (Option.isNone(out)) return yield* Console.log(text.trimEnd())
    const file = resolve(locations, out.value)
    yield* writeFile(file, text)
    yield* Console.log(`Module: ${file}`)
    for (const { contractId, description, untold } of described) {
      yield* Console.log(
        `  ${printable(description.name)} v${description.version}  contract_id=${contractId.slice(0, 16)}...`
      )
      if (untold.length > 0) {
        yield* Console.log(
          `    the contract does not tell the types of ${printable(untold.join(", "))}; see the module`
        )
      }
    }
  })
).pipe(
  Command.withDescription("Write a TypeScript module with the definitions of services"),
  Command.withExamples([
    { command: "aster contract gen-client .aster/manifest.json --out client.ts", description: "From a manifest" },
    {
      command: "aster contract gen-client aster1... --out client.ts",
      description: "From what a producer has published"
    }
  ])
)

const ofProducer = Effect.fnUntraced(function* (
  address: string,
  services: ReadonlyArray<string>,
  credentialFile: Option.Option<string>,
  timeoutSeconds: number
) {
  // Everything about the network is loaded for this command only.
  const { published } = yield* Effect.promise(() => import("../internal/published.ts"))
  return yield* Effect.scoped(
    published({ address, services, credentialFile: Option.getOrUndefined(credentialFile), timeoutSeconds })
  )
})

/** @since 0.1.0 */
export const command = Command.make("contract").pipe(
  Command.withDescription("Contracts of services; needs no network but for what producers have published"),
  Command.withSubcommands([gen, genClient, inspect]),
  Command.provideEffectDiscard(profileHint)
)
