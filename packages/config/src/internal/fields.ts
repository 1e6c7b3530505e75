import { isIPv4, isIPv6 } from "node:net"
import * as Hex from "effect/encoding/Hex"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as RootPublicKey from "../RootPublicKey.ts"
import type { SettingName, Settings } from "../Settings.ts"
import { parseSecretKey } from "./parseSecretKey.ts"

/** How the resolved value of a field is read from text, whatever source the text came from. */
type Decode<A> = (text: string) => Result.Result<A, string>

/** One setting: its names in every source, its TOML type, its decoder and its default. */
export interface Field<A> {
  /** The snake_case name printed to users and used as the path in providers. */
  readonly name: string
  readonly variable: string
  /** Section and key in `aster.toml`; absent when the file cannot set it. */
  readonly toml?: { readonly section: string; readonly key: string; readonly type: "boolean" | "integer" | "string" }
  /**
   * What an empty (or blank) text does: `clears` sets the field to nothing and so hides weaker sources, `unset` lets
   * weaker sources speak, `invalid` goes through the decoder.
   */
  readonly empty: "clears" | "unset" | "invalid"
  readonly decode: Decode<A>
  readonly fallback: A
}

const words =
  <const W extends string>(...allowed: ReadonlyArray<W>): Decode<W> =>
  (text) => {
    const word = allowed.find((candidate) => candidate === text.toLowerCase())
    return word === undefined ? Result.fail(`expected ${allowed.join(", ")}`) : Result.succeed(word)
  }

const logLevel = words("debug", "info", "warning", "error")

const truths = new Map([
  ...["1", "true", "yes", "on"].map((word) => [word, true] as const),
  ...["0", "false", "no", "off"].map((word) => [word, false] as const)
])

const flag: Decode<boolean> = (text) => {
  const value = truths.get(text.toLowerCase())
  return value === undefined ? Result.fail("expected 1, true, yes, on or 0, false, no, off") : Result.succeed(value)
}

const count =
  (maximum: number): Decode<number> =>
  (text) =>
    /^\d{1,15}$/.test(text) && Number(text) <= maximum
      ? Result.succeed(Number(text))
      : Result.fail(`expected a decimal integer from 0 to ${maximum}`)

const text: Decode<string | undefined> = Result.succeed

const isPort = (text: string | undefined): boolean => /^\d{1,5}$/.test(text ?? "") && Number(text) <= 65_535

/** `ip:port`, or `[ip6]:port`; names are not looked up. */
const socketAddress: Decode<string | undefined> = (text) => {
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text) ?? []
  return isPort(port) && (six === undefined ? isIPv4(four ?? "") : isIPv6(six))
    ? Result.succeed(text)
    : Result.fail("expected an IP address and a port, like 0.0.0.0:4433 or [::]:0")
}

const define = <A>(
  name: string,
  toml: `${string}.${string}` | undefined,
  type: "boolean" | "integer" | "string",
  empty: Field<A>["empty"],
  decode: Decode<A>,
  fallback: A,
  variable = `ASTER_${name.toUpperCase()}`
): Field<A> => {
  const [section, key] = toml?.split(".") ?? []
  return {
    name,
    variable,
    empty,
    decode,
    fallback,
    ...(section === undefined || key === undefined ? {} : { toml: { section, key, type } })
  }
}

const optionalText = (name: string, toml: `${string}.${string}` | undefined, variable?: string) =>
  define(name, toml, "string", "clears", text, undefined, variable)

const networkFlag = (name: string) => define(name, `network.${name}`, "boolean", "invalid", flag, false)

const milliseconds = 2 ** 31 - 1

/** Every setting, in the order of the documentation. */
export const fields: { readonly [K in SettingName]: Field<Settings[K]> } = {
  rootPubkey: define("root_pubkey", "trust.root_pubkey", "string", "unset", RootPublicKey.fromHex, undefined),
  rootPubkeyFile: optionalText("root_pubkey_file", "trust.root_pubkey_file"),
  enrollmentCredentialFile: optionalText(
    "enrollment_credential_file",
    "trust.enrollment_credential",
    "ASTER_ENROLLMENT_CREDENTIAL"
  ),
  enrollmentCredentialIid: define(
    "enrollment_credential_iid",
    "trust.enrollment_credential_iid",
    "string",
    "clears",
    (text) => Result.succeed(Redacted.make(text, { label: "instance identity" })),
    undefined
  ),
  allowAllConsumers: define("allow_all_consumers", "trust.allow_all_consumers", "boolean", "invalid", flag, undefined),
  allowAllProducers: define("allow_all_producers", "trust.allow_all_producers", "boolean", "invalid", flag, undefined),
  endpointAddr: optionalText("endpoint_addr", "connect.endpoint_addr"),
  storagePath: optionalText("storage_path", "storage.path"),
  secretKey: define("secret_key", "network.secret_key", "string", "clears", parseSecretKey, undefined),
  relayMode: define(
    "relay_mode",
    "network.relay_mode",
    "string",
    "clears",
    words("default", "disabled", "staging", "custom"),
    undefined
  ),
  bindAddr: define("bind_addr", "network.bind_addr", "string", "clears", socketAddress, undefined),
  enableMonitoring: networkFlag("enable_monitoring"),
  enableHooks: networkFlag("enable_hooks"),
  hookTimeoutMs: define("hook_timeout_ms", "network.hook_timeout_ms", "integer", "invalid", count(milliseconds), 5_000),
  clearIpTransports: networkFlag("clear_ip_transports"),
  clearRelayTransports: networkFlag("clear_relay_transports"),
  portmapperConfig: define(
    "portmapper_config",
    "network.portmapper_config",
    "string",
    "clears",
    words("enabled", "disabled"),
    undefined
  ),
  proxyUrl: define(
    "proxy_url",
    "network.proxy_url",
    "string",
    "clears",
    (text) => Result.succeed(Redacted.make(text, { label: "proxy URL" })),
    undefined
  ),
  proxyFromEnv: networkFlag("proxy_from_env"),
  localDiscovery: networkFlag("local_discovery"),
  logFormat: define("log_format", "logging.format", "string", "invalid", words("text", "json"), "text"),
  logLevel: define(
    "log_level",
    "logging.level",
    "string",
    "invalid",
    (text) => logLevel(text.toLowerCase() === "warn" ? "warning" : text),
    "info"
  ),
  logMask: define("log_mask", "logging.mask", "boolean", "invalid", flag, true),
  healthPort: define("health_port", "health.port", "integer", "invalid", count(65_535), 0),
  healthHost: define("health_host", "health.host", "string", "unset", Result.succeed<string>, "127.0.0.1"),
  identityFile: optionalText("identity_file", undefined)
}

/** Settings that name a file or a directory. */
export const pathFields: ReadonlyArray<SettingName> = [
  "rootPubkeyFile",
  "enrollmentCredentialFile",
  "storagePath",
  "identityFile"
]

export const fieldNames = Object.keys(fields).filter((name): name is SettingName => name in fields)

/** The field of a provider path (`[name]`). */
export const fieldByName: ReadonlyMap<string, Field<unknown>> = new Map(
  fieldNames.map((name) => [fields[name].name, fields[name]])
)

/** The text form of a value given in code, so that it passes the same decoder as every other source. */
export const textOf = (value: unknown): string => {
  if (Redacted.isRedacted(value)) return textOf(Redacted.value(value))
  return value instanceof Uint8Array ? Hex.encode(value) : String(value)
}
