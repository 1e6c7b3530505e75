import { AsterConfig } from "@aster-effect/config/AsterConfig"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import { AsterServer, type NodeServerOptions } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import { KitchenSinkLive } from "../../examples/kitchen-sink/KitchenSink.ts"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { KitchenSessionLive } from "../interop/KitchenSession.ts"
import { sandbox } from "./Sandbox.ts"

class Text extends Wire.Class<Text>("cli/Text")({ text: Wire.String }) {}

const Guarded = Service.make("Guarded", { requires: { kind: "role", roles: ["ops"] } }).add(
  Rpc.unary("hidden", { request: Text, response: Text })
)

const GuardedLive = Guarded.toLayer({ hidden: ({ text }) => Effect.succeed(new Text({ text: `hidden ${text}` })) })

/** A producer on loopback that looks at nothing around it, and a sandbox whose calls stay on loopback too. */
const serving = Effect.fnUntraced(function* (options: NodeServerOptions = {}, more: Layer.Layer<never> = Layer.empty) {
  const config = AsterConfig.load({ environment: false, identity: false })
  const server = AsterServer.layer({ node: loopback, config, ...options }).pipe(
    Layer.provide([KitchenSinkLive, GuardedLive, more])
  )
  const quiet = Effect.provide(Layer.build(server), Logger.layer([]))
  const { address } = Context.get(yield* quiet, AsterServer)
  const made = yield* sandbox()
  const env = { ASTER_RELAY_MODE: "disabled", ASTER_BIND_ADDR: "127.0.0.1:0" }
  const call = (
    args: ReadonlyArray<string>,
    more: Readonly<Record<string, string>> = {},
    stdin?: ReadonlyArray<string>
  ) => made.run(["call", address, ...args], { env: { ...env, ...more }, stdin })
  return { ...made, address, call, env }
})

describe("aster call", () => {
  it.live("calls a method once, JSON in and JSON out", () =>
    Effect.gen(function* () {
      const { call } = yield* serving()
      const { code, err, out } = yield* call(["KitchenSink.say_hello", '{"name":"x"}', "--json"])
      assert.deepStrictEqual([code, err], [0, ""])
      assert.strictEqual(out, '{\n  "message": "Hello, x!"\n}')
    })
  )

  it.live("sends an empty object by default, and keeps integers of 64 bits", () =>
    Effect.gen(function* () {
      const { call } = yield* serving()
      assert.include((yield* call(["KitchenSink.say_hello"])).out, '"Hello, !"')
      const { out } = yield* call(["KitchenSink.echo", '{"big":9007199254740993}'])
      assert.include(out, '"big": 9007199254740993')
    })
  )

  it.live("takes its request from a file and from standard input", () =>
    Effect.gen(function* () {
      const { call, write } = yield* serving()
      yield* write("hello.json", '\n{ "name":\n "file" }\n')
      assert.include((yield* call(["KitchenSink.say_hello", "@hello.json"])).out, '"Hello, file!"')
      const typed = yield* call(["KitchenSink.say_hello", "-"], {}, ['{"name"', ': "input"}'])
      assert.include(typed.out, '"Hello, input!"')
    })
  )

  it.live("prints a stream of answers one a line, and sends a stream of requests from one a line", () =>
    Effect.gen(function* () {
      const { call, write } = yield* serving()
      const counted = yield* call(["KitchenSink.count", '{"to":3}'])
      assert.deepStrictEqual([counted.code, counted.err], [0, ""])
      assert.deepStrictEqual(
        counted.out.split("\n").map((line) => JSON.parse(line)),
        [{ value: 0 }, { value: 1 }, { value: 2 }]
      )
      assert.strictEqual((yield* call(["KitchenSink.count", '{"to":0}'])).out, "")
      const one = yield* call(["KitchenSink.count", '{"to":1}', "--stream"])
      assert.strictEqual(one.out, '{"value":0}')
      yield* write("values.ndjson", '{"value":1}\n\n{"value":2}\n{"value":39}\n')
      for (const args of [["@values.ndjson"], ["@values.ndjson", "--stream"], ["-", "--stream"]]) {
        const summed = yield* call(["KitchenSink.sum", ...args], {}, ['{"value":1}\n{"val', 'ue":2}\n{"value":39}'])
        assert.deepStrictEqual(JSON.parse(summed.out), { value: 42 }, args.join(" ") + summed.err)
      }
      const bad = yield* call(["KitchenSink.sum", "-", "--stream"], {}, ['{"value":1}\nnot json\n'])
      assert.strictEqual(bad.code, 1)
      assert.include(bad.err, "standard input, line 2 is not JSON")
    })
  )

  it.live("opens a session for a service that has them", () =>
    Effect.gen(function* () {
      const { call } = yield* serving({}, KitchenSessionLive as Layer.Layer<never>)
      const answers = yield* Effect.forEach(
        [
          ["add", '{"value":3}'],
          ["count", '{"to":2}'],
          ["add_all", "-", "--stream"],
          ["running", "-", "--stream"]
        ],
        ([method, ...rest]) => call([`KitchenSession.${method}`, ...rest], {}, ['{"value":1}\n{"value":2}'])
      )
      for (const { code, err } of answers) assert.deepStrictEqual([code, err], [0, ""])
      assert.deepStrictEqual(
        answers.map(({ out }) => out.replaceAll(/\s/g, "")),
        ['{"value":3}', '{"value":0}{"value":1}', '{"value":3}', '{"value":1}{"value":3}']
      )
    })
  )

  it.live("sends metadata, and finds the producer in the environment", () =>
    Effect.gen(function* () {
      const { address, run, env } = yield* serving()
      const at = { ...env, ASTER_ENDPOINT_ADDR: address }
      const { code, err, out } = yield* run(["call", "KitchenSink.context", "-m", "a=1", "--metadata", "b=x=y"], {
        env: at
      })
      assert.strictEqual(code, 0, err)
      const { metadata } = JSON.parse(JSON.parse(out).message)
      assert.deepStrictEqual(metadata, { a: "1", b: "x=y" })
      const nowhere = yield* run(["call", "KitchenSink.context"], { env })
      assert.strictEqual(nowhere.code, 1)
      assert.include(nowhere.err, "ASTER_ENDPOINT_ADDR")
    })
  )

  it.live("explains failures", () =>
    Effect.gen(function* () {
      const { call } = yield* serving()
      const cases = [
        [["KitchenSink"], 1, "expected Service.method"],
        [["KitchenSink."], 1, "expected Service.method"],
        [["KitchenSink.say_hello", "{"], 1, "not JSON"],
        [["KitchenSink.say_hello", "[]"], 1, "a JSON object"],
        [["KitchenSink.say_hello", "--timeout", "soon"], 2, "--timeout"],
        [["Nope.method"], 1, "it offers KitchenSink v1"],
        [["KitchenSink.nope"], 1, "UNIMPLEMENTED"],
        [["KitchenSink.fail", '{"code":5,"message":"not here"}'], 1, "NOT_FOUND: KitchenSink.fail: not here"],
        [["KitchenSink.fail", '{"code":5,"message":"\\u001b[2J"}'], 1, "\\u001b[2J"],
        [["KitchenSink.say_hello", '{"name":"x"}\n{"name":'], 1, "not JSON"],
        [["KitchenSink.say_hello", "@nowhere.json"], 1, "nowhere.json cannot be read"],
        [["KitchenSink.say_hello", "{}", "--metadata", "nothing"], 2, "expected key=value"],
        [["KitchenSink.say_hello", "{}", "more"], 2, "too many arguments"],
        [["Guarded.hidden"], 1, "permission denied"],
        [["KitchenSink.say_hello", "--rcan", "nowhere"], 1, "nowhere"]
      ] as const
      for (const [args, code, words] of cases) {
        const failed = yield* call(args)
        assert.deepStrictEqual([failed.code, failed.out], [code, ""], args.join(" "))
        assert.include(failed.err, words)
      }
    })
  )

  it.live("11: never makes the root key its node key, wherever that is", () =>
    Effect.gen(function* () {
      const { aster, call, keyring } = yield* serving()
      yield* aster("keygen root --key-file ~/.aster/root.key")
      const { publicKey } = Option.getOrThrow(yield* keyring.get("default"))
      const caller = Effect.map(call(["KitchenSink.context"]), ({ out }) => JSON.parse(JSON.parse(out).message).peer)
      const callers = [yield* caller, yield* caller]
      // Without a credential it is somebody new each time.
      assert.notStrictEqual(callers[0], callers[1])
      assert.notInclude(callers, publicKey.toString())
    })
  )

  it.live("ends with its time limit, also when the method waits for a stream of requests", () =>
    Effect.gen(function* () {
      const { call } = yield* serving({ publish: false })
      const slow = yield* call(["KitchenSink.slow", '{"ms":20000}', "--timeout", "1"])
      assert.strictEqual(slow.code, 1)
      assert.include(slow.err, "timed out: KitchenSink.slow")
      const waiting = yield* call(["KitchenSink.sum", '{"value":1}', "--timeout", "1s"])
      assert.strictEqual(waiting.code, 1)
      assert.include(waiting.err, "--stream")
    })
  )

  it.live("takes one request for a stream of one where the contract says that a method wants a stream", () =>
    Effect.gen(function* () {
      const { call } = yield* serving()
      const sum = yield* call(["KitchenSink.sum", '{"value":1}'])
      assert.deepStrictEqual([sum.code, JSON.parse(sum.out)], [0, { value: 1 }])
    })
  )

  it.live("ends with its time limit when nobody answers", () =>
    Effect.gen(function* () {
      const { address } = yield* Effect.scoped(serving())
      const { run } = yield* sandbox()
      const { code, err } = yield* run(["call", address, "A.b", "--timeout", "1"], {
        env: { ASTER_RELAY_MODE: "disabled" }
      })
      assert.strictEqual(code, 1)
      assert.match(err, /no connection within 1 s|timed out/)
    })
  )

  it.live("is let in, and to guarded methods, with what aster enroll and aster authorize made", () =>
    Effect.gen(function* () {
      const { aster, read } = yield* sandbox()
      yield* aster("keygen root --out root.key")
      const rootPubkey = JSON.parse(yield* read("root.pub")).public_key
      const { call, write } = yield* serving({ rootPubkey })
      for (const line of [
        "enroll node --role consumer --name ops -c ops --root-key root.key --out ops.cred",
        "enroll node --role consumer --name guest --root-key root.key --out guest.cred",
        "authorize consumer --capabilities ops --root-key root.key --out ops.token",
        "authorize consumer --type ott --capabilities ops --root-key root.key --out once.token"
      ]) {
        assert.strictEqual((yield* aster(line)).code, 0)
      }
      for (const name of ["ops.cred", "guest.cred", "ops.token", "once.token"]) yield* write(name, yield* read(name))

      const hidden = ["Guarded.hidden", '{"text":"t"}', "--rcan"]
      for (const name of ["ops.cred", "ops.token", "once.token"]) {
        const { code, err, out } = yield* call([...hidden, name])
        assert.strictEqual(code, 0, err)
        assert.deepStrictEqual(JSON.parse(out), { text: "hidden t" })
      }
      const again = yield* call([...hidden, "once.token"])
      assert.strictEqual(again.code, 1)
      assert.include(again.err, "one-time token was used before")

      const guest = yield* call([...hidden, "guest.cred"])
      assert.strictEqual(guest.code, 1)
      assert.include(guest.err, "permission denied: Guarded.hidden")
      assert.include(guest.err, "--rcan PATH")

      const nobody = yield* call(["KitchenSink.say_hello"])
      assert.strictEqual(nobody.code, 1)
      assert.include(nobody.err, "did not admit")
    })
  )

  it.live("a token bound to a node works beside that node's identity, and no identity is shown unasked", () =>
    Effect.gen(function* () {
      const { aster, read } = yield* sandbox()
      yield* aster("keygen root --out root.key")
      const rootPubkey = JSON.parse(yield* read("root.pub")).public_key
      const enrolled = yield* aster("enroll node --role consumer --name ops --root-key root.key -q")
      const endpointId = enrolled.out.split(" ")[1]
      yield* aster(`authorize consumer --endpoint-id ${endpointId} --root-key root.key --out bound.token`)

      const { call, file, write } = yield* serving({ rootPubkey })
      yield* write(".aster-identity", yield* read(".aster-identity"))
      yield* write("bound.token", yield* read("bound.token"))
      yield* write("apart/bound.token", yield* read("bound.token"))
      const hello = ["KitchenSink.say_hello", "{}"]
      assert.strictEqual((yield* call([...hello, "--rcan", "bound.token"])).code, 0)
      const apart = yield* call([...hello, "--rcan", "apart/bound.token"])
      assert.strictEqual(apart.code, 1)
      assert.include(apart.err, "it was issued to")
      assert.strictEqual((yield* call(hello, { ASTER_IDENTITY_FILE: file(".aster-identity") })).code, 1)
    })
  )
})

describe("aster services", () => {
  it.live("lists what a producer offers", () =>
    Effect.gen(function* () {
      const { address, env, run } = yield* serving()
      const text = yield* run(["services", address], { env })
      assert.match(text.out, /^Guarded v1 {2}[0-9a-f]{64}\nKitchenSink v1 {2}[0-9a-f]{64}$/)
      const json = JSON.parse(
        (yield* run(["services", "--json"], { env: { ...env, ASTER_ENDPOINT_ADDR: address } })).out
      )
      assert.deepStrictEqual(
        json.services.map(({ name, scope, version }: Record<string, unknown>) => [name, version, scope]),
        [
          ["Guarded", 1, "shared"],
          ["KitchenSink", 1, "shared"]
        ]
      )
    })
  )
})
