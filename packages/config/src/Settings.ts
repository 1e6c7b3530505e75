import type { SecretKey } from "@aster-effect/iroh/SecretKey"
import type * as Redacted from "effect/Redacted"
import type { Origin } from "./AsterConfigError.ts"
import type { RootPublicKey } from "./RootPublicKey.ts"

/**
 * The settings, resolved. Printed and read from files and variables under their snake_case names; see
 * `ConfigReport` for the printed form.
 *
 * @since 0.1.0
 */
export interface Settings {
  /** `ASTER_ROOT_PUBKEY` (hex), `[trust] root_pubkey`. */
  readonly rootPubkey: RootPublicKey | undefined
  /** `ASTER_ROOT_PUBKEY_FILE`, `[trust] root_pubkey_file`: JSON with `public_key`, or hex. */
  readonly rootPubkeyFile: string | undefined
  /** `ASTER_ENROLLMENT_CREDENTIAL`, `[trust] enrollment_credential`. */
  readonly enrollmentCredentialFile: string | undefined
  /** `ASTER_ENROLLMENT_CREDENTIAL_IID`, `[trust] enrollment_credential_iid`. */
  readonly enrollmentCredentialIid: Redacted.Redacted<string> | undefined
  /** `ASTER_ALLOW_ALL_CONSUMERS`, `[trust] allow_all_consumers`. Not given is not the same as false: see `Gates`. */
  readonly allowAllConsumers: boolean | undefined
  /** `ASTER_ALLOW_ALL_PRODUCERS`, `[trust] allow_all_producers`. Not given means true. */
  readonly allowAllProducers: boolean | undefined
  /** `ASTER_ENDPOINT_ADDR`, `[connect] endpoint_addr`. */
  readonly endpointAddr: string | undefined
  /** `ASTER_STORAGE_PATH`, `[storage] path`. Not given means in memory. */
  readonly storagePath: string | undefined
  /** `ASTER_SECRET_KEY` (base64), `[network] secret_key`, else `[node] secret_key` of the identity file. */
  readonly secretKey: SecretKey | undefined
  /** `ASTER_RELAY_MODE`, `[network] relay_mode`. */
  readonly relayMode: "default" | "disabled" | "staging" | "custom" | undefined
  /** `ASTER_BIND_ADDR`, `[network] bind_addr`. */
  readonly bindAddr: string | undefined
  /** `ASTER_ENABLE_MONITORING`, `[network] enable_monitoring`. Default false. */
  readonly enableMonitoring: boolean
  /** `ASTER_ENABLE_HOOKS`, `[network] enable_hooks`. Default false. */
  readonly enableHooks: boolean
  /** `ASTER_HOOK_TIMEOUT_MS`, `[network] hook_timeout_ms`. Milliseconds, default 5000. */
  readonly hookTimeoutMs: number
  /** `ASTER_CLEAR_IP_TRANSPORTS`, `[network] clear_ip_transports`. Default false. */
  readonly clearIpTransports: boolean
  /** `ASTER_CLEAR_RELAY_TRANSPORTS`, `[network] clear_relay_transports`. Default false. */
  readonly clearRelayTransports: boolean
  /** `ASTER_PORTMAPPER_CONFIG`, `[network] portmapper_config`. */
  readonly portmapperConfig: "enabled" | "disabled" | undefined
  /** `ASTER_PROXY_URL`, `[network] proxy_url`. */
  readonly proxyUrl: Redacted.Redacted<string> | undefined
  /** `ASTER_PROXY_FROM_ENV`, `[network] proxy_from_env`. Default false. */
  readonly proxyFromEnv: boolean
  /** `ASTER_LOCAL_DISCOVERY`, `[network] local_discovery`: mDNS. Default false. */
  readonly localDiscovery: boolean
  /** `ASTER_LOG_FORMAT`, `[logging] format`. Default text. */
  readonly logFormat: "text" | "json"
  /** `ASTER_LOG_LEVEL`, `[logging] level`. Default info. */
  readonly logLevel: "debug" | "info" | "warning" | "error"
  /** `ASTER_LOG_MASK`, `[logging] mask`. Default true. */
  readonly logMask: boolean
  /** `ASTER_HEALTH_PORT`, `[health] port`. Default 0: no health server. */
  readonly healthPort: number
  /** `ASTER_HEALTH_HOST`, `[health] host`. Default 127.0.0.1. */
  readonly healthHost: string
  /** `ASTER_IDENTITY_FILE`. Not given means `.aster-identity` in the working directory, if it is there. */
  readonly identityFile: string | undefined
}

/** A setting's name as a property. @since 0.1.0 */
export type SettingName = keyof Settings

/** Who supplied a value, strongest first. @since 0.1.0 */
export type SourceKind = "inline" | "environment" | "file" | "identity" | "default"

/**
 * Where a value came from. The label is what users see: `inline`, the variable's name, `aster.toml [trust]`, the
 * identity file, `default`.
 *
 * @since 0.1.0
 */
export interface Source {
  readonly kind: SourceKind
  readonly label: string
  readonly origin: Origin
}

/** Settings given in code. Keys may be raw bytes or the texts the environment takes. @since 0.1.0 */
export type SettingsInput = {
  readonly [K in Exclude<SettingName, "rootPubkey" | "secretKey" | "enrollmentCredentialIid" | "proxyUrl">]?:
    | Settings[K]
    | undefined
} & {
  readonly rootPubkey?: Uint8Array | string | undefined
  readonly enrollmentCredentialIid?: Redacted.Redacted<string> | string | undefined
  readonly proxyUrl?: Redacted.Redacted<string> | string | undefined
  readonly secretKey?: Uint8Array | Redacted.Redacted<Uint8Array> | string | undefined
}
