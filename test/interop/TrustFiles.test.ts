/** Files that the reference writes are read here, and those written here by the reference. */
import { AsterConfig } from "@aster-effect/config/AsterConfig"
import * as ConfigReport from "@aster-effect/config/ConfigReport"
import * as IdentityFile from "@aster-effect/config/IdentityFile"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { ProducerMesh } from "@aster-effect/mesh/ProducerMesh"
import * as Credential from "@aster-effect/trust/Credential"
import * as CredentialFile from "@aster-effect/trust/CredentialFile"
import { NonceStore } from "@aster-effect/trust/NonceStore"
import * as RootKey from "@aster-effect/trust/RootKey"
import { assert, layer } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Hex from "effect/encoding/Hex"
import { keyA, keyB, nonce, root } from "../admission/Deployment.ts"
import { nodeA } from "../config/Fixture.ts"
import { PythonReference } from "./PythonReference.ts"
import { bothCommands, trust } from "./PythonTrust.ts"

const seedOf = (key: RootKey.RootKey) => Hex.encode(Redacted.value(key.seed))

layer(PythonReference.layer, { timeout: "5 minutes", excludeTestServices: true })("Files of the reference", (it) => {
  it.effect("a root key and a profile made by either command serve the other", () =>
    Effect.gen(function* () {
      const { file, mode, ours, read, theirs } = yield* bothCommands
      yield* theirs(`keygen root --out ${file("theirs.key")}`)
      const theirKey = yield* RootKey.read(file("theirs.key"))
      assert.include(yield* ours("profile show"), `root_pubkey: ${theirKey.publicKey}`)
      yield* ours("authorize consumer --root-key theirs.key --out token")
      assert.strictEqual((yield* CredentialFile.read(file("token"))).rootPubkey, theirKey.publicKey)

      yield* ours("keygen root --key-file ours.key --profile ours")
      const ourKey = yield* RootKey.read(file("ours.key"))
      yield* ours("profile use ours")
      const profiles = yield* theirs("profile list")
      assert.match(profiles, new RegExp(`ours \\*.*${ourKey.publicKey.slice(0, 16)}`))
      assert.match(profiles, new RegExp(`default .*${theirKey.publicKey.slice(0, 16)}`))
      yield* theirs("profile use default")
      assert.match(yield* ours("profile list"), /default \*/)
      yield* theirs("enroll node --role consumer --name c --root-key ours.key --out c.cred --capabilities a")
      assert.strictEqual((yield* CredentialFile.read(file("c.cred"))).rootPubkey, ourKey.publicKey)
      assert.strictEqual(yield* mode("~/.aster/config.toml"), "600")
      assert.include(yield* read("ours.pub"), ourKey.publicKey)
    })
  )

  it.effect("identity files of the reference: what it leaves out of the attributes is put back", () =>
    Effect.gen(function* () {
      const { file, theirs, ours } = yield* bothCommands
      yield* ours("keygen root --key-file root.key")
      const enrolled: ReadonlyArray<readonly [name: string, flags: string, attributes: Record<string, string>]> = [
        ["plain", "--role consumer", { "aster.role": "consumer" }],
        ["able", "--role consumer --capabilities ops.a,ops.b", { "aster.role": "ops.a,ops.b" }],
        [
          "named",
          "--role consumer --attributes aster.name=named,team=x",
          { "aster.role": "consumer", "aster.name": "named", team: "x" }
        ],
        [
          "other",
          "--role consumer --attributes aster.name=nobody",
          { "aster.role": "consumer", "aster.name": "nobody" }
        ],
        ["producer", "--role producer --attributes zone=ü", { "aster.role": "producer", zone: "ü" }]
      ]
      for (const [name, flags] of enrolled) yield* theirs(`enroll node --name ${name} --root-key root.key ${flags}`)
      const { identity } = yield* IdentityFile.read(file(".aster-identity"))
      const { publicKey } = yield* RootKey.read(file("root.key"))
      assert.deepStrictEqual(
        identity.peers.map(({ name }) => name),
        enrolled.map(([name]) => name)
      )
      for (const [index, peer] of identity.peers.entries()) {
        const credential = yield* Effect.fromResult(CredentialFile.fromEntry(peer, "identity"))
        assert.deepStrictEqual(credential.attributes, new Map(Object.entries(enrolled[index]![2])))
        const presentation = { root: publicKey, peer: identity.node!.endpointId, nowMillis: Date.now() }
        assert.isUndefined(Credential.check(credential, presentation))
      }
    })
  )

  it.effect("identity files of ours: the reference finds every entry, and adds some that we find", () =>
    Effect.gen(function* () {
      const { file, ours, theirs } = yield* bothCommands
      const python = yield* trust
      yield* ours("keygen root --key-file root.key")
      const enrol = (name: string, flags: string) => `enroll node --root-key root.key --name ${name} ${flags}`
      yield* ours(enrol("server", "--role producer"))
      yield* ours(enrol("plain", "--role consumer"))
      yield* ours(enrol("able", "--role consumer --capabilities ops.a,ops.b --attributes team=ü"))
      yield* ours(enrol("once", "--role consumer --type ott"))
      const own = (yield* IdentityFile.read(file(".aster-identity"))).identity
      for (const { attributes, endpointId, expiresAt, name = "", rootPubkey, type } of own.peers) {
        assert.deepStrictEqual(yield* python.readIdentity(file(".aster-identity"), name), {
          valid: true,
          node: own.node!.endpointId,
          type,
          root_pubkey: rootPubkey,
          endpoint_id: endpointId!,
          attributes: Object.fromEntries(attributes),
          expires_at: expiresAt
        })
      }
      // The reference rewrites the file, and drops attributes of ours as of its own.
      yield* theirs(enrol("theirs", "--role consumer"))
      const { identity } = yield* IdentityFile.read(file(".aster-identity"))
      assert.deepStrictEqual(identity.node, own.node)
      assert.deepStrictEqual(
        identity.peers.map(({ name }) => name),
        ["server", "plain", "able", "once", "theirs"]
      )
      for (const peer of identity.peers) {
        const { attributes } = yield* Effect.fromResult(CredentialFile.fromEntry(peer, "identity"))
        const before = own.peers.find(({ name }) => name === peer.name)
        if (before !== undefined) assert.deepStrictEqual(attributes, before.attributes)
      }
      // Adding one more puts them back, and then the reference's runtime accepts all of them.
      yield* ours(enrol("last", "--role consumer"))
      for (const name of ["server", "plain", "able", "once", "theirs", "last"]) {
        assert.isTrue((yield* python.readIdentity(file(".aster-identity"), name)).valid, name)
      }
    })
  )

  it.effect("tokens of the reference", () =>
    Effect.gen(function* () {
      const { file, ours, theirs } = yield* bothCommands
      yield* ours("keygen root --key-file root.key")
      const attributes = `{"aster.role":"ops","q":"a,b=ü"}`
      const sign = (name: string, flags: string) =>
        Effect.andThen(
          theirs(`trust sign --root-key root.key --attributes ${attributes} --out ${name} ${flags}`),
          CredentialFile.read(file(name))
        )
      const producer = yield* sign("producer", `--type producer --endpoint-id ${nodeA.id}`)
      const policy = yield* sign("policy", "--type policy --expires 2100-01-01T00:00:00Z")
      const ott = yield* sign("ott", `--type ott --endpoint-id ${nodeA.id}`)
      for (const credential of [producer, policy, ott]) {
        assert.deepStrictEqual(credential.attributes, new Map(Object.entries(JSON.parse(attributes))))
      }
      assert.deepStrictEqual([producer.kind, producer.endpointId], ["producer", nodeA.id])
      assert.deepStrictEqual([policy.endpointId, policy.expiresAt], [undefined, 4_102_444_800n])
      assert.isTrue(ott.kind === "consumer" && ott.type === "ott" && ott.nonce?.length === 64)
      yield* theirs(`authorize --root-key root.key --producer-id ${nodeA.id}`)
      assert.strictEqual((yield* CredentialFile.read(file("enrollment.token"))).kind, "producer")
    })
  )

  it.effect("tokens of ours", () =>
    Effect.gen(function* () {
      const { file, ours } = yield* bothCommands
      const python = yield* trust
      yield* ours("keygen root --key-file root.key")
      const issue = (flags: string) =>
        Effect.andThen(
          ours(`authorize consumer --root-key root.key --out token ${flags}`),
          python.readToken(file("token"))
        )
      const policy = yield* issue(`--capabilities ops.a,ops.b --endpoint-id ${nodeA.id} --expires 2100-01-01`)
      const root_pubkey = (yield* RootKey.read(file("root.key"))).publicKey.toString()
      assert.deepStrictEqual(policy, {
        valid: true,
        type: "policy",
        root_pubkey,
        endpoint_id: nodeA.id,
        attributes: { "aster.role": "ops.a,ops.b" },
        expires_at: 4_102_444_800
      })
      const ott = yield* issue(`--type ott --attributes {"q":"a,b=ü"}`)
      assert.deepStrictEqual([ott.valid, ott.type, ott.endpoint_id], [true, "ott", null])
      assert.deepStrictEqual(ott.attributes, { "aster.role": "consumer", q: "a,b=ü" })
    })
  )

  it.effect("the same bytes are signed, and signatures are good on both sides", () =>
    Effect.gen(function* () {
      const python = yield* trust
      const claims = {
        seed: seedOf(root),
        attributes: { "\ue000": "\u{10000}", "\u{10000}": '\u2028\u0001"\\', "10": "x", "9": "" }
      }
      const policy = yield* python.sign({ ...claims, kind: "consumer", endpoint_id: nodeA.id })
      const ott = yield* python.sign({ ...claims, kind: "consumer", type: "ott", nonce: nonce(7) })
      const producer = yield* python.sign({ ...claims, kind: "producer", endpoint_id: nodeA.id })
      for (const { signed, text } of [policy, ott]) {
        const credential = Result.getOrThrow(Credential.parseConsumer(text))
        assert.strictEqual(Hex.encode(Credential.claimsBytes(credential)), signed)
        assert.isTrue(Credential.isSignedBy(credential, root.publicKey))
        const { expiresAt, attributes, endpointId, nonce, type } = credential
        assert.deepStrictEqual(
          RootKey.signConsumer(root, { expiresAt, attributes, endpointId, nonce, type }),
          credential
        )
      }
      const credential = Result.getOrThrow(Credential.parseProducer(producer.text))
      assert.strictEqual(Hex.encode(Credential.claimsBytes(credential)), producer.signed)
      assert.deepStrictEqual(RootKey.signProducer(root, credential), credential)
    })
  )

  it.effect("nonces that either side has used up are used up for the other", () =>
    Effect.gen(function* () {
      const { file } = yield* bothCommands
      const python = yield* trust
      const path = file("nonces.json")
      assert.isTrue(yield* python.useNonce(path, nonce(1)))
      const store = Context.get(yield* Layer.build(NonceStore.layerFile(path)), NonceStore)
      const expiresAt = 4_102_444_800n
      assert.isFalse(yield* store.consume({ nonce: nonce(1), expiresAt }))
      assert.isTrue(yield* store.consume({ nonce: nonce(2), expiresAt }))
      assert.isFalse(yield* python.useNonce(path, nonce(2)))
      assert.isFalse(yield* python.useNonce(path, nonce(1)))
    })
  )

  it.effect("the state of a mesh goes back and forth", () =>
    Effect.gen(function* () {
      const { directory, file } = yield* bothCommands
      const python = yield* trust
      const path = file("mesh_state.json")
      const other = SecretKey.toEndpointId(keyB)
      const open = Effect.map(
        Layer.build(
          Layer.fresh(
            ProducerMesh.layerDirectory(directory, { root: root.publicKey, self: SecretKey.toEndpointId(keyA) })
          )
        ),
        Context.get(ProducerMesh)
      )
      const mesh = yield* open
      yield* mesh.accept(other)
      const state = yield* python.readMesh(path)
      assert.deepStrictEqual(state["accepted_producers"], [nodeA.id, other].toSorted())
      assert.deepStrictEqual([state["salt"], state["topic_id"]], [mesh.salt, mesh.topicId])
      yield* python.writeMesh(path, { ...state, peer_offsets: { [other]: -12 }, mesh_dead: true })
      const again = yield* open
      assert.deepStrictEqual([again.salt, yield* again.acceptedProducers], [mesh.salt, yield* mesh.acceptedProducers])
      const kept = yield* python.readMesh(path)
      assert.deepStrictEqual([kept["peer_offsets"], kept["mesh_dead"]], [{ [other]: -12 }, false])
    })
  )

  it.effect("a configuration is printed alike", () =>
    Effect.gen(function* () {
      const { file, write } = yield* bothCommands
      const python = yield* trust
      const path = file("aster.toml")
      yield* write(
        "aster.toml",
        `[trust]\nroot_pubkey = "${root.publicKey}"\nallow_all_consumers = true\n[storage]\npath = "/var/lib/aster"\n` +
          `[network]\nbind_addr = "127.0.0.1:0"\nenable_hooks = true\n`
      )
      const environment = {
        ASTER_SECRET_KEY: nodeA.secret,
        ASTER_ENROLLMENT_CREDENTIAL: "/etc/aster/enrollment.token",
        ASTER_ALLOW_ALL_CONSUMERS: "no",
        ASTER_RELAY_MODE: "disabled"
      }
      const theirs = yield* python.printConfig(path, environment)
      const config = yield* AsterConfig.load({
        file: path,
        environment: ConfigProvider.fromEnv({ env: environment, preserveEmptyStrings: true }),
        identity: false
      })
      // The reference looks the path's source up under another name, and shows the end of the secret key itself.
      const seed = Hex.encode(Redacted.value(keyA))
      const repaired = (text: string) =>
        text
          .replace(/(\/var\/lib\/aster.*)\(default\)/, (_, line: string) => `${line}(${path} [storage])`)
          .replace(`****...${seed.slice(-8)}`, `****...${nodeA.id.slice(-8)}`)
      assert.deepStrictEqual(ConfigReport.format(config).split("\n"), repaired(theirs.text).split("\n"))
      const json = JSON.parse(ConfigReport.toJson(config))
      const { network, storage, ...rest } = json
      // What is not there is null here, and words in the reference.
      const absent = new Set<unknown>(["<not set>", "<default>", "<any>", "<in-memory>"])
      const withNulls = (section: Readonly<Record<string, { readonly value: unknown }>>) =>
        Object.fromEntries(
          Object.entries(section).map(([name, row]) => [name, absent.has(row.value) ? { ...row, value: null } : row])
        )
      assert.deepStrictEqual(rest, {
        trust: withNulls(theirs.json["trust"]!),
        connect: withNulls(theirs.json["connect"]!)
      })
      assert.deepStrictEqual(Object.keys(json), Object.keys(theirs.json))
      assert.deepStrictEqual(
        { ...network, secret_key: undefined },
        { ...withNulls(theirs.json["network"]!), secret_key: undefined }
      )
      assert.deepStrictEqual(storage, { path: { value: "/var/lib/aster", source: `${path} [storage]` } })
    })
  )
})
