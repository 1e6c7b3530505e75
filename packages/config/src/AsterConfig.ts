import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { statSync } from "node:fs"
import * as path from "node:path"
import { AsterConfigError, describeOrigin, type Origin } from "./AsterConfigError.ts"
import * as BoundedFile from "./BoundedFile.ts"
import type { FileError } from "./FileError.ts"
import { expandHome, isInHome } from "./HomeDirectory.ts"
import * as IdentityFile from "./IdentityFile.ts"
import { type Field, fieldNames, fields, pathFields, textOf } from "./internal/fields.ts"
import { nearest } from "./internal/nearest.ts"
import { environmentSource, type SettingSource, textSource, withProvenance } from "./internal/provenance.ts"
import { readSettings } from "./internal/tomlSource.ts"
import type { SettingName, Settings, SettingsInput, Source } from "./Settings.ts"
import { originOf, parse } from "./TomlDocument.ts"

/** The identity file in use. `explicit`: named by an option or a setting, not merely found. @since 0.1.0 */
export interface Identity {
  readonly path: string
  readonly label: string
  readonly explicit: boolean
  readonly file: IdentityFile.IdentityFile
}

/** What to load from. Everything left out keeps its default. @since 0.1.0 */
export interface LoadOptions {
  /** Values given in code; they beat every other source. */
  readonly inline?: SettingsInput | undefined
  /**
   * Where variables are read; `false` for none. Default: the `ConfigProvider` that the program gave, else the process
   * environment. One that preserves empty texts lets variables clear what a file says.
   */
  readonly environment?: ConfigProvider.ConfigProvider | false | undefined
  /** A TOML file, from the working directory; none by default. Users see its path as given. */
  readonly file?: string | undefined
  /** An identity file that must exist; `false` looks for none. Default: the `identityFile` setting, then discovery. */
  readonly identity?: string | false | undefined
  /** Where `file` and `.aster-identity` are looked for; default the process's working directory. */
  readonly workingDirectory?: string | undefined
}

const discoveredName = ".aster-identity"

const unreadable = (error: FileError, what: string, origin: Origin = { file: error.path }) =>
  new AsterConfigError({ reason: "Unreadable", origin, detail: `${what}: ${error.message}` })

const fileSource = Effect.fnUntraced(function* (file: string, directory: string | undefined) {
  const resolved = path.resolve(directory ?? ".", expandHome(file))
  const { text, ...hands } = yield* BoundedFile.read(resolved).pipe(
    Effect.mapError((error) => unreadable(error, "the configuration file must be readable", { file }))
  )
  const document = yield* Effect.fromResult(parse(file, text))
  const { texts, warnings } = yield* Effect.fromResult(readSettings(document))
  const source = textSource(relativeTo(path.dirname(resolved), texts), {
    kind: "file",
    label: ({ toml }) => `${file} [${toml?.section ?? ""}]`,
    origin: ({ toml }) => (toml === undefined ? { file } : originOf(document, toml.section, toml.key))
  })
  return { source, warnings: [...warnings, ...handWarnings(file, hands)] }
})

/** Paths in a file are meant from where the file is. */
const relativeTo = (directory: string, texts: ReadonlyMap<string, string>): ReadonlyMap<string, string> => {
  if (directory === process.cwd()) return texts
  const resolved = new Map(texts)
  for (const { name } of pathFields.map((field) => fields[field])) {
    const text = texts.get(name)
    if (text !== undefined && text !== "" && !isInHome(text)) resolved.set(name, path.resolve(directory, text))
  }
  return resolved
}

/** Whoever can change the file decides whom this node trusts. */
const handWarnings = (file: string, { ownedByOther, writableByOthers }: BoundedFile.Hands): ReadonlyArray<string> => [
  ...(writableByOthers
    ? [
        `${file}: others can change it, or replace it in its directory, and so decide whom this node trusts; run chmod go-w`
      ]
    : []),
  ...(ownedByOther ? [`${file}: belongs to another user, who thereby decides whom this node trusts`] : [])
]

const inlineSource = (input: SettingsInput): SettingSource => {
  const texts = new Map<string, string>()
  const options = new Map<string, string>()
  for (const name of fieldNames) {
    const value = input[name]
    if (value === undefined) continue
    texts.set(fields[name].name, textOf(value))
    options.set(fields[name].name, name)
  }
  return textSource(texts, {
    kind: "inline",
    label: () => "inline",
    origin: ({ name }) => ({ option: options.get(name) ?? name })
  })
}

const discover = (directory: string | undefined) =>
  Effect.suspend(() => {
    const file = path.join(directory ?? ".", discoveredName)
    // Mostly there is none, and asking for it this way takes a tenth of the time.
    if (!mayExist(file)) return Effect.succeedNone
    return IdentityFile.read(file).pipe(
      Effect.map(Option.some),
      Effect.catchIf(
        (error) => error._tag === "FileError" && error.code === "ENOENT",
        () => Effect.succeed(Option.none<IdentityFile.Loaded>())
      )
    )
  })

/** Whether a file is there, or cannot be said not to be. */
const mayExist = (file: string): boolean => {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined
  } catch {
    return true
  }
}

/** Reads the identity file: the named one, which must exist, else the one in the working directory, if any. */
const loadIdentity = Effect.fnUntraced(function* (
  named: { readonly path: string; readonly origin: Origin } | undefined,
  directory: string | undefined
): Effect.fn.Return<
  { readonly identity: Identity | undefined; readonly warnings: ReadonlyArray<string> },
  AsterConfigError
> {
  const found = yield* (
    named === undefined ? discover(directory) : IdentityFile.read(named.path).pipe(Effect.map(Option.some))
  ).pipe(
    Effect.mapError((error) =>
      error._tag === "FileError" ? unreadable(error, "the identity file must be readable", named?.origin) : error
    )
  )
  if (Option.isNone(found)) return { identity: undefined, warnings: [] }
  const { path: file, identity, ...hands } = found.value
  const warnings = [
    ...(hands.readableByOthers ? [`${file}: others can read this node's secret key; run chmod 600`] : []),
    ...handWarnings(file, hands)
  ]
  return {
    identity: { path: file, label: named?.path ?? discoveredName, explicit: named !== undefined, file: identity },
    warnings
  }
})

const defaultSource: Source = { kind: "default", label: "default", origin: {} }

const resolveField = Effect.fnUntraced(function* <A>(
  field: Field<A>,
  traced: ReturnType<typeof withProvenance>
): Effect.fn.Return<{ readonly value: A; readonly source: Source }, AsterConfigError> {
  const text = yield* Config.option(Config.String(field.name))
    .parse(traced.provider)
    .pipe(
      Effect.mapError(
        ({ message }) => new AsterConfigError({ reason: "Unreadable", origin: { key: field.name }, detail: message })
      )
    )
  const answered = traced.sourceOf(field.name)
  if (answered === undefined || Option.isNone(text)) return { value: field.fallback, source: defaultSource }
  const source: Source = { kind: answered.kind, label: answered.label(field), origin: answered.origin(field) }
  if (field.empty === "clears" && text.value === "") return { value: field.fallback, source }
  const decoded = field.decode(text.value)
  return Result.isSuccess(decoded)
    ? { value: decoded.success, source }
    : yield* new AsterConfigError({ reason: "InvalidValue", origin: source.origin, detail: decoded.failure })
})

/** Every setting through the same provider, and the source of each. */
const resolveSettings = Effect.fnUntraced(function* (
  found: ReadonlyArray<SettingSource>
): Effect.fn.Return<
  { readonly settings: Settings; readonly sources: ReadonlyMap<SettingName, Source> },
  AsterConfigError
> {
  const traced = withProvenance(found)
  const sources = new Map<SettingName, Source>()
  const get = <K extends SettingName>(name: K, field: Field<Settings[K]>) =>
    Effect.map(resolveField(field, traced), ({ source, value }) => {
      sources.set(name, source)
      return value
    })
  const settings = yield* Effect.all({
    rootPubkey: get("rootPubkey", fields.rootPubkey),
    rootPubkeyFile: get("rootPubkeyFile", fields.rootPubkeyFile),
    enrollmentCredentialFile: get("enrollmentCredentialFile", fields.enrollmentCredentialFile),
    enrollmentCredentialIid: get("enrollmentCredentialIid", fields.enrollmentCredentialIid),
    allowAllConsumers: get("allowAllConsumers", fields.allowAllConsumers),
    allowAllProducers: get("allowAllProducers", fields.allowAllProducers),
    endpointAddr: get("endpointAddr", fields.endpointAddr),
    storagePath: get("storagePath", fields.storagePath),
    secretKey: get("secretKey", fields.secretKey),
    relayMode: get("relayMode", fields.relayMode),
    bindAddr: get("bindAddr", fields.bindAddr),
    enableMonitoring: get("enableMonitoring", fields.enableMonitoring),
    enableHooks: get("enableHooks", fields.enableHooks),
    hookTimeoutMs: get("hookTimeoutMs", fields.hookTimeoutMs),
    clearIpTransports: get("clearIpTransports", fields.clearIpTransports),
    clearRelayTransports: get("clearRelayTransports", fields.clearRelayTransports),
    portmapperConfig: get("portmapperConfig", fields.portmapperConfig),
    proxyUrl: get("proxyUrl", fields.proxyUrl),
    proxyFromEnv: get("proxyFromEnv", fields.proxyFromEnv),
    localDiscovery: get("localDiscovery", fields.localDiscovery),
    logFormat: get("logFormat", fields.logFormat),
    logLevel: get("logLevel", fields.logLevel),
    logMask: get("logMask", fields.logMask),
    healthPort: get("healthPort", fields.healthPort),
    healthHost: get("healthHost", fields.healthHost),
    identityFile: get("identityFile", fields.identityFile)
  })
  return { settings, sources }
})

/**
 * A configuration: the settings, where each came from, and the identity file. `secretKey` is the identity file's unless
 * a stronger source gave one.
 *
 * @since 0.1.0
 */
export interface Resolved extends Settings {
  /** Where a setting's value came from. */
  readonly source: (name: SettingName) => Source
  readonly identity: Identity | undefined
  /** What was odd but usable, in words for the user; already logged. */
  readonly warnings: ReadonlyArray<string>
}

/** Joins settings and identity; the identity's key counts when no setting gave one. */
const withLoadedIdentity = (
  settings: Settings,
  source: (name: SettingName) => Source,
  identity: Identity | undefined,
  warnings: ReadonlyArray<string>
): Resolved => {
  const node = identity?.file.node
  if (identity === undefined || node === undefined || settings.secretKey !== undefined) {
    return { ...settings, source, identity, warnings }
  }
  const origin = { file: identity.path, table: "[node]", key: "secret_key" }
  const keySource: Source = { kind: "identity", label: identity.label, origin }
  return {
    ...settings,
    secretKey: node.secretKey,
    source: (name) => (name === "secretKey" ? keySource : source(name)),
    identity,
    warnings
  }
}

const logWarnings = (warnings: ReadonlyArray<string>) =>
  Effect.forEach(warnings, (warning) => Effect.logWarning(warning), { discard: true })

/** Where nobody gave a provider it is the process environment, and there an empty variable says something. */
const ambient: Effect.Effect<ConfigProvider.ConfigProvider> = Effect.map(ConfigProvider.ConfigProvider, (provider) =>
  provider === Context.get(Context.empty(), ConfigProvider.ConfigProvider)
    ? ConfigProvider.fromEnv({ preserveEmptyStrings: true })
    : provider
)

const load = Effect.fn("AsterConfig.load")(function* (
  options: LoadOptions
): Effect.fn.Return<Resolved, AsterConfigError> {
  const file = options.file === undefined ? undefined : yield* fileSource(options.file, options.workingDirectory)
  const environment = options.environment ?? (yield* ambient)
  const { settings, sources } = yield* resolveSettings([
    ...(options.inline === undefined ? [] : [inlineSource(options.inline)]),
    ...(environment === false ? [] : [environmentSource(environment)]),
    ...(file === undefined ? [] : [file.source])
  ])
  const found =
    options.identity === false
      ? { identity: undefined, warnings: [] }
      : yield* loadIdentity(namedIdentity(options.identity, settings, sources), options.workingDirectory)
  const warnings = [
    ...(environment === false ? [] : yield* unknownVariables(environment)),
    ...quotedPaths(settings, sources),
    ...(file?.warnings ?? []),
    ...found.warnings
  ]
  yield* logWarnings(warnings)
  return withLoadedIdentity(settings, (name) => sources.get(name) ?? defaultSource, found.identity, warnings)
})

/** Quotation marks that a shell or a .env file did not take away. */
const quotedPaths = (settings: Settings, sources: ReadonlyMap<SettingName, Source>): ReadonlyArray<string> =>
  pathFields.flatMap((name) => {
    const value = settings[name]
    const origin = sources.get(name)?.origin ?? {}
    return typeof value === "string" && /^(["']).*\1$/s.test(value)
      ? [`${describeOrigin(origin)}: the quotation marks are taken as part of the path; leave them out`]
      : []
  })

/** Variables of Aster that are no settings. */
const otherVariables = [
  "ASTER_PROFILE",
  "ASTER_PEER_TTL_S",
  "ASTER_MESH_STATE_DIR",
  "ASTER_SERVICE_ADDR",
  "ASTER_LOG_COLOR"
]

/** The `ASTER_` variables of a provider, which may see them as a tree whose edges are underscores. */
const variablesUnder = (
  environment: ConfigProvider.ConfigProvider,
  path: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>> =>
  environment.load(path).pipe(
    Effect.catch(() => Effect.succeed(undefined)),
    Effect.flatMap((node) => {
      const own = node?.value === undefined ? [] : [path.join("_")]
      if (node?._tag !== "Record" || path.length > 6) return Effect.succeed(own)
      const keys = [...node.keys].filter((key) => path.length > 0 || key === "ASTER" || key.startsWith("ASTER_"))
      const inner = Effect.forEach(keys, (key) => variablesUnder(environment, [...path, key]))
      return Effect.map(inner, (names) => [...own, ...names.flat()])
    })
  )

/** Variables that are nearly those of a setting, and so say nothing. */
const unknownVariables = Effect.fnUntraced(function* (
  environment: ConfigProvider.ConfigProvider
): Effect.fn.Return<ReadonlyArray<string>> {
  const known = [...fieldNames.map((name) => fields[name].variable), ...otherVariables]
  const names = yield* variablesUnder(environment, [])
  return names.flatMap((name) => {
    if (known.includes(name)) return []
    const meant = nearest(name, known)
    return meant === undefined ? [] : [`${name}: there is no such variable; did you mean ${meant}?`]
  })
})

const namedIdentity = (
  option: string | undefined,
  { identityFile }: Settings,
  sources: ReadonlyMap<SettingName, Source>
): { readonly path: string; readonly origin: Origin } | undefined => {
  if (option !== undefined) return { path: option, origin: { option: "identity" } }
  return identityFile === undefined
    ? undefined
    : { path: identityFile, origin: sources.get("identityFile")?.origin ?? {} }
}

const withIdentity = Effect.fn("AsterConfig.withIdentity")(function* (
  config: Resolved,
  file: string
): Effect.fn.Return<Resolved, AsterConfigError> {
  const found = yield* loadIdentity({ path: file, origin: { option: "identity" } }, undefined)
  yield* logWarnings(found.warnings)
  const borrowed = config.source("secretKey").kind === "identity"
  const settings = borrowed ? { ...config, secretKey: undefined } : config
  const source = (name: SettingName) => (borrowed && name === "secretKey" ? defaultSource : config.source(name))
  return withLoadedIdentity(settings, source, found.identity, [...config.warnings, ...found.warnings])
})

/**
 * The configuration in force.
 *
 * - `AsterConfig.fromEnv`: the environment alone
 * - `AsterConfig.fromFile(path)`: the environment, then a TOML file
 * - `AsterConfig.make(values)`: the given values alone; no environment is consulted
 * - `AsterConfig.load(options)`: any combination: inline, then environment, then TOML file, then defaults
 * - `AsterConfig.withIdentity(config, path)`: the same with another identity file, which must exist
 *
 * All of them read the identity file and fail with `AsterConfigError`, whose message names the file, line and key, or
 * the variable, and what is expected there. Oddities that leave a usable configuration are logged as warnings.
 *
 * @since 0.1.0
 */
export class AsterConfig extends Context.Service<AsterConfig, Resolved>()("@aster-effect/config/AsterConfig") {
  static readonly load = load
  static readonly withIdentity = withIdentity
  static readonly fromEnv: Effect.Effect<Resolved, AsterConfigError> = load({})
  static readonly fromFile = (file: string): Effect.Effect<Resolved, AsterConfigError> => load({ file })
  static readonly make = (values: SettingsInput): Effect.Effect<Resolved, AsterConfigError> =>
    load({ inline: values, environment: false })

  /** `AsterConfig.fromEnv` as a layer: what a program gets that says nothing. */
  static readonly layerEnv: Layer.Layer<AsterConfig, AsterConfigError> = Layer.effect(this, this.fromEnv)

  /** `AsterConfig.fromFile` as a layer. */
  static readonly layerFile = (file: string): Layer.Layer<AsterConfig, AsterConfigError> =>
    Layer.effect(this, this.fromFile(file))

  /** `AsterConfig.make` as a layer. */
  static readonly layer = (values: SettingsInput): Layer.Layer<AsterConfig, AsterConfigError> =>
    Layer.effect(this, this.make(values))
}
