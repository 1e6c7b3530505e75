import type { LoadOptions } from "@aster-effect/config/AsterConfig"
import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as ServerTrust from "@aster-effect/trust/ServerTrust"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import * as path from "node:path"
import { directory, identityText, loadIn, logged, nodeA, nodeB, rootA, rootB } from "../config/Fixture.ts"

const key = (hex: string) => Result.getOrThrow(RootPublicKey.fromHex(hex))

interface Setup {
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Record<string, string>
  readonly load?: LoadOptions
  readonly server?: ServerTrust.ServerTrustOptions
}

/** Resolves in a fresh directory; `DIR` in variables stands for it. */
const resolve = Effect.fnUntraced(function* ({ env = {}, files, load, server }: Setup) {
  const made = yield* directory(files)
  const variables = Object.fromEntries(Object.entries(env).map(([name, text]) => [name, text.replace("DIR", made)]))
  return yield* ServerTrust.resolve(yield* loadIn(made, variables, load), server)
})

const rootOf = ({ root }: ServerTrust.ServerTrust): string => (root._tag === "Pinned" ? root.anchor.key : root._tag)

const identity = { ".aster-identity": identityText({}) }

describe("gates, for every set-up of the documentation", () => {
  it.live.each<readonly [string, Setup, string, string, string]>([
    ["nothing", {}, "open", "open", "Ephemeral"],
    ["inline root only", { server: { rootPubkey: key(rootA) } }, "closed", "open", rootA],
    [
      "inline root, inline consumers=false",
      { server: { rootPubkey: key(rootA), allowAllConsumers: false } },
      "closed",
      "open",
      rootA
    ],
    [
      "1: config consumers=false, no root",
      { load: { inline: { allowAllConsumers: false } } },
      "closed",
      "open",
      "Ephemeral"
    ],
    ["config root, nothing else", { load: { inline: { rootPubkey: rootA } } }, "closed", "open", rootA],
    [
      "config root + consumers=false",
      { load: { inline: { rootPubkey: rootA, allowAllConsumers: false } } },
      "closed",
      "open",
      rootA
    ],
    ["config consumers=true", { load: { inline: { allowAllConsumers: true } } }, "open", "open", "None"],
    [
      "config consumers=true, producers=false",
      { load: { inline: { allowAllConsumers: true, allowAllProducers: false } } },
      "open",
      "closed",
      "Ephemeral"
    ],
    ["inline consumers=false, no root", { server: { allowAllConsumers: false } }, "closed", "open", "Ephemeral"],
    ["inline producers=false, no root", { server: { allowAllProducers: false } }, "open", "closed", "Ephemeral"],
    ["1: identity file only", { files: identity }, "closed", "open", rootA],
    [
      "identity file + inline consumers=false",
      { files: identity, server: { allowAllConsumers: false } },
      "closed",
      "open",
      rootA
    ],
    [
      "1: identity file + env consumers=false",
      { files: identity, env: { ASTER_ALLOW_ALL_CONSUMERS: "false" } },
      "closed",
      "open",
      rootA
    ],
    [
      "identity file + the same env root",
      { files: identity, env: { ASTER_ROOT_PUBKEY: rootA } },
      "closed",
      "open",
      rootA
    ],
    ["env root", { env: { ASTER_ROOT_PUBKEY: rootB } }, "closed", "open", rootB],
    [
      "env root file, good",
      { files: { "root.pub": `{"public_key":"${rootB}"}` }, env: { ASTER_ROOT_PUBKEY_FILE: "DIR/root.pub" } },
      "closed",
      "open",
      rootB
    ],
    [
      "env root file, bare hex",
      { files: { "root.pub": ` ${rootB}\n` }, env: { ASTER_ROOT_PUBKEY_FILE: "DIR/root.pub" } },
      "closed",
      "open",
      rootB
    ],
    [
      "inline flag beats env flag",
      { env: { ASTER_ALLOW_ALL_CONSUMERS: "true" }, server: { allowAllConsumers: false } },
      "closed",
      "open",
      "Ephemeral"
    ],
    [
      "identity without a producer, root from env",
      { files: { ".aster-identity": identityText({ role: "consumer" }) }, env: { ASTER_ROOT_PUBKEY: rootB } },
      "closed",
      "open",
      rootB
    ],
    [
      "identity without a producer, explicit flag",
      { files: { ".aster-identity": identityText({ role: "consumer" }) }, env: { ASTER_ALLOW_ALL_CONSUMERS: "true" } },
      "open",
      "open",
      "None"
    ]
  ])("%s", ([, setup, consumers, producers, root]) =>
    Effect.gen(function* () {
      const { value: trust } = yield* logged(resolve(setup))
      assert.deepStrictEqual([trust.consumers, trust.producers, rootOf(trust)], [consumers, producers, root])
    })
  )

  it.live.each<readonly [string, Setup, string, RegExp]>([
    [
      "identity file + env root (other key)",
      { files: identity, env: { ASTER_ROOT_PUBKEY: rootB } },
      "Conflict",
      new RegExp(
        `\\.aster-identity: \\[\\[peers\\]\\] root_pubkey: ${rootA} differs from ${rootB} \\(ASTER_ROOT_PUBKEY\\)`
      )
    ],
    [
      "identity file + inline root (other key)",
      { files: identity, server: { rootPubkey: key(rootB) } },
      "Conflict",
      /\(inline\)/
    ],
    [
      "env root file, absent",
      { env: { ASTER_ROOT_PUBKEY_FILE: "DIR/absent" } },
      "Unreadable",
      /^ASTER_ROOT_PUBKEY_FILE: .*no such file/
    ],
    [
      "env root file, nonsense",
      { files: { "root.pub": "{}" }, env: { ASTER_ROOT_PUBKEY_FILE: "DIR/root.pub" } },
      "InvalidValue",
      /root\.pub: expected JSON with a "public_key".*ASTER_ROOT_PUBKEY_FILE/
    ],
    [
      "env root file, short",
      { files: { "root.pub": '{"public_key":"ab"}' }, env: { ASTER_ROOT_PUBKEY_FILE: "DIR/root.pub" } },
      "InvalidValue",
      /expected 64 hex/
    ],
    [
      "variable and file given, and they differ",
      { files: { "root.pub": rootB }, env: { ASTER_ROOT_PUBKEY: rootA, ASTER_ROOT_PUBKEY_FILE: "DIR/root.pub" } },
      "Conflict",
      /^ASTER_ROOT_PUBKEY: names another root key than ASTER_ROOT_PUBKEY_FILE/
    ],
    [
      "6: unknown peer name",
      { files: identity, server: { peer: "q" } },
      "UnknownPeer",
      /no entry named "q"; known names: "p"/
    ],
    [
      "6: a peer name without an identity file",
      { server: { peer: "q" } },
      "UnknownPeer",
      /option peer: "q" asks for an entry/
    ],
    [
      "6: a peer of the other role",
      { files: { ".aster-identity": identityText({ role: "consumer" }) }, server: { peer: "p" } },
      "WrongRole",
      /needs an entry with role "producer"/
    ],
    [
      "admission required without a root key",
      { files: { ".aster-identity": identityText({ role: "consumer" }) } },
      "MissingRootKey",
      /\.aster-identity: no entry with role "producer".*ASTER_ROOT_PUBKEY_FILE/
    ],
    [
      "an entry of another node",
      { files: { ".aster-identity": identityText({ endpointId: nodeB.id }) } },
      "EndpointMismatch",
      new RegExp(`was issued to ${nodeB.id}, and the secret key from \\.aster-identity is ${nodeA.id}`)
    ],
    [
      "a secret key from the environment that is another node's",
      { files: identity, env: { ASTER_SECRET_KEY: nodeB.secret } },
      "EndpointMismatch",
      /secret key from ASTER_SECRET_KEY/
    ],
    [
      "an entry and no node key",
      { files: { ".aster-identity": identityText({}).replace(/secret_key.*\n/, "") } },
      "InvalidValue",
      /\[node\] secret_key: entry "p" cannot be used without/
    ]
  ])("%s is an error", ([, setup, reason, message]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(resolve(setup))
      assert.strictEqual(error.reason, reason)
      assert.match(error.message, message)
    })
  )
})

describe("root key and file", () => {
  const tomlRoot = (made: string) => ({ file: path.join(made, "aster.toml") })

  it.live("the stronger source wins: a variable naming a file beats a TOML value", () =>
    Effect.gen(function* () {
      const made = yield* directory({ "aster.toml": `[trust]\nroot_pubkey = "${rootA}"`, "root.pub": rootB })
      const env = { ASTER_ROOT_PUBKEY_FILE: path.join(made, "root.pub") }
      const trust = yield* ServerTrust.resolve(yield* loadIn(made, env, tomlRoot(made)))
      assert.deepStrictEqual(trust.root, {
        _tag: "Pinned",
        anchor: { key: key(rootB), source: "ASTER_ROOT_PUBKEY_FILE" }
      })
    })
  )

  it.live("and a variable's value beats a file that TOML names, even an absent one", () =>
    Effect.gen(function* () {
      const made = yield* directory({ "aster.toml": '[trust]\nroot_pubkey_file = "/absent"' })
      const trust = yield* ServerTrust.resolve(yield* loadIn(made, { ASTER_ROOT_PUBKEY: rootA }, tomlRoot(made)))
      assert.strictEqual(rootOf(trust), rootA)
    })
  )

  it.live("one source may give both when they agree", () =>
    Effect.gen(function* () {
      const trust = yield* resolve({
        files: { "root.pub": rootA },
        env: { ASTER_ROOT_PUBKEY: rootA, ASTER_ROOT_PUBKEY_FILE: "DIR/root.pub" }
      })
      assert.strictEqual(rootOf(trust), rootA)
    })
  )
})

describe("warnings", () => {
  it.live("dev mode warns once, and names the ways out", () =>
    Effect.gen(function* () {
      const { lines, value } = yield* logged(resolve({}))
      assert.lengthOf(lines, 1)
      assert.match(lines[0] ?? "", /every consumer is let in.*ASTER_IDENTITY_FILE.*ASTER_ROOT_PUBKEY_FILE/)
      assert.deepStrictEqual(value.warnings, lines)
    })
  )

  it.live("a closed gate without a root key says that only this process can sign", () =>
    Effect.gen(function* () {
      const { lines } = yield* logged(resolve({ env: { ASTER_ALLOW_ALL_CONSUMERS: "0" } }))
      assert.match(lines.join("\n"), /only credentials signed in this process will be accepted/)
      assert.deepStrictEqual((yield* logged(resolve({ files: identity }))).lines, [])
    })
  )

  it.effect("an expired producer credential is a warning: the server can still serve", () =>
    Effect.gen(function* () {
      const files = { ".aster-identity": identityText({ expiresAt: 100 }) }
      yield* TestClock.setTime(99_999)
      assert.deepStrictEqual((yield* logged(resolve({ files }))).lines, [])
      yield* TestClock.setTime(100_000)
      const { lines, value } = yield* logged(resolve({ files }))
      assert.match(lines.join(), /the producer credential has expired; enrol this node again/)
      assert.strictEqual(value.consumers, "closed")
    })
  )
})

it.live("the identity's key is the node's", () =>
  Effect.gen(function* () {
    const { peer, secretKey } = yield* resolve({ files: identity, server: { peer: "p" } })
    assert.strictEqual(secretKey && SecretKey.toEndpointId(secretKey), nodeA.id)
    assert.strictEqual(peer?.name, "p")
  })
)
