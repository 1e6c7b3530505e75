import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as ClientTrust from "@aster-effect/trust/ClientTrust"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import * as path from "node:path"
import { directory, identityText, loadIn, logged, nodeA, nodeB, rootA, rootB } from "../config/Fixture.ts"

const consumer = { role: "consumer", name: "c" } as const
const files = {
  ".aster-identity": identityText({}, consumer),
  named: identityText({ ...consumer, name: "named" }),
  "env.cred": `# env\n${identityText({ ...consumer, name: "env" })}`,
  "toml.cred": identityText({ ...consumer, name: "toml" }),
  "token.json": '{"type":"policy"}',
  "aster.toml": '[trust]\nenrollment_credential = "DIR/toml.cred"'
}

/** Which credential a client of these settings presents. */
const presented = ({ credential }: ClientTrust.ClientTrust): string =>
  credential._tag === "Entry" ? (credential.entry.name ?? "") : credential._tag

describe("ClientTrust", () => {
  const setup = Effect.gen(function* () {
    const made = yield* directory(files)
    return {
      file: (name: string) => path.join(made, name),
      load: (env: Record<string, string> = {}, options: Parameters<typeof loadIn>[2] = {}) => loadIn(made, env, options)
    }
  })

  it.live("presents, strongest first: an argument, a named identity, a variable, a found identity", () =>
    Effect.gen(function* () {
      const { file, load } = yield* setup
      const variable = { ASTER_ENROLLMENT_CREDENTIAL: file("env.cred") }
      const named = { ...variable, ASTER_IDENTITY_FILE: file("named") }
      const argument = { enrollmentCredentialFile: file("token.json") }
      assert.strictEqual(presented(yield* ClientTrust.resolve(yield* load(named), argument)), "Json")
      assert.strictEqual(presented(yield* ClientTrust.resolve(yield* load(named))), "named")
      assert.strictEqual(presented(yield* ClientTrust.resolve(yield* load(variable))), "env")
      assert.strictEqual(presented(yield* ClientTrust.resolve(yield* load())), "c")
      const inline = { inline: { enrollmentCredentialFile: file("env.cred") } }
      assert.strictEqual(presented(yield* ClientTrust.resolve(yield* load({}, inline))), "env")
    })
  )

  it.live("a credential file from TOML comes last, and none is possible", () =>
    Effect.gen(function* () {
      const made = yield* directory({ "toml.cred": files["toml.cred"] })
      const toml = yield* directory({ "aster.toml": files["aster.toml"].replace("DIR", made) })
      const options = { file: path.join(toml, "aster.toml") }
      assert.strictEqual(presented(yield* ClientTrust.resolve(yield* loadIn(toml, {}, options))), "toml")
      const both = yield* directory({ ".aster-identity": files[".aster-identity"] })
      assert.strictEqual(presented(yield* ClientTrust.resolve(yield* loadIn(both, {}, options))), "c")
      assert.strictEqual(presented(yield* ClientTrust.resolve(yield* loadIn(made))), "None")
    })
  )

  it.live("a TOML credential file brings the node's key when there is no other", () =>
    Effect.gen(function* () {
      const { file, load } = yield* setup
      const options = { enrollmentCredentialFile: file("env.cred") }
      const alone = yield* ClientTrust.resolve(yield* load({}, { identity: false }), options)
      assert.strictEqual(alone.secretKey && SecretKey.toEndpointId(alone.secretKey), nodeA.id)
      const other = yield* load({ ASTER_SECRET_KEY: nodeB.secret }, { identity: false })
      const error = yield* Effect.flip(ClientTrust.resolve(other, options))
      assert.strictEqual(error.reason, "EndpointMismatch")
      assert.include(error.message, "secret key from ASTER_SECRET_KEY")
    })
  )

  it.live("a credential file beats a merely found identity together with its key, but not a named one", () =>
    Effect.gen(function* () {
      const other = identityText(consumer).replace(nodeA.secret, nodeB.secret).replaceAll(nodeA.id, nodeB.id)
      const made = yield* directory({ ".aster-identity": identityText(consumer), "b.cred": other })
      const env = { ASTER_ENROLLMENT_CREDENTIAL: path.join(made, "b.cred") }
      const { secretKey } = yield* ClientTrust.resolve(yield* loadIn(made, env))
      assert.strictEqual(secretKey && SecretKey.toEndpointId(secretKey), nodeB.id)
      const named = yield* loadIn(made, {}, { identity: path.join(made, ".aster-identity") })
      const options = { enrollmentCredentialFile: path.join(made, "b.cred") }
      assert.strictEqual((yield* Effect.flip(ClientTrust.resolve(named, options))).reason, "EndpointMismatch")
    })
  )

  it.live("an identity file without a consumer entry leaves a configured credential file its turn", () =>
    Effect.gen(function* () {
      const made = yield* directory({
        ".aster-identity": identityText({}),
        "toml.cred": files["toml.cred"]
      })
      const toml = yield* directory({ "aster.toml": files["aster.toml"].replace("DIR", made) })
      const config = yield* loadIn(made, {}, { file: path.join(toml, "aster.toml") })
      assert.strictEqual(presented(yield* ClientTrust.resolve(config)), "toml")
    })
  )

  it.live("an identity file without a consumer entry connects without a credential, and warns", () =>
    Effect.gen(function* () {
      const made = yield* directory({ ".aster-identity": identityText({}) })
      const { lines, value } = yield* logged(Effect.flatMap(loadIn(made), (config) => ClientTrust.resolve(config)))
      assert.strictEqual(presented(value), "None")
      assert.match(lines.join(), /no entry with role "consumer"; connecting without a credential/)
    })
  )

  it.live("names what is wrong before anything is sent", () =>
    Effect.gen(function* () {
      const { file, load } = yield* setup
      const key = Result.getOrThrow(RootPublicKey.fromHex(rootB))
      const cases = [
        [{}, { peer: "x" }, "UnknownPeer", /known names: "p", "c"/],
        [{}, { peer: "p" }, "WrongRole", /needs an entry with role "consumer"/],
        [{}, { rootPubkey: key }, "Conflict", /differs from/],
        [{ ASTER_ROOT_PUBKEY: rootB }, {}, "Conflict", /ASTER_ROOT_PUBKEY/],
        [{ ASTER_SECRET_KEY: nodeB.secret }, {}, "EndpointMismatch", /issued to/],
        [{}, { enrollmentCredentialFile: file("absent") }, "Unreadable", /the credential file: .*no such file/]
      ] as const
      for (const [env, options, reason, message] of cases) {
        const error = yield* Effect.flip(ClientTrust.resolve(yield* load(env), options))
        assert.strictEqual(error.reason, reason)
        assert.match(error.message, message)
      }
      const missing = yield* Effect.flip(ClientTrust.resolve(yield* load({}, { identity: false }), { peer: "c" }))
      assert.strictEqual(missing.reason, "UnknownPeer")
    })
  )

  it.live("12: a credential bound to no node is presented with a warning", () =>
    Effect.gen(function* () {
      const unbound = identityText(consumer).replaceAll(/^endpoint_id = .*\n/gm, "")
      const made = yield* directory({ ".aster-identity": unbound })
      const { lines, value } = yield* logged(Effect.flatMap(loadIn(made), (config) => ClientTrust.resolve(config)))
      assert.strictEqual(presented(value), "c")
      assert.match(lines.join(), /bound to no node, so whoever it is shown to can use it/)
    })
  )

  it.effect("an expired credential is not presented", () =>
    Effect.gen(function* () {
      const made = yield* directory({ ".aster-identity": identityText({ ...consumer, expiresAt: 100 }) })
      const config = yield* loadIn(made)
      yield* TestClock.setTime(99_999)
      assert.strictEqual(presented(yield* ClientTrust.resolve(config)), "c")
      yield* TestClock.setTime(100_000)
      const error = yield* Effect.flip(ClientTrust.resolve(config))
      assert.strictEqual(error.reason, "ExpiredCredential")
      assert.match(error.message, /expired on 1970-01-01T00:01:40\.000Z; enrol this node again/)
    })
  )

  it.live("24: pins the deployment's root key, from the credential when nothing else names it", () =>
    Effect.gen(function* () {
      const { load } = yield* setup
      const { root } = yield* ClientTrust.resolve(yield* load())
      assert.deepStrictEqual(root && [root.key, root.source], [rootA, ".aster-identity"])
      const configured = yield* ClientTrust.resolve(yield* load({ ASTER_ROOT_PUBKEY: rootB }, { identity: false }))
      assert.strictEqual(configured.root?.key, rootB)
    })
  )
})
