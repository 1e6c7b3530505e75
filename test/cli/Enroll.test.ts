import { Keyring } from "@aster-effect/cli/Keyring"
import type * as IdentityFile from "@aster-effect/config/IdentityFile"
import * as CredentialFile from "@aster-effect/trust/CredentialFile"
import * as RootKey from "@aster-effect/trust/RootKey"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs/promises"
import { enrolling, now, sandbox, seedIn } from "./Sandbox.ts"

const enrol = "enroll node --key-file root.key"

/** The credential of an entry, its signature checked. */
const credentialOf = (peer: IdentityFile.IdentityEntry | undefined) =>
  Result.getOrThrow(CredentialFile.fromEntry(peer ?? assert.fail("no entry"), "file"))

describe("aster enroll node", () => {
  it.effect("makes an identity that verifies, with mode 0600", () =>
    Effect.gen(function* () {
      const { aster, identity, mode, read } = yield* enrolling
      const { code, err, out } = yield* aster(`${enrol} --role producer --name billing`)
      assert.deepStrictEqual([code, err], [0, ""])
      assert.strictEqual(yield* mode(".aster-identity"), "600")
      const { node, peers } = yield* identity()
      const credential = credentialOf(peers[0])
      assert.strictEqual(credential.kind, "producer")
      assert.strictEqual(credential.endpointId, node?.endpointId)
      assert.strictEqual(credential.expiresAt, BigInt(now / 1000 + 30 * 86_400))
      assert.deepStrictEqual([...credential.attributes], [["aster.role", "producer"]])
      assert.include(out, "2030-01-31T00:00:00+00:00")
      const secrets = [seedIn(yield* read("root.key")), /secret_key = "(.*)"/.exec(yield* read(".aster-identity"))?.[1]]
      for (const secret of secrets) assert.notInclude(out, secret ?? assert.fail("no secret"))
    })
  )

  it.effect("--quiet prints path, endpoint id and expiry", () =>
    Effect.gen(function* () {
      const { aster, identity } = yield* enrolling
      const { out } = yield* aster(`${enrol} -r consumer -n ops -e 1h30m -o ops.cred -q`)
      const { node } = yield* identity("ops.cred")
      assert.strictEqual(out, `ops.cred ${node?.endpointId} 2030-01-01T01:30:00+00:00`)
    })
  )

  it.effect("adds to the file, keeps its key, replaces the entry of that name", () =>
    Effect.gen(function* () {
      const { aster, identity } = yield* enrolling
      yield* aster(`${enrol} --role producer --name a`)
      const { node } = yield* identity()
      yield* aster(`${enrol} --role consumer --name b`)
      yield* aster(`${enrol} --role consumer --name a --identity .aster-identity --out ignored`)
      const after = yield* identity()
      assert.strictEqual(after.node?.endpointId, node?.endpointId)
      assert.deepStrictEqual(
        after.peers.map(({ name, role }) => [name, role]),
        [
          ["b", "consumer"],
          ["a", "consumer"]
        ]
      )
      for (const peer of after.peers) assert.strictEqual(credentialOf(peer).endpointId, node?.endpointId)
    })
  )

  it.effect("capabilities become the role and beat --attributes", () =>
    Effect.gen(function* () {
      const { aster, identity, run } = yield* enrolling
      yield* aster(`${enrol} -r consumer -n a -c ops.status,ops.logs -a team=x,aster.role=admin`)
      yield* run([...`${enrol} -r consumer -n b -a`.split(" "), '{"team":"a, b"}'])
      const [a, b] = (yield* identity()).peers
      assert.deepStrictEqual(Object.fromEntries(credentialOf(a).attributes), {
        "aster.role": "ops.status,ops.logs",
        team: "x"
      })
      assert.deepStrictEqual(Object.fromEntries(credentialOf(b).attributes), { "aster.role": "consumer", team: "a, b" })
    })
  )

  it.effect("a one-time token has a nonce of its own", () =>
    Effect.gen(function* () {
      const { aster, identity } = yield* enrolling
      yield* aster(`${enrol} -r consumer -n a -t ott`)
      yield* aster(`${enrol} -r consumer -n b -t ott`)
      const [a, b] = (yield* identity()).peers
      const nonces = [credentialOf(a), credentialOf(b)].map((one) => (one.kind === "consumer" ? one.nonce : undefined))
      assert.match(nonces[0] ?? "", /^[0-9a-f]{64}$/)
      assert.notStrictEqual(nonces[0], nonces[1])
    })
  )

  it.effect("puts back the attributes that release 0.1.2 left out", () =>
    Effect.gen(function* () {
      const { aster, identity, read, write } = yield* enrolling
      yield* aster(`${enrol} -r producer -n a`)
      yield* write(".aster-identity", (yield* read(".aster-identity")).replace(/^attributes.*$/m, ""))
      yield* aster(`${enrol} -r consumer -n b`)
      const [a] = (yield* identity()).peers
      assert.deepStrictEqual([...(a?.attributes ?? [])], [["aster.role", "producer"]])
    })
  )

  it.effect.each([
    ["-r producer -n a -t ott", 2, "--type ott is for consumers"],
    ["-r boss -n a", 2, "--role"],
    ["-n a", 2, "--role"],
    ["-r consumer", 2, "--name"],
    ['-r consumer -n a"b', 1, "--name"],
    ["-r consumer -n a -e 0d", 1, "--expires"],
    ["-r consumer -n a -e 1w", 1, "--expires"],
    ["-r consumer -n a -e 2029-12-31", 1, "in the past"],
    ["-r consumer -n a -a team", 1, "--attributes"],
    ["-r consumer -n a -a team=a,b", 1, "a value with a comma"],
    ['-r consumer -n a -a team="x"', 1, "quotes"],
    ["-r consumer -n a -a team=a,team=b", 1, "twice"],
    ["-r consumer -n a -c ,", 1, "--capabilities"],
    [`-r consumer -n a -a team=${"x".repeat(5000)}`, 1, "no server would accept"],
    ["-r consumer -n a --signer kms", 1, "no signer"],
    ["-r consumer -n a --profile a.b", 1, "profile name"]
  ] as const)("refuses %s", ([flags, code, words]) =>
    Effect.gen(function* () {
      const { aster, list } = yield* enrolling
      const refused = yield* aster(`${enrol} ${flags}`)
      assert.strictEqual(refused.code, code)
      assert.include(refused.err, words)
      assert.strictEqual(refused.out, "")
      assert.deepStrictEqual(yield* list("."), ["root.key", "root.pub"])
    })
  )

  it.effect("does not touch a file that is no identity", () =>
    Effect.gen(function* () {
      const { aster, read, write } = yield* enrolling
      yield* write("x.cred", "[node]\nsecret_key = 1\n")
      const { code, err } = yield* aster(`${enrol} -r consumer -n a -o x.cred`)
      assert.strictEqual(code, 1)
      assert.include(err, "x.cred:2: [node] secret_key")
      assert.strictEqual(yield* read("x.cred"), "[node]\nsecret_key = 1\n")
    })
  )

  it.effect("notes the file in .gitignore, once", () =>
    Effect.gen(function* () {
      const { aster, file, read, write } = yield* enrolling
      yield* Effect.promise(() => fs.mkdir(file(".git")))
      yield* write(".gitignore", "node_modules")
      assert.include((yield* aster(`${enrol} -r consumer -n a -o sub/#1.cred`)).out, ".gitignore")
      yield* aster(`${enrol} -r consumer -n b -o sub/#1.cred`)
      assert.strictEqual(yield* read(".gitignore"), "node_modules\n# Aster node identity (secret)\n\\#1.cred\n")
    })
  )
})

describe("the root key to sign with", () => {
  const node = "enroll node --role consumer --name a"

  it.effect("--root-key that does not exist is an error, not a reason to look elsewhere", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      yield* aster("keygen root")
      const { code, err } = yield* aster(`${node} --root-key nowhere.key`)
      assert.strictEqual(code, 1)
      assert.include(err, "nowhere.key")
    })
  )

  it.effect("comes from the keyring, else from ~/.aster/root.key, else both ways out are named", () =>
    Effect.gen(function* () {
      const inKeyring = yield* sandbox()
      yield* inKeyring.aster("keygen root")
      assert.strictEqual((yield* inKeyring.aster(node)).code, 0)

      const inFile = yield* sandbox(Keyring.layerUnavailable("none in this test"))
      yield* inFile.aster("keygen root --out ~/.aster/root.key")
      assert.strictEqual((yield* inFile.aster(node)).code, 0)

      const nowhere = yield* sandbox(Keyring.layerUnavailable("none in this test"))
      const { code, err } = yield* nowhere.aster(node)
      assert.strictEqual(code, 1)
      assert.include(err, "--key-file PATH")
      assert.include(err, "aster keygen root")
    })
  )

  it.effect("is not borrowed from another profile", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox(Keyring.layerUnavailable("none in this test"))
      yield* aster("keygen root --out ~/.aster/root.key --profile prod")
      yield* aster("profile create staging")
      const { code, err } = yield* aster(`${node} --profile staging`)
      assert.strictEqual(code, 1)
      assert.include(err, "is that of profile prod, and profile staging has none")
      assert.strictEqual((yield* aster(`${node} --profile prod`)).code, 0)
    })
  )

  it.effect("a key file that others can read is refused", () =>
    Effect.gen(function* () {
      const { aster, file } = yield* enrolling
      yield* Effect.promise(() => fs.chmod(file("root.key"), 0o640))
      const { code, err } = yield* aster(`${enrol} -r consumer -n a`)
      assert.strictEqual(code, 1)
      assert.include(err, "chmod 600")
    })
  )

  it.effect("must be the one the profile has on record", () =>
    Effect.gen(function* () {
      const { aster, keyring } = yield* sandbox()
      yield* aster("keygen root")
      yield* keyring.set("default", yield* RootKey.generate)
      const { code, err } = yield* aster(node)
      assert.strictEqual(code, 1)
      assert.include(err, "is not the one of profile default")
    })
  )

  it.effect("a named file beats the active profile with a warning, but not a named profile", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      yield* aster("keygen root --profile prod")
      yield* aster("keygen root --profile dev --out dev.key")
      const implicit = yield* aster(`${node} --root-key dev.key`)
      assert.strictEqual(implicit.code, 0)
      assert.include(implicit.err, "Warning: the root key in dev.key is not the one of the active profile prod")
      const explicit = yield* aster(`${node} --root-key dev.key --profile prod`)
      assert.strictEqual(explicit.code, 1)
      assert.include(explicit.err, "is not the one of profile prod")
    })
  )

  it.effect("a damaged file says what is wrong with it", () =>
    Effect.gen(function* () {
      const { aster, read, write } = yield* enrolling
      const { private_key } = JSON.parse(yield* read("root.key"))
      yield* write("root.key", JSON.stringify({ private_key, public_key: "ab".repeat(32) }))
      const { code, err } = yield* aster(`${enrol} -r consumer -n a`)
      assert.strictEqual(code, 1)
      assert.include(err, "does not belong to private_key")
      assert.notInclude(err, private_key)
    })
  )
})
