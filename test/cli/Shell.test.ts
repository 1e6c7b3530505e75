/** `aster shell`: scripts from a pipe, and a terminal with somebody who types. */
import { AsterConfig } from "@aster-effect/config/AsterConfig"
import type { Manifest } from "@aster-effect/core/contract/Manifest"
import * as ManifestOf from "@aster-effect/core/contract/Manifest"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { PassThrough } from "node:stream"
import { KitchenSink, KitchenSinkLive } from "../../examples/kitchen-sink/KitchenSink.ts"
import { complete } from "../../packages/cli/src/internal/shell/completion.ts"
import { requestsOf } from "../../packages/cli/src/internal/shell/request.ts"
import { words } from "../../packages/cli/src/internal/shell/words.ts"
import { KitchenSession, KitchenSessionLive } from "../interop/KitchenSession.ts"
import { sandbox } from "./Sandbox.ts"

describe("a line of the shell", () => {
  it("ends words at blanks outside of quotes and JSON", () => {
    const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
      ["", []],
      ["  a  b ", ["a", "b"]],
      ['S.m {"a": 1, "b": [1, 2]} {"c": "} {"}', ["S.m", '{"a": 1, "b": [1, 2]}', '{"c": "} {"}']],
      ['m text="two words" list=[1, 2]', ["m", 'text="two words"', "list=[1, 2]"]],
      [`m '{"a": "it"}' name='two words'`, ["m", '{"a": "it"}', "name=two words"]],
      ['m a="\\"x" b=it\'s c={', ["m", 'a="\\"x"', "b=it's", "c={"]],
      ["m name=''", ["m", "name="]],
      ["m ''", ["m", ""]]
    ]
    for (const [line, expected] of cases) assert.deepStrictEqual(words(line), expected, line)
  })

  const field = (name: string, form: "text" | "json" | "any") => ({
    name,
    form,
    kind: form,
    required: true,
    values: []
  })

  it("makes requests of words, as the fields have it", () => {
    const fields = [field("text", "text"), field("count", "json"), field("any", "any")]
    const cases: ReadonlyArray<readonly [string, unknown]> = [
      ["", []],
      ["text=5 count=5 any=five", [{ text: "5", count: 5, any: "five" }]],
      ['text="a b" count=9007199254740993', [{ text: "a b", count: 9007199254740993n }]],
      ["text= any=[true]", [{ text: "", any: [true] }]],
      ['{"x":1} {"x":2}', [{ x: 1 }, { x: 2 }]],
      ["text=a=b", [{ text: "a=b" }]]
    ]
    for (const [line, expected] of cases) {
      const made = Result.getOrThrow(requestsOf(words(line), fields)).map((message) => ({ ...message }))
      assert.deepStrictEqual(made, expected as never, line)
    }
    assert.deepStrictEqual(Result.getOrThrow(requestsOf(["World"], [field("name", "text")])), [{ name: "World" }])
    assert.deepEqual(Result.getOrThrow(requestsOf(["__proto__=1"], undefined))[0], JSON.parse('{"__proto__":1}'))
    for (const [line, problem] of [
      ["count=five", 'count: "five" is no json'],
      ["nope=1", "there is no field nope; it has text, count, any"],
      ["count=1 count=2", "count is given twice"],
      ["one two", "expected key=value"],
      ["[1]", "expected key=value"],
      ['{"a":', "not JSON"]
    ] as const) {
      assert.include(Result.getOrThrow(Result.flip(requestsOf(words(line), fields))), problem)
    }
  })

  it("is completed from the contract, without what a terminal would not show as it is", () => {
    const Odd = Service.make("Odd\u001b[2J").add(Rpc.unary("m", { request: Wire.Any, response: Wire.Any }))
    const known = new Map<string, Manifest>(
      [KitchenSink, KitchenSession, Odd].map((each) => [
        each.name,
        ManifestOf.fromDescription(each.description, each.contract, { wireTypes: true })
      ])
    )
    const services = new Map([...known.keys()].map((name) => [name, {} as never]))
    const catalogue = { services, known, contract: () => Effect.die("not asked") }
    const completed = (line: string, current?: string) => complete(line, catalogue, current)
    assert.deepStrictEqual(completed("Kit"), [["KitchenSession.", "KitchenSink."], "Kit"])
    assert.deepStrictEqual(completed("use K"), [["KitchenSession", "KitchenSink"], "K"])
    assert.deepStrictEqual(completed("KitchenSink.fail")[0], ["KitchenSink.fail", "KitchenSink.fail_after"])
    assert.deepStrictEqual(completed("sa", "KitchenSink"), [["say_hello"], "sa"])
    assert.deepStrictEqual(completed("./sa", "KitchenSink"), [["./say_hello"], "./sa"])
    assert.deepStrictEqual(completed("say_hello ", "KitchenSink"), [["name="], ""])
    assert.deepStrictEqual(completed("call KitchenSink.fail code=5 "), [["message="], ""])
    assert.deepStrictEqual(completed("KitchenSink.echo flag="), [["flag=false", "flag=true"], "flag="])
    assert.deepStrictEqual(completed("KitchenSink.echo color=r"), [["color=red"], "color=r"])
    assert.deepStrictEqual(completed("Odd"), [[], "Odd"])
    assert.deepStrictEqual(completed("nobody.knows x"), [[], "x"])
  })
})

class Order extends Wire.Class<Order>("shell/Order")({
  article: Wire.String.annotate({ description: "What is \u001b[31mordered." }),
  count: Wire.Int32
}) {}

const Shop = Service.make("Shop", { description: "Sells things." }).add(
  Rpc.unary("order", { request: Order, response: Order, description: "Places an order." }),
  Rpc.serverStream("trickle", { request: Order, response: Order }),
  Rpc.clientStream("first", {
    request: Order,
    response: Order,
    description: "Reads no further than its first request."
  })
)

/** A producer on loopback, and a sandbox whose shell stays on loopback too. */
const serving = Effect.gen(function* () {
  const cancelled = yield* Queue.unbounded<string>()
  const shop = Shop.toLayer({
    order: (order) => Effect.succeed(order),
    first: (orders) => Effect.map(Stream.runHead(orders), Option.getOrThrow),
    trickle: (order) =>
      Stream.concat(Stream.make(order), Stream.fromEffect(Effect.never)).pipe(
        Stream.onExit(() => Queue.offer(cancelled, order.article))
      )
  })
  const config = AsterConfig.load({ environment: false, identity: false })
  const server = AsterServer.layer({ node: loopback, config }).pipe(
    Layer.provide([KitchenSinkLive, KitchenSessionLive, shop])
  )
  const { address } = Context.get(yield* Effect.provide(Layer.build(server), Logger.layer([])), AsterServer)
  const env = { ASTER_RELAY_MODE: "disabled", ASTER_BIND_ADDR: "127.0.0.1:0" }
  const made = yield* sandbox()
  const script = (lines: ReadonlyArray<string>) =>
    made.run(["shell", address, "--timeout", "60s"], { env, stdin: [lines.join("\n")] })
  return { ...made, address, cancelled, env, script }
})

describe("aster shell", () => {
  it.live("runs a script: services, descriptions, and calls of every pattern", () =>
    Effect.gen(function* () {
      const { script } = yield* serving
      const { code, err, out } = yield* script([
        "# what there is",
        "describe Shop.order",
        "",
        "services",
        "KitchenSink.say_hello name=World",
        "use KitchenSink",
        'say_hello {"name": "two words"}',
        "./count to=3",
        "sum value=40 ",
        'sum {"value":1} {"value":2}',
        "sum",
        "value=20",
        '{"value":22}',
        ".",
        "chat -",
        "name=a",
        "name=b",
        ".",
        "Shop.first",
        "article=one count=1",
        "article=two count=2",
        "article=three count=3",
        ".",
        "use",
        "timeout",
        "timeout 5s",
        "timeout"
      ])
      assert.deepStrictEqual([code, err], [0, ""])
      assert.deepStrictEqual(out.split("\n"), [
        "order  (unary)",
        "  Places an order.",
        "  request:  Order { article: string, count: int32 }",
        "  response: Order { article: string, count: int32 }",
        "    article: What is \\u001b[31mordered.",
        "    article: What is \\u001b[31mordered.",
        "KitchenSession v1  session  6 methods",
        `KitchenSink v1  ${KitchenSink.methods.length} methods`,
        "Shop v1  3 methods  Sells things.",
        "{",
        '  "message": "Hello, World!"',
        "}",
        "{",
        '  "message": "Hello, two words!"',
        "}",
        '{"value":0}',
        '{"value":1}',
        '{"value":2}',
        "{",
        '  "value": 40',
        "}",
        "{",
        '  "value": 3',
        "}",
        "{",
        '  "value": 42',
        "}",
        '{"message":"Hello, a!"}',
        '{"message":"Hello, b!"}',
        "{",
        '  "article": "one",',
        '  "count": 1',
        "}",
        "60 s",
        "5 s"
      ])
    })
  )

  it.live("keeps a session until it is ended, beside calls that are in none", () =>
    Effect.gen(function* () {
      const { script } = yield* serving
      const { code, err, out } = yield* script([
        "session KitchenSession",
        "add value=1",
        "KitchenSession.add value=2",
        "KitchenSink.say_hello name=x",
        'add_all {"value":10} {"value":20}',
        "count to=2",
        "end",
        "KitchenSession.add value=5"
      ])
      assert.deepStrictEqual([code, err], [0, ""])
      assert.deepStrictEqual(
        [...out.matchAll(/"value": ?(\d+)/g)].map(([, value]) => Number(value)),
        [1, 3, 33, 33, 34, 5]
      )
    })
  )

  it.live("ends a script at its first failure, naming the line", () =>
    Effect.gen(function* () {
      const { script } = yield* serving
      const cases = [
        ["nonsense", "neither a command"],
        ["KitchenSink.nope", "KitchenSink has no method nope; it has"],
        ["Nobody.home", "does not offer Nobody; it offers"],
        ["KitchenSink.say_hello nmae=x", "no field nmae; it has name"],
        ["KitchenSink.fail code=5 message=gone", "NOT_FOUND: KitchenSink.fail: gone"],
        ["KitchenSink.say_hello {} {}", "takes one request"],
        ["session KitchenSink", "is shared and has no sessions"],
        ["end", "no session is open"],
        ["timeout soon", "no duration"],
        ["describe Shop.nope", "Shop has no method nope"],
        ["use nope", "does not offer nope"]
      ] as const
      for (const [line, expected] of cases) {
        const { code, err, out } = yield* script(["timeout", line, "services"])
        assert.strictEqual(code, 1, line)
        assert.include(err, `Error: line 2: `)
        assert.include(err, expected)
        assert.strictEqual(out, "60 s")
      }
    })
  )

  it.live(
    "at a terminal it completes, asks for fields, goes on after failures, and Ctrl+C ends a call and no more",
    () =>
      Effect.gen(function* () {
        const { address, cancelled, env, start } = yield* serving
        const input = new PassThrough()
        const output = new PassThrough()
        let screen = ""
        output.on("data", (chunk) => (screen += String(chunk)))
        const { fiber, printed } = yield* start(["shell", address], { env, terminal: { input, output } })
        const until = (what: string, text: Effect.Effect<string>) =>
          Effect.repeat(text, { until: (all) => all.includes(what), schedule: Schedule.spaced("10 millis") })
        /** Types once something is on the screen. */
        const type = Effect.fnUntraced(function* (seen: string, text: string) {
          yield* until(
            seen,
            Effect.sync(() => screen)
          )
          screen = ""
          input.write(text)
        })
        // The contracts are read before anything can be completed.
        yield* type("aster> ", "describe Shop\r")
        yield* until("trickle  (server_stream)", printed)
        yield* type("aster> ", "use Sh\t")
        yield* type("op", "\r")
        yield* type("Shop> ", "nope\r")
        yield* until("Error: Shop has no method nope", printed)
        yield* type("Shop> ", "ord\t")
        yield* type("er", "\r")
        yield* type("  article (string): ", "tea\r")
        yield* type("  count (", "3\r")
        yield* until('"count": 3', printed)
        yield* type("Shop> ", "trickle article=t cou\t")
        yield* type("nt=", "1\r")
        yield* until('{"article":"t","count":1}', printed)
        input.write("\u0003")
        assert.strictEqual(yield* Queue.take(cancelled), "t")
        yield* until("Error: interrupted", printed)
        yield* type("Shop> ", "order article=again count=2\r")
        yield* until('"article": "again"', printed)
        yield* type("Shop> ", "half a line\u0003")
        yield* type("Ctrl+C again", "exit\r")
        assert.strictEqual(yield* Fiber.join(fiber), 0)
      })
  )
})
