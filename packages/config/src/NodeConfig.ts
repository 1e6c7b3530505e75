/**
 * From a configuration to a node: what servers and clients have in common before there is one.
 *
 * @since 0.1.0
 */
import type { IrohNodeOptions, RelayMode } from "@aster-effect/iroh/NodeOptions"
import type { SecretKey } from "@aster-effect/iroh/SecretKey"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as nodePath from "node:path"
import { AsterConfig, type Resolved } from "./AsterConfig.ts"
import { AsterConfigError } from "./AsterConfigError.ts"
import { expandHome } from "./HomeDirectory.ts"
import * as RootPublicKey from "./RootPublicKey.ts"
import type { SettingName } from "./Settings.ts"

/** @since 0.1.0 */
export interface ConfigOptions {
  /**
   * The configuration, or how to load it, as in `AsterConfig.fromFile("aster.toml")`. Default: the `AsterConfig` service
   * when there is one in the context, else the environment. Either way `.aster-identity` in the working directory counts
   * unless the configuration says otherwise.
   */
  readonly config?: Resolved | Effect.Effect<Resolved, AsterConfigError> | undefined
  /** An identity file, which must exist; it beats the configuration's. */
  readonly identity?: string | undefined
}

/**
 * The configuration in force.
 *
 * @param secretKey the node's key given in code, which beats every other
 * @since 0.1.0
 */
export const resolve = Effect.fnUntraced(function* (
  { config: given, identity }: ConfigOptions,
  secretKey: SecretKey | undefined
): Effect.fn.Return<Resolved, AsterConfigError> {
  const config = yield* loaded(given, identity)
  if (secretKey === undefined) return config
  return {
    ...config,
    secretKey,
    source: (name) =>
      name === "secretKey"
        ? { kind: "inline", label: "option node.secretKey", origin: { option: "node.secretKey" } }
        : config.source(name)
  }
})

const loaded = Effect.fnUntraced(function* (
  given: ConfigOptions["config"],
  identity: string | undefined
): Effect.fn.Return<Resolved, AsterConfigError> {
  const inContext = Option.getOrUndefined(yield* Effect.serviceOption(AsterConfig))
  const source = given ?? inContext
  if (source === undefined) return yield* AsterConfig.load({ identity })
  const config = Effect.isEffect(source) ? yield* source : source
  return identity === undefined ? config : yield* AsterConfig.withIdentity(config, identity)
})

/** Settings that servers and clients have no use for. */
const unused: ReadonlyArray<SettingName> = [
  "enableMonitoring",
  "clearIpTransports",
  "clearRelayTransports",
  "portmapperConfig",
  "proxyUrl",
  "proxyFromEnv",
  "localDiscovery"
]

/** Users know settings by their names in files. */
const printed = (name: SettingName): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/**
 * Options of the node: those given in code, then the configuration's key, bind address and relay mode. Settings that
 * have no effect here are logged.
 *
 * @since 0.1.0
 */
export const nodeOptions = Effect.fnUntraced(function* (
  config: Resolved,
  secretKey: SecretKey | undefined,
  given: IrohNodeOptions = {}
): Effect.fn.Return<IrohNodeOptions, AsterConfigError> {
  for (const name of unused) {
    const { kind, label } = config.source(name)
    if (kind !== "default") yield* Effect.logWarning(`${printed(name)} (${label}) has no effect here`)
  }
  return {
    ...given,
    secretKey: given.secretKey ?? secretKey,
    bindAddress: given.bindAddress ?? config.bindAddr,
    relayMode: yield* given.relayMode === undefined ? relayMode(config) : checked(given.relayMode)
  }
})

/** A typing error in plain JavaScript must not mean the public relays. */
const checked = (mode: RelayMode): Effect.Effect<RelayMode, AsterConfigError> => {
  if (["default", "disabled", "staging"].some((word) => word === mode)) return Effect.succeed(mode)
  if (typeof mode === "object" && mode !== null && Array.isArray(mode.custom)) return Effect.succeed(mode)
  const detail = 'expected "default", "disabled", "staging", or { custom: [relay URLs] }'
  return Effect.fail(new AsterConfigError({ reason: "InvalidValue", origin: { option: "node.relayMode" }, detail }))
}

const relayMode = ({ relayMode, source }: Resolved): Effect.Effect<RelayMode | undefined, AsterConfigError> => {
  if (relayMode !== "custom") return Effect.succeed(relayMode)
  const detail = "custom relays need their URLs, which only code can give: use the option node.relayMode"
  return Effect.fail(new AsterConfigError({ reason: "InvalidValue", origin: source("relayMode").origin, detail }))
}

/** A directory of this name under the storage path; undefined where everything is kept in memory. @since 0.1.0 */
export const storageDirectory = ({ storagePath }: Resolved, name: string): string | undefined =>
  storagePath === undefined ? undefined : nodePath.join(expandHome(storagePath), name)

/** A root key given in code: 32 bytes, or 64 hex digits. @since 0.1.0 */
export const rootPubkey = (
  given: Uint8Array | string | undefined
): Effect.Effect<RootPublicKey.RootPublicKey | undefined, AsterConfigError> => {
  if (given === undefined) return Effect.succeed(undefined)
  const key = typeof given === "string" ? RootPublicKey.fromHex(given) : RootPublicKey.fromBytes(given)
  return Result.isSuccess(key)
    ? Effect.succeed(key.success)
    : Effect.fail(
        new AsterConfigError({ reason: "InvalidValue", origin: { option: "rootPubkey" }, detail: key.failure })
      )
}
