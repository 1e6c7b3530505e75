/** Clients and producers with different definitions of one service. */
import * as ContractDiffers from "@aster-effect/client/ContractDiffers"
import * as Contract from "@aster-effect/core/contract/Contract"
import * as MessageDigest from "@aster-effect/core/contract/MessageDigest"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import { consume, memoryNode, scenario, serve, settings } from "../admission/Deployment.ts"

const colors = { RED: "red", GREEN: "green", BLUE: "blue" }
const Answer = Wire.Class("diff/Answer")({ ok: Wire.Bool })

/** A service of one method whose request has these fields. */
const service = (fields: Schema.Struct.Fields, more: ReadonlyArray<Rpc.Any> = []): Service.Any => {
  const Request = Wire.Class("diff/Request")(fields as { readonly a: typeof Wire.Any })
  return Service.make("Diff").add(
    Rpc.unary("ask", { request: Request as never, response: Answer as never }),
    ...(more as ReadonlyArray<never>)
  )
}

const digest = (fields: Schema.Struct.Fields): string | undefined =>
  MessageDigest.ofService(service(fields).description)["ask"]

const Inner = (tag: string, fields: Schema.Struct.Fields) => Wire.Class(tag)(fields as { readonly a: typeof Wire.Any })

describe("MessageDigest", () => {
  it.each([
    [
      "an enumeration in another order",
      { a: Wire.Enum("diff/C", colors) },
      { a: Wire.Enum("diff/C", { BLUE: "blue", GREEN: "green", RED: "red" }) }
    ],
    [
      "an enumeration with one member more",
      { a: Wire.Enum("diff/C", colors) },
      { a: Wire.Enum("diff/C", { ...colors, PINK: "pink" }) }
    ],
    ["a list of something else", { a: Wire.List(Wire.Int) }, { a: Wire.List(Wire.String) }],
    [
      "a nested list of something else",
      { a: Wire.List(Wire.List(Wire.Int)) },
      { a: Wire.List(Wire.List(Wire.String)) }
    ],
    ["a map with other keys", { a: Wire.Map(Wire.Int, Wire.Int) }, { a: Wire.Map(Wire.String, Wire.Int) }],
    ["another width", { a: Wire.Int32 }, { a: Wire.Int }],
    ["a date for an instant", { a: Wire.Date }, { a: Wire.Timestamp }],
    ["null or not", { a: Wire.Optional(Wire.Int) }, { a: Wire.Int }],
    ["another name", { a: Wire.Int }, { b: Wire.Int }],
    ["one field more", { a: Wire.Int }, { a: Wire.Int, b: Wire.Int }],
    ["a class of another name", { a: Inner("diff/I", { x: Wire.Int }) }, { a: Inner("diff/J", { x: Wire.Int }) }],
    [
      "a field of a class of a list",
      { a: Wire.List(Inner("diff/I", { x: Wire.Int })) },
      { a: Wire.List(Inner("diff/I", { x: Wire.Int8 })) }
    ]
  ] as ReadonlyArray<readonly [string, Schema.Struct.Fields, Schema.Struct.Fields]>)("sees %s", (_, one, other) => {
    assert.notStrictEqual(digest(one), digest(other))
    assert.isTrue(MessageDigest.isDigest(digest(one)))
  })

  it.each([
    ["the order of fields", { a: Wire.Int, b: Wire.Bool }, { b: Wire.Bool, a: Wire.Int }],
    [
      "names of an enumeration's members",
      { a: Wire.Enum("diff/C", colors) },
      { a: Wire.Enum("diff/C", { R: "red", G: "green", B: "blue" }) }
    ],
    ["numbers or bigints", { a: Wire.Int }, { a: Wire.Int64 }],
    ["objects or Maps", { a: Wire.Record(Wire.Int) }, { a: Wire.Map(Wire.String, Wire.Int) }],
    ["defaults", { a: Wire.Int }, { a: Wire.Int.pipe(Wire.withDefault(1)) }],
    ["checks", { a: Wire.Int }, { a: Wire.Int.check(Schema.isGreaterThan(0)) }],
    ["words", { a: Wire.Int }, { a: Wire.Int.annotate({ description: "how many", deprecated: true }) }]
  ] as ReadonlyArray<readonly [string, Schema.Struct.Fields, Schema.Struct.Fields]>)(
    "does not see %s",
    (_, one, other) => {
      assert.strictEqual(digest(one), digest(other))
    }
  )

  it("ends for classes that contain themselves", () => {
    class Node extends Wire.Class<Node>("diff/Node")({
      kids: Wire.List(Schema.suspend((): Schema.Codec<Node> => Node))
    }) {}
    assert.isTrue(MessageDigest.isDigest(digest({ a: Node })))
  })
})

const ours = service({ color: Wire.Enum("diff/C", colors) })
const reordered = service({ color: Wire.Enum("diff/C", { BLUE: "blue", GREEN: "green", RED: "red" }) })
const summaryOf = (offered: Service.Any, digests: boolean) => ({
  name: offered.name,
  version: offered.version,
  contractId: offered.contract.contractId,
  channels: {},
  pattern: offered.scope,
  serializationModes: [],
  messageDigests: digests ? MessageDigest.ofService(offered.description) : undefined
})

describe("ContractDiffers.compare", () => {
  const extra = Rpc.unary("extra", { request: Answer as never, response: Answer as never })

  it("goes by the methods that both sides have", () => {
    assert.isUndefined(ContractDiffers.compare(ours, summaryOf(ours, true)))
    assert.deepStrictEqual(ContractDiffers.compare(ours, summaryOf(reordered, true))?.methods, ["ask"])
    const grown = service({ color: Wire.Enum("diff/C", colors) }, [extra])
    assert.notStrictEqual(grown.contract.contractId, ours.contract.contractId)
    assert.isUndefined(ContractDiffers.compare(ours, summaryOf(grown, true)))
    assert.isUndefined(ContractDiffers.compare(grown, summaryOf(ours, true)))
  })

  it("goes by the contract id of a producer that says no more", () => {
    const other = service({ colour: Wire.String })
    const difference = ContractDiffers.compare(ours, summaryOf(other, false))
    assert.deepStrictEqual(
      [difference?.own, difference?.offered],
      [ours.contract.contractId, other.contract.contractId]
    )
    assert.include(difference?.message, ours.contract.contractId)
    assert.include(difference?.message, other.contract.contractId)
    assert.isUndefined(ContractDiffers.compare(ours, summaryOf(ours, false)))
    assert.isUndefined(ContractDiffers.compare(ours, { ...summaryOf(other, false), contractId: "" }))
  })

  it("takes the id that postponed annotations give for the same", () => {
    const { contractId } = Contract.fromDescription(ours.description, { postponedAnnotations: true })
    assert.notStrictEqual(contractId, ours.contract.contractId)
    assert.isUndefined(ContractDiffers.compare(ours, { ...summaryOf(ours, false), contractId }))
  })
})

describe("a client of another definition", () => {
  class Paint extends Wire.Class<Paint>("paint/Paint")({ color: Wire.Enum("paint/Color", colors) }) {}
  class Repaint extends Wire.Class<Repaint>("paint/Paint")({
    color: Wire.Enum("paint/Color", { BLUE: "blue", GREEN: "green", RED: "red" })
  }) {}
  const Painter = Service.make("Painter").add(Rpc.unary("paint", { request: Paint, response: Wire.String }))
  const Repainter = Service.make("Painter").add(Rpc.unary("paint", { request: Repaint, response: Wire.String }))
  const live = Painter.toLayer({ paint: ({ color }) => Effect.succeed(color) })
  const connected = Effect.gen(function* () {
    return yield* consume(yield* memoryNode(), yield* serve(yield* memoryNode(), { config: settings() }, live))
  })

  scenario("is refused where values would become others", () =>
    Effect.gen(function* () {
      const aster = yield* connected
      const error = yield* Effect.flip(aster.client(Repainter))
      assert(error._tag === "ContractDiffers")
      assert.deepStrictEqual(error.methods, ["paint"])
      const client = yield* aster.client(Painter)
      assert.strictEqual(yield* client.paint(new Paint({ color: "red" })), "red")
    })
  )

  scenario("is refused a session too, and gets one of the definition that the producer has", () =>
    Effect.gen(function* () {
      const Session = Service.make("Painting", { scope: "session" }).add(
        Rpc.unary("paint", { request: Paint, response: Wire.String })
      )
      const Resession = Service.make("Painting", { scope: "session" }).add(
        Rpc.unary("paint", { request: Repaint, response: Wire.String })
      )
      const painting = Session.toLayer({ paint: ({ color }) => Effect.succeed(color) })
      const server = yield* serve(yield* memoryNode(), { config: settings() }, painting)
      const aster = yield* consume(yield* memoryNode(), server)
      const error = yield* Effect.flip(aster.session(Resession))
      assert(error._tag === "ContractDiffers")
      assert.deepStrictEqual(error.methods, ["paint"])
      const session = yield* aster.session(Session)
      assert.strictEqual(yield* session.paint(new Paint({ color: "red" })), "red")
    })
  )

  scenario("is warned once over JSON, which names values, or when it asks for no more", () =>
    Effect.gen(function* () {
      const messages: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel === "Warn") messages.push(String(message))
      })
      const used = Effect.gen(function* () {
        const aster = yield* connected
        const named = yield* aster.client(Repainter, { encoding: "json" })
        assert.strictEqual(yield* named.paint(new Repaint({ color: "red" })), "red")
        const misread = yield* aster.client(Repainter, { contractMismatch: "warn" })
        assert.strictEqual(yield* misread.paint(new Repaint({ color: "red" })), "blue")
        yield* aster.client(Repainter, { contractMismatch: "ignore" })
        yield* aster.client(Painter)
      })
      yield* Effect.provide(used, Logger.layer([logger]))
      const differing = messages.filter((message) => message.includes("Painter v1 has contract"))
      assert.lengthOf(differing, 1)
      assert.include(differing[0], "the messages of paint differ")
    })
  )
})
