import { AsterConfig, type LoadOptions } from "@aster-effect/config/AsterConfig"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import * as ConfigReport from "@aster-effect/config/ConfigReport"
import { expandHome } from "@aster-effect/config/HomeDirectory"
import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import type { SettingName } from "@aster-effect/config/Settings"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { inspect } from "node:util"
import { directory, environment, identityText, loadIn, logged, nodeA, nodeB, rootA, rootB } from "./Fixture.ts"

const rootBytes = RootPublicKey.toBytes(Result.getOrThrow(RootPublicKey.fromHex(rootA)))

const fullToml = `
[trust]
root_pubkey = "${rootA.toUpperCase()}"
root_pubkey_file = "root.pub"
enrollment_credential = "token.json"
enrollment_credential_iid = "document"
allow_all_consumers = false
allow_all_producers = false
[connect]
endpoint_addr = "aster1abc"
[storage]
path = "/var/lib/aster"
[network]
secret_key = "${nodeA.secret}"
relay_mode = "disabled"
bind_addr = "127.0.0.1:0"
enable_monitoring = true
enable_hooks = true
hook_timeout_ms = 100
clear_ip_transports = true
clear_relay_transports = true
portmapper_config = "disabled"
proxy_url = "http://proxy"
proxy_from_env = true
local_discovery = true
[logging]
format = "json"
level = "debug"
mask = false
[health]
port = 8080
host = "0.0.0.0"
`

/** Every setting: its variable, a value for it, and what that resolves to. */
const variables: ReadonlyArray<readonly [SettingName, string, string, unknown]> = [
  ["rootPubkey", "ASTER_ROOT_PUBKEY", rootB, rootB],
  ["rootPubkeyFile", "ASTER_ROOT_PUBKEY_FILE", " /e/root.pub ", "/e/root.pub"],
  ["enrollmentCredentialFile", "ASTER_ENROLLMENT_CREDENTIAL", "/e/token", "/e/token"],
  ["enrollmentCredentialIid", "ASTER_ENROLLMENT_CREDENTIAL_IID", "iid", "iid"],
  ["allowAllConsumers", "ASTER_ALLOW_ALL_CONSUMERS", " YES ", true],
  ["allowAllProducers", "ASTER_ALLOW_ALL_PRODUCERS", "on", true],
  ["endpointAddr", "ASTER_ENDPOINT_ADDR", "aster1e", "aster1e"],
  ["storagePath", "ASTER_STORAGE_PATH", "/e", "/e"],
  ["relayMode", "ASTER_RELAY_MODE", "Staging", "staging"],
  ["bindAddr", "ASTER_BIND_ADDR", "[::1]:0", "[::1]:0"],
  ["enableMonitoring", "ASTER_ENABLE_MONITORING", "0", false],
  ["enableHooks", "ASTER_ENABLE_HOOKS", "no", false],
  ["hookTimeoutMs", "ASTER_HOOK_TIMEOUT_MS", "7", 7],
  ["clearIpTransports", "ASTER_CLEAR_IP_TRANSPORTS", "off", false],
  ["clearRelayTransports", "ASTER_CLEAR_RELAY_TRANSPORTS", "False", false],
  ["portmapperConfig", "ASTER_PORTMAPPER_CONFIG", "enabled", "enabled"],
  ["proxyUrl", "ASTER_PROXY_URL", "http://e", "http://e"],
  ["proxyFromEnv", "ASTER_PROXY_FROM_ENV", "false", false],
  ["localDiscovery", "ASTER_LOCAL_DISCOVERY", "false", false],
  ["logFormat", "ASTER_LOG_FORMAT", "TEXT", "text"],
  ["logLevel", "ASTER_LOG_LEVEL", "warn", "warning"],
  ["logMask", "ASTER_LOG_MASK", "true", true],
  ["healthPort", "ASTER_HEALTH_PORT", "65535", 65_535],
  ["healthHost", "ASTER_HEALTH_HOST", "::1", "::1"]
]

describe("sources", () => {
  it.live("without any source, every setting has its default", () =>
    Effect.gen(function* () {
      const config = yield* loadIn(yield* directory())
      for (const [name] of variables) assert.strictEqual(config.source(name).label, "default", name)
      assert.deepStrictEqual(
        [config.hookTimeoutMs, config.logFormat, config.logLevel, config.logMask, config.healthPort, config.healthHost],
        [5_000, "text", "info", true, 0, "127.0.0.1"]
      )
      assert.isUndefined(config.allowAllConsumers)
      assert.isUndefined(config.identity)
    })
  )

  it.live("TOML sets every setting, and says in which section", () =>
    Effect.gen(function* () {
      const made = yield* directory({ "aster.toml": fullToml })
      const file = path.join(made, "aster.toml")
      const config = yield* loadIn(made, {}, { file })
      for (const [name] of variables) assert.strictEqual(config.source(name).kind, "file", name)
      assert.strictEqual(config.source("storagePath").label, `${file} [storage]`)
      assert.strictEqual(config.source("enrollmentCredentialFile").label, `${file} [trust]`)
      assert.strictEqual(config.rootPubkey, rootA)
      assert.strictEqual(config.allowAllConsumers, false)
      assert.strictEqual(config.hookTimeoutMs, 100)
      assert.strictEqual(config.healthPort, 8080)
      assert.strictEqual(config.secretKey && SecretKey.toEndpointId(config.secretKey), nodeA.id)
      assert.deepStrictEqual(config.warnings, [])
    })
  )

  it.live("the environment beats TOML, setting by setting", () =>
    Effect.gen(function* () {
      const made = yield* directory({ "aster.toml": fullToml })
      const env = Object.fromEntries(variables.map(([, variable, text]) => [variable, text]))
      const config = yield* loadIn(made, env, { file: path.join(made, "aster.toml") })
      for (const [name, variable, , value] of variables) {
        const found: unknown = config[name]
        assert.strictEqual(Redacted.isRedacted(found) ? Redacted.value(found) : found, value, name)
        assert.strictEqual(config.source(name).label, variable)
      }
      assert.strictEqual(config.source("secretKey").kind, "file")
    })
  )

  it.live("values given in code beat the environment; alone they consult none", () =>
    Effect.gen(function* () {
      const workingDirectory = yield* directory()
      const inline = { rootPubkey: rootBytes, hookTimeoutMs: 9, allowAllConsumers: false }
      const config = yield* loadIn(
        workingDirectory,
        { ASTER_ROOT_PUBKEY: rootB, ASTER_BIND_ADDR: "127.0.0.1:0" },
        { inline }
      )
      assert.strictEqual(config.rootPubkey, rootA)
      assert.deepStrictEqual(
        [config.source("rootPubkey").label, config.source("hookTimeoutMs").label, config.source("bindAddr").label],
        ["inline", "inline", "ASTER_BIND_ADDR"]
      )
      const alone = yield* AsterConfig.make(inline)
      assert.isUndefined(alone.bindAddr)
    })
  )

  it.live("secret keys are read from base64, hex, bytes and redacted bytes", () =>
    Effect.gen(function* () {
      const seed = Uint8Array.from(Buffer.from(nodeA.secret, "base64"))
      const inputs = [nodeA.secret, Buffer.from(seed).toString("hex"), seed, Redacted.make(seed)]
      for (const secretKey of inputs) {
        const config = yield* AsterConfig.make({ secretKey })
        assert.strictEqual(config.secretKey && SecretKey.toEndpointId(config.secretKey), nodeA.id)
      }
    })
  )

  it.live("an empty variable clears what TOML set, except where it means unset", () =>
    Effect.gen(function* () {
      const made = yield* directory({ "aster.toml": fullToml })
      const env = { ASTER_STORAGE_PATH: " ", ASTER_SECRET_KEY: "", ASTER_RELAY_MODE: "", ASTER_ROOT_PUBKEY: "" }
      const config = yield* loadIn(made, env, { file: path.join(made, "aster.toml") })
      assert.isUndefined(config.storagePath)
      assert.isUndefined(config.secretKey)
      assert.isUndefined(config.relayMode)
      assert.strictEqual(config.source("storagePath").label, "ASTER_STORAGE_PATH")
      assert.strictEqual(config.rootPubkey, rootA)
      assert.strictEqual(config.source("rootPubkey").kind, "file")
    })
  )

  it.live("is a service, from the environment, a file or values", () =>
    Effect.gen(function* () {
      const made = yield* directory({ "aster.toml": '[storage]\npath = "/s"' })
      const path_ = (layer: typeof AsterConfig.layerEnv) =>
        Effect.scoped(
          Effect.provide(
            AsterConfig.useSync(({ storagePath }) => storagePath),
            Layer.fresh(layer)
          )
        )
      assert.strictEqual(yield* path_(AsterConfig.layerFile(path.join(made, "aster.toml"))), "/s")
      assert.strictEqual(yield* path_(AsterConfig.layer({ storagePath: "/v" })), "/v")
      assert.isUndefined(yield* path_(AsterConfig.layerEnv))
      const given = ConfigProvider.layer(environment({ ASTER_STORAGE_PATH: "/p" }))
      assert.strictEqual(yield* path_(AsterConfig.layerEnv.pipe(Layer.provide(given))), "/p")
    })
  )
})

describe("errors name the place and the expectation", () => {
  const rejects = (toml: string, env: Record<string, string> = {}, inline: LoadOptions["inline"] = undefined) =>
    Effect.gen(function* () {
      const made = yield* directory({ "aster.toml": toml })
      const error = yield* Effect.flip(loadIn(made, env, { file: path.join(made, "aster.toml"), inline }))
      return { reason: error.reason, message: error.message.replaceAll(`${made}/`, "") }
    })

  it.live.each([
    [
      '[trust]\nallow_all_consumers = "false"',
      "InvalidValue",
      "aster.toml:2: [trust] allow_all_consumers: expected a TOML boolean (true or false, without quotation marks), got a string"
    ],
    [
      "[network]\n\nhook_timeout_ms = -1",
      "InvalidValue",
      "aster.toml:3: [network] hook_timeout_ms: expected a TOML integer, not negative, got a negative one"
    ],
    [
      "[network]\nhook_timeout_ms = 1.5",
      "InvalidValue",
      "aster.toml:2: [network] hook_timeout_ms: expected a TOML integer, not negative, got a float"
    ],
    [
      "[trust]\nallow_all_producers = -1",
      "InvalidValue",
      "aster.toml:2: [trust] allow_all_producers: expected a TOML boolean (true or false, without quotation marks), got an integer"
    ],
    ["[storage]\npath = 3", "InvalidValue", "aster.toml:2: [storage] path: expected a TOML string, got an integer"],
    [
      '[trust]\nroot_pubkey = "abcd"',
      "InvalidValue",
      "aster.toml:2: [trust] root_pubkey: expected 64 hex characters (32 bytes), got 4 characters"
    ],
    [
      `[trust]\nroot_pubkey = "${"0".repeat(64)}"`,
      "InvalidValue",
      "aster.toml:2: [trust] root_pubkey: expected an Ed25519 public key"
    ],
    ['[network]\nsecret_key = "AAAA"', "InvalidValue", "aster.toml:2: [network] secret_key: expected a 32-byte key"],
    [
      '[network]\nrelay_mode = "on"',
      "InvalidValue",
      "aster.toml:2: [network] relay_mode: expected default, disabled, staging, custom"
    ],
    [
      '[logging]\nlevel = "loud"',
      "InvalidValue",
      "aster.toml:2: [logging] level: expected debug, info, warning, error"
    ],
    [
      "[health]\nport = 65536",
      "InvalidValue",
      "aster.toml:2: [health] port: expected a decimal integer from 0 to 65535"
    ],
    [
      "[trust]\nallow_all_consumer = true",
      "UnknownKey",
      'aster.toml:2: [trust] allow_all_consumer: unknown key; did you mean "allow_all_consumers"?'
    ],
    ["\ntrust = 1", "InvalidValue", "aster.toml:2: trust: expected a table, got an integer"],
    [
      "# not in a table\nallow_all_consumers = false",
      "UnknownKey",
      "aster.toml:2: allow_all_consumers: unknown key; it belongs into [trust]"
    ],
    [
      '[network]\nroot_pubkey_file = "root.pub"',
      "UnknownKey",
      "aster.toml:2: [network] root_pubkey_file: unknown key; it belongs into [trust]"
    ],
    [
      '[trsut]\nroot_pubkey_file = "root.pub"',
      "UnknownKey",
      'aster.toml:1: [trsut]: unknown section; did you mean "trust"?'
    ],
    ["[trust\n", "InvalidToml", "aster.toml:1:7: not valid TOML"]
  ] as const)("%s", ([toml, reason, message]) =>
    Effect.gen(function* () {
      const error = yield* rejects(toml)
      assert.strictEqual(error.reason, reason)
      assert.include(error.message, message)
    })
  )

  it.live.each<readonly [string, string]>([
    ["ASTER_ALLOW_ALL_CONSUMERS", ""],
    ["ASTER_ALLOW_ALL_CONSUMERS", "maybe"],
    ["ASTER_HOOK_TIMEOUT_MS", "1e3"],
    ["ASTER_ROOT_PUBKEY", "xyz"],
    ["ASTER_SECRET_KEY", "bm90IDMyIGJ5dGVz"],
    ["ASTER_LOG_FORMAT", "xml"],
    ["ASTER_PORTMAPPER_CONFIG", "yes"]
  ])("%s=%j", ([variable, text]) =>
    Effect.gen(function* () {
      const error = yield* rejects("", { [variable]: text })
      assert.strictEqual(error.reason, "InvalidValue")
      assert.match(error.message, new RegExp(`^${variable}: expected `))
      if (text.length > 8) assert.notInclude(error.message, text)
    })
  )

  it.live("a value given in code is named by its option", () =>
    Effect.gen(function* () {
      const error = yield* rejects("", {}, { secretKey: new Uint8Array(3) })
      assert.match(error.message, /^option secretKey: expected a 32-byte key/)
    })
  )

  it.live("a file that is missing, a directory, too large or binary", () =>
    Effect.gen(function* () {
      const made = yield* directory({ large: "#".repeat(2_000_000) })
      yield* Effect.promise(() => fs.writeFile(path.join(made, "binary"), Uint8Array.of(0xff, 0xfe)))
      for (const [name, detail] of [
        ["absent.toml", "no such file"],
        [".", "not a regular file"],
        ["large", "too large"],
        ["binary", "not UTF-8"]
      ] as const) {
        const error = yield* Effect.flip(loadIn(made, {}, { file: path.join(made, name) }))
        assert.strictEqual(error.reason, "Unreadable")
        assert.include(error.message, detail)
      }
    })
  )

  it.live("5: a boolean written as a string does not open the gate", () =>
    Effect.gen(function* () {
      for (const text of ['"false"', '"true"', "0", "[]"]) {
        assert.strictEqual((yield* rejects(`[trust]\nallow_all_consumers = ${text}`)).reason, "InvalidValue")
      }
    })
  )

  it.live("a pipe is refused without waiting for a writer", () =>
    Effect.gen(function* () {
      const pipe = path.join(yield* directory(), "pipe")
      execFileSync("mkfifo", [pipe])
      const error = yield* Effect.flip(BoundedFile.read(pipe))
      assert.strictEqual(error.code, "ENOTFILE")
    }).pipe(Effect.timeout("5 seconds"))
  )

  it.live("an unknown key elsewhere is a warning that names the nearest one", () =>
    Effect.gen(function* () {
      const made = yield* directory({ "aster.toml": '[netwrk]\n[network]\nbind_adr = "x"\nzzz = 1' })
      const { lines, value } = yield* logged(loadIn(made, {}, { file: path.join(made, "aster.toml") }))
      const warnings = value.warnings.map((line) => line.replace(`${made}/`, ""))
      assert.deepStrictEqual(lines, value.warnings)
      assert.strictEqual(warnings[0], 'aster.toml:1: [netwrk]: unknown section; did you mean "network"?')
      assert.strictEqual(warnings[1], 'aster.toml:3: [network] bind_adr: unknown key; did you mean "bind_addr"?')
      assert.match(warnings[2] ?? "", /aster\.toml:4: \[network\] zzz: unknown key; known: secret_key, relay_mode/)
      assert.lengthOf(warnings, 3)
    })
  )
})

describe("identity file", () => {
  it.live("is found in the working directory and brings the node's key", () =>
    Effect.gen(function* () {
      const made = yield* directory({ ".aster-identity": identityText({}) })
      const config = yield* loadIn(made)
      assert.strictEqual(config.secretKey && SecretKey.toEndpointId(config.secretKey), nodeA.id)
      assert.strictEqual(config.source("secretKey").label, ".aster-identity")
      assert.strictEqual(config.identity?.explicit, false)
      assert.isUndefined((yield* loadIn(made, {}, { identity: false })).identity)
    })
  )

  it.live("a key from the environment beats it", () =>
    Effect.gen(function* () {
      const made = yield* directory({ ".aster-identity": identityText({}) })
      const config = yield* loadIn(made, { ASTER_SECRET_KEY: nodeB.secret })
      assert.strictEqual(config.secretKey && SecretKey.toEndpointId(config.secretKey), nodeB.id)
      assert.strictEqual(config.source("secretKey").label, "ASTER_SECRET_KEY")
    })
  )

  it.live("its key counts when a variable cleared the one from TOML", () =>
    Effect.gen(function* () {
      const toml = `[network]\nsecret_key = "${nodeB.secret}"`
      const made = yield* directory({ ".aster-identity": identityText({}), "aster.toml": toml })
      const config = yield* loadIn(made, { ASTER_SECRET_KEY: "" }, { file: path.join(made, "aster.toml") })
      assert.strictEqual(config.secretKey && SecretKey.toEndpointId(config.secretKey), nodeA.id)
      assert.strictEqual(config.source("secretKey").kind, "identity")
    })
  )

  it.live("6: a configured path that does not exist is an error, and does not fall back", () =>
    Effect.gen(function* () {
      const made = yield* directory({ ".aster-identity": identityText({}) })
      const missing = path.join(made, "absent")
      for (const [env, options, place] of [
        [{ ASTER_IDENTITY_FILE: missing }, {}, "ASTER_IDENTITY_FILE"],
        [{}, { identity: missing }, "option identity"],
        [{}, { inline: { identityFile: missing } }, "option identityFile"]
      ] as const) {
        const error = yield* Effect.flip(loadIn(made, env, options))
        assert.strictEqual(error.reason, "Unreadable")
        assert.isTrue(error.message.startsWith(`${place}: `), error.message)
        assert.include(error.message, missing)
      }
    })
  )

  it.live("a syntax error names the file", () =>
    Effect.gen(function* () {
      const made = yield* directory({ ".aster-identity": "[node" })
      assert.match((yield* Effect.flip(loadIn(made))).message, /\.aster-identity:1:6: not valid TOML/)
    })
  )

  it.live("one that others can read is a warning", () =>
    Effect.gen(function* () {
      const made = yield* directory({ ".aster-identity": identityText({}) })
      assert.deepStrictEqual((yield* loadIn(made)).warnings, [])
      yield* Effect.promise(() => fs.chmod(path.join(made, ".aster-identity"), 0o640))
      const { value } = yield* logged(loadIn(made))
      assert.match(value.warnings.join(), /others can read this node's secret key; run chmod 600/)
    })
  )

  it.live("16: one that belongs to another user is a warning", () =>
    Effect.gen(function* () {
      const made = yield* directory({ ".aster-identity": identityText({}) })
      // Only root can give a file away; everybody else checks that their own is not suspected.
      const isRoot = process.getuid?.() === 0
      if (isRoot) yield* Effect.promise(() => fs.chown(path.join(made, ".aster-identity"), 65_534, 65_534))
      const { value } = yield* logged(loadIn(made))
      assert.lengthOf(value.warnings, isRoot ? 1 : 0)
      if (isRoot) assert.match(value.warnings.join(), /belongs to another user, who thereby decides whom/)
    })
  )

  it.live("another one can take its place", () =>
    Effect.gen(function* () {
      const other = identityText({ name: "other" }).replace(nodeA.secret, nodeB.secret).replaceAll(nodeA.id, nodeB.id)
      const made = yield* directory({ ".aster-identity": identityText({}), other })
      const config = yield* AsterConfig.withIdentity(yield* loadIn(made), path.join(made, "other"))
      assert.strictEqual(config.secretKey && SecretKey.toEndpointId(config.secretKey), nodeB.id)
      assert.strictEqual(config.identity?.explicit, true)
      const fixed = yield* loadIn(made, { ASTER_SECRET_KEY: nodeA.secret })
      const kept = yield* AsterConfig.withIdentity(fixed, path.join(made, "other"))
      assert.strictEqual(kept.source("secretKey").label, "ASTER_SECRET_KEY")
    })
  )
})

describe("ConfigReport", () => {
  it.live("prints every value with its source, in the published form", () =>
    Effect.gen(function* () {
      const made = yield* directory({ ".aster-identity": identityText({}) })
      const config = yield* loadIn(made, { ASTER_STORAGE_PATH: "/data" })
      assert.strictEqual(
        ConfigReport.format(config),
        [
          "  [trust]",
          `    root_pubkey                 : ${rootA} (.aster-identity)`,
          "    root_pubkey_file            : <not set>                            (default)",
          "    enrollment_credential_file  : <not set>                            (default)",
          "    enrollment_credential_iid   : <not set>                            (default)",
          "    allow_all_consumers         : False                                (default)",
          "    allow_all_producers         : True                                 (default)",
          "  [connect]",
          "    endpoint_addr               : <not set>                            (default)",
          "  [network]",
          "    secret_key                  : ****...681eb8a1                      (.aster-identity)",
          "    relay_mode                  : <default>                            (default)",
          "    bind_addr                   : <any>                                (default)",
          "    enable_monitoring           : False                                (default)",
          "    enable_hooks                : False                                (default)",
          "  [storage]",
          "    path                        : /data                                (ASTER_STORAGE_PATH)"
        ].join("\n")
      )
    })
  )

  it.live("JSON holds the same values, with real booleans", () =>
    Effect.gen(function* () {
      const config = yield* loadIn(yield* directory(), { ASTER_ENABLE_HOOKS: "1", ASTER_ROOT_PUBKEY: rootB })
      const json = JSON.parse(ConfigReport.toJson(config))
      assert.deepStrictEqual(json.network.enable_hooks, { value: true, source: "ASTER_ENABLE_HOOKS" })
      assert.deepStrictEqual(json.trust.root_pubkey, { value: rootB, source: "ASTER_ROOT_PUBKEY" })
      assert.deepStrictEqual(json.storage.path, { value: null, source: "default" })
      assert.deepStrictEqual(Object.keys(json), ["trust", "connect", "network", "storage"])
      assert.match(ConfigReport.toJson(config), /^\{\n {2}"trust": \{\n {4}"root_pubkey": \{\n {6}"value"/)
    })
  )

  it.live("17: nor is one by a program that logs its configuration", () =>
    Effect.gen(function* () {
      const config = yield* loadIn(yield* directory(), {
        ASTER_SECRET_KEY: nodeA.secret,
        ASTER_ENROLLMENT_CREDENTIAL_IID: "a-signed-document"
      })
      const { identity, source, warnings, ...settings } = config
      const logged = [JSON.stringify(settings), inspect(settings), String(settings.enrollmentCredentialIid)].join()
      assert.notInclude(logged, "a-signed-document")
      assert.notInclude(logged, nodeA.secret)
      assert.deepStrictEqual([identity, typeof source, warnings], [undefined, "function", []])
    })
  )

  it.live("17: no part of a secret is printed", () =>
    Effect.gen(function* () {
      const hex = Buffer.from(nodeA.secret, "base64").toString("hex")
      const env = {
        ASTER_SECRET_KEY: nodeA.secret,
        ASTER_ENROLLMENT_CREDENTIAL_IID: "very-secret-document",
        ASTER_ENROLLMENT_CREDENTIAL: "/home/somebody/private/enrollment.token"
      }
      const config = yield* loadIn(yield* directory(), env)
      for (const text of [ConfigReport.format(config), ConfigReport.toJson(config)]) {
        assert.notInclude(text, hex.slice(-8))
        assert.notInclude(text, nodeA.secret.slice(-8))
        assert.notInclude(text, "document")
        assert.include(text, "****...llment.token")
        assert.notInclude(text, "somebody")
      }
    })
  )

  it.live("shows the root in force when it is settled", () =>
    Effect.gen(function* () {
      const config = yield* loadIn(yield* directory())
      const key = Result.getOrThrow(RootPublicKey.fromHex(rootB))
      const text = ConfigReport.format(config, { root: { key, source: "ephemeral (dev mode)" } })
      assert.include(text, `${rootB} (ephemeral (dev mode))`)
    })
  )
})

describe("environments of all kinds", () => {
  it.live("unrelated variables do no harm", () =>
    Effect.gen(function* () {
      const env = { PATH: "/bin", ASTER: "1", ASTER_: "2", ASTER_ROOT: "3", ASTER_ROOT_PUBKEY_FILE_X: "4" }
      const config = yield* AsterConfig.load({ environment: environment(env), workingDirectory: yield* directory() })
      assert.isUndefined(config.rootPubkey)
      assert.isUndefined(config.rootPubkeyFile)
    })
  )
})

describe("what is easily overlooked", () => {
  it.live("paths in a file are meant from where the file is", () =>
    Effect.gen(function* () {
      const toml = '[trust]\nroot_pubkey_file = "root.pub"\n[storage]\npath = "../state"\n'
      const made = yield* directory({ "etc/aster.toml": toml })
      const config = yield* loadIn(made, { ASTER_ENROLLMENT_CREDENTIAL: "here.token" }, { file: "etc/aster.toml" })
      assert.strictEqual(config.rootPubkeyFile, path.join(made, "etc", "root.pub"))
      assert.strictEqual(config.storagePath, path.join(made, "state"))
      assert.strictEqual(config.enrollmentCredentialFile, "here.token")
    })
  )

  it.live.each(["localhost:1", "127.0.0.1", "127.0.0.1:99999", "300.1.1.1:1", "::1:5", "[127.0.0.1]:5", ":0"])(
    "%s is no address to listen on",
    (address) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(loadIn(yield* directory(), { ASTER_BIND_ADDR: address }))
        assert.match(error.message, /^ASTER_BIND_ADDR: expected an IP address and a port/)
      })
  )

  it.live("a variable that is nearly one, and quotation marks in a path, get a word", () =>
    Effect.gen(function* () {
      const env = { ASTER_STORAGE_PAHT: "x", ASTER_STORAGE_PATH: '"/var/lib"', ASTER_SOMETHING_OF_ANOTHER_PROGRAM: "x" }
      const { warnings } = yield* loadIn(yield* directory(), env)
      assert.lengthOf(warnings, 2)
      assert.include(warnings.join(), "ASTER_STORAGE_PAHT: there is no such variable; did you mean ASTER_STORAGE_PATH?")
      assert.include(warnings.join(), "ASTER_STORAGE_PATH: the quotation marks are taken as part of the path")
    })
  )

  it.live("files that others can change get a word, and so do those that they can replace", () =>
    Effect.gen(function* () {
      const made = yield* directory({ ".aster-identity": identityText({}), "aster.toml": "" })
      const warned = Effect.map(loadIn(made, {}, { file: "aster.toml" }), ({ warnings }) => warnings)
      assert.deepStrictEqual(yield* warned, [])
      yield* Effect.promise(() => fs.chmod(path.join(made, ".aster-identity"), 0o602))
      assert.match((yield* warned).join(), /\.aster-identity: others can change it/)
      yield* Effect.promise(() => fs.chmod(path.join(made, ".aster-identity"), 0o600))
      yield* Effect.promise(() => fs.chmod(made, 0o777))
      assert.lengthOf(yield* warned, 2)
      yield* Effect.promise(() => fs.chmod(made, 0o1777))
      assert.deepStrictEqual(yield* warned, [])
    })
  )

  it.live("no secret is shown by a configuration that is printed or stringified", () =>
    Effect.gen(function* () {
      const made = yield* directory({ ".aster-identity": identityText({}) })
      const config = yield* loadIn(made, {
        ASTER_ENROLLMENT_CREDENTIAL_IID: "token-of-the-instance",
        ASTER_PROXY_URL: "http://user:hunter2@proxy"
      })
      const signature = config.identity?.file.peers[0]?.signature
      const secrets = [nodeA.secret, "token-of-the-instance", "hunter2", signature && Redacted.value(signature)]
      for (const text of [JSON.stringify(config), inspect(config, { depth: 10, showHidden: true })]) {
        for (const secret of secrets) assert.notInclude(text, secret ?? assert.fail("no signature"))
      }
    })
  )

  it("an empty or relative HOME is not the working directory", () => {
    const home = process.env["HOME"]
    try {
      for (const wrong of ["", "here"]) {
        process.env["HOME"] = wrong
        assert.isTrue(path.isAbsolute(expandHome("~/x")))
        assert.notStrictEqual(expandHome("~/x"), "/x")
        assert.isFalse(expandHome("~/x").startsWith(process.cwd()))
      }
    } finally {
      process.env["HOME"] = home
    }
  })
})
