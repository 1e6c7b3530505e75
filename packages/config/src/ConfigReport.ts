/**
 * A configuration for people and programs: every value with where it came from, secrets masked.
 *
 * ```text
 *   [trust]
 *     root_pubkey                 : <64 hex>                             (.aster-identity)
 *     allow_all_consumers         : False                                (default)
 *   [network]
 *     secret_key                  : ****...681eb8a1                      (ASTER_SECRET_KEY)
 * ```
 *
 * The digits shown of a secret key are the last eight of its endpoint id, which is public; no part of the key itself is
 * ever printed.
 *
 * @since 0.1.0
 */
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { Resolved } from "./AsterConfig.ts"
import type { Anchor } from "./RootPublicKey.ts"
import type { SettingName } from "./Settings.ts"

/** @since 0.1.0 */
export interface ReportOptions {
  /**
   * The root key in force, when a server or client has settled it (an ephemeral one has the label
   * `ephemeral (dev mode)`). Default: the configured key, else that of the identity file's first producer entry, else
   * of its first entry.
   */
  readonly root?: Anchor | undefined
  /**
   * What a server makes of it all (`ServerTrust`): whether peers are let in without a credential. Where nothing sets the
   * flags this is what is shown, since an absent flag lets everybody in or nobody. Default: false for consumers, true
   * for producers.
   */
  readonly allowed?: { readonly consumers: boolean; readonly producers: boolean } | undefined
}

interface Row {
  readonly name: string
  /** Undefined: there is none. */
  readonly value: string | boolean | undefined
  /** What people see when there is none. */
  readonly unset: string
  readonly source: string
}

const rootRow = (config: Resolved, root: Anchor | undefined): Row => {
  const name = "root_pubkey"
  const unset = "<not set>"
  if (root !== undefined) return { name, unset, value: root.key, source: root.source }
  if (config.rootPubkey !== undefined) {
    return { name, unset, value: config.rootPubkey, source: config.source("rootPubkey").label }
  }
  const peers = config.identity?.file.peers ?? []
  const peer = peers.find(({ role }) => role === "producer") ?? peers[0]
  return peer === undefined || config.identity === undefined
    ? { name, unset, value: undefined, source: config.source("rootPubkey").label }
    : { name, unset, value: peer.rootPubkey, source: config.identity.label }
}

const maskedTail = (text: string, shown: number): string =>
  text.length > shown ? `****...${text.slice(-shown)}` : "****"

const sections = (
  config: Resolved,
  { allowed, root }: ReportOptions
): ReadonlyArray<readonly [string, ReadonlyArray<Row>]> => {
  const row = (name: string, setting: SettingName, value: string | boolean | undefined, unset = "<not set>"): Row => ({
    name,
    value: value === "" ? undefined : value,
    unset,
    source: config.source(setting).label
  })
  /** A flag that nothing sets has an outcome all the same. */
  const flag = (name: string, setting: "allowAllConsumers" | "allowAllProducers", outcome: boolean): Row => {
    const shown = row(name, setting, config[setting] ?? outcome)
    const isSurprising = config[setting] === undefined && setting === "allowAllConsumers" && outcome
    return isSurprising ? { ...shown, source: `${shown.source}: dev mode` } : shown
  }
  const { enrollmentCredentialFile: credential, enrollmentCredentialIid: iid, secretKey } = config
  return [
    [
      "trust",
      [
        rootRow(config, root),
        row("root_pubkey_file", "rootPubkeyFile", config.rootPubkeyFile),
        row(
          "enrollment_credential_file",
          "enrollmentCredentialFile",
          credential === undefined ? undefined : maskedTail(credential, 12)
        ),
        row("enrollment_credential_iid", "enrollmentCredentialIid", iid === undefined ? undefined : "****"),
        flag("allow_all_consumers", "allowAllConsumers", allowed?.consumers ?? false),
        flag("allow_all_producers", "allowAllProducers", allowed?.producers ?? true)
      ]
    ],
    ["connect", [row("endpoint_addr", "endpointAddr", config.endpointAddr)]],
    [
      "network",
      [
        row(
          "secret_key",
          "secretKey",
          secretKey === undefined ? undefined : maskedTail(SecretKey.toEndpointId(secretKey), 8)
        ),
        row("relay_mode", "relayMode", config.relayMode, "<default>"),
        row("bind_addr", "bindAddr", config.bindAddr, "<any>"),
        row("enable_monitoring", "enableMonitoring", config.enableMonitoring),
        row("enable_hooks", "enableHooks", config.enableHooks)
      ]
    ],
    ["storage", [row("path", "storagePath", config.storagePath, "<in-memory>")]]
  ]
}

const shown = ({ unset, value }: Row): string =>
  value === undefined ? unset : typeof value === "string" ? value : value ? "True" : "False"

/**
 * The text form: a line per section (two spaces, the name in brackets), then a line per setting: four spaces, the name
 * padded to 28, `: `, the value padded to 36, and the source in parentheses. No line feed at the end.
 *
 * @since 0.1.0
 */
export const format = (config: Resolved, options: ReportOptions = {}): string =>
  sections(config, options)
    .flatMap(([section, rows]) => [
      `  [${section}]`,
      ...rows.map((row) => `    ${row.name.padEnd(28)}: ${shown(row).padEnd(36)} (${row.source})`)
    ])
    .join("\n")

/**
 * Section, then setting, then `{ value, source }`; two-space indent. Booleans stay booleans, and what is not there is null.
 *
 * @since 0.1.0
 */
export const toJson = (config: Resolved, options: ReportOptions = {}): string =>
  JSON.stringify(
    Object.fromEntries(
      sections(config, options).map(([section, rows]) => [
        section,
        Object.fromEntries(rows.map(({ name, source, value }) => [name, { value: value ?? null, source }]))
      ])
    ),
    undefined,
    2
  )

/** Prints `format` to the console and answers it. @since 0.1.0 */
export const print = (config: Resolved, options: ReportOptions = {}): Effect.Effect<string> => {
  const text = format(config, options)
  return Effect.as(Console.log(text), text)
}
