import type { Connection } from "@aster-effect/iroh/Connection"
import { ConnectionGate } from "@aster-effect/iroh/ConnectionGate"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as Router from "@aster-effect/iroh/Router"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { echo, node, readAll, text } from "./contract.ts"

const server = IrohNode.layerMemory({ alpns: ["unhandled/1"] })
const makeServer = node(server)
const makeClient = node(IrohNode.layerMemory())

/** A router on a node of its own, and a way to connect to it. */
const routed = Effect.fnUntraced(function* <const P extends ReadonlyArray<Router.Protocol>>(
  options: Router.RouterOptions<P>
) {
  const home = yield* makeServer
  const router = yield* Effect.provideService(Router.serve(options), IrohNode, home)
  const addr = yield* home.address
  const connect = Effect.fnUntraced(function* (alpn: string) {
    const client = yield* makeClient
    return { client, connection: yield* client.connect(addr, alpn) }
  })
  return { connect, home, router }
})

const ask = Effect.fnUntraced(function* (connection: Connection, question: string) {
  const { recv, send } = yield* connection.openBi
  yield* send.write(text(question))
  yield* send.finish
  return new TextDecoder().decode(yield* readAll(recv))
})

/** Collects log lines of level Error with their causes. */
const errors = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ cause, fiber, logLevel, message }) => {
    if (logLevel !== "Error") return
    lines.push(
      `${String(message)} ${Cause.pretty(cause)} ${JSON.stringify(fiber.getRef(References.CurrentLogAnnotations))}`
    )
  })
  return { layer: Logger.layer([logger]), lines }
}

const test = (title: string, body: () => Effect.Effect<void, unknown, Scope.Scope | MemoryNetwork>) =>
  it.effect(title, () => Effect.provide(body(), MemoryNetwork.layer()))

describe("Router", () => {
  test("sends each protocol to its handler", () =>
    Effect.gen(function* () {
      const greet = (greeting: string) => (connection: Connection) =>
        Effect.gen(function* () {
          const { recv, send } = yield* connection.acceptBi
          yield* send.write(text(`${greeting} ${new TextDecoder().decode(yield* readAll(recv))}`))
          yield* send.finish
          yield* connection.closed
        })
      const { connect, router } = yield* routed({
        protocols: [
          { alpn: "hello/1", handler: greet("hello") },
          { alpn: "bye/1", handler: greet("bye") }
        ]
      })
      const hello = yield* connect("hello/1")
      const bye = yield* connect("bye/1")
      assert.strictEqual(yield* ask(bye.connection, "ann"), "bye ann")
      assert.strictEqual(yield* ask(hello.connection, "bob"), "hello bob")
      assert.strictEqual(yield* router.connections, 2)
      yield* hello.connection.close(0, "")
      yield* bye.connection.close(0, "")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* router.connections, 0)
    }))

  test("closes what it has no handler for", () =>
    Effect.gen(function* () {
      const { connect } = yield* routed({ protocols: [{ alpn: "echo/1", handler: echo }] })
      const { connection } = yield* connect("unhandled/1")
      assert.deepStrictEqual(yield* connection.closed, {
        _tag: "Peer",
        code: 400,
        reason: "no handler for this protocol"
      })
    }))

  test("hands services to handlers, and a scope for each connection", () =>
    Effect.gen(function* () {
      class Name extends Context.Service<Name, string>()("test/Name") {}
      const home = yield* makeServer
      let released = 0
      const handler = (connection: Connection) =>
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.sync(() => released++))
          const { send } = yield* connection.acceptBi
          yield* send.write(text(yield* Name))
          yield* send.finish
        })
      yield* Router.serve({ protocols: [{ alpn: "name/1", handler }] }).pipe(
        Effect.provideService(IrohNode, home),
        Effect.provideService(Name, "alice")
      )
      const client = yield* makeClient
      const connection = yield* client.connect(yield* home.address, "name/1")
      assert.strictEqual(yield* ask(connection, "?"), "alice")
      yield* TestClock.adjust(1)
      assert.strictEqual(released, 1)
      assert.isFalse(connection.isClosed()) // the peer still has time to read
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* connection.closed, { _tag: "Peer", code: 0, reason: "server closed" })
    }))

  describe("gate", () => {
    const gated = Effect.fnUntraced(function* (gate: Context.Service.Shape<typeof ConnectionGate>) {
      const accepted: Array<string> = []
      const handler = (connection: Connection) =>
        Effect.andThen(
          Effect.sync(() => accepted.push(connection.remoteId)),
          echo(connection)
        )
      const made = yield* Effect.provideService(
        routed({
          protocols: [
            { alpn: "echo/1", handler },
            { alpn: "open/1", handler: echo }
          ]
        }),
        ConnectionGate,
        gate
      )
      return { ...made, accepted }
    })

    test("denies before anything is accepted, and sees who asks for what", () =>
      Effect.gen(function* () {
        const seen: Array<readonly [string, string]> = []
        const { accepted, connect } = yield* gated({
          admit: (remoteId, alpn) =>
            Effect.sync(() => {
              seen.push([remoteId, alpn])
              return alpn === "open/1"
            })
        })
        const denied = yield* connect("echo/1")
        assert.deepStrictEqual(yield* denied.connection.closed, { _tag: "Peer", code: 403, reason: "not admitted" })
        assert.deepStrictEqual(accepted, [])
        const admitted = yield* connect("open/1")
        assert.strictEqual(yield* ask(admitted.connection, "hi"), "hi")
        assert.deepStrictEqual(seen, [
          [denied.client.endpointId, "echo/1"],
          [admitted.client.endpointId, "open/1"]
        ])
      }))

    test("denies when it dies or does not answer", () =>
      Effect.gen(function* () {
        const { layer, lines } = errors()
        const { connect } = yield* Effect.provide(
          gated({ admit: (_, alpn) => (alpn === "echo/1" ? Effect.die(new Error("gate broke")) : Effect.never) }),
          layer
        )
        const broken = yield* connect("echo/1")
        assert.strictEqual((yield* broken.connection.closed)._tag, "Peer")
        const silent = yield* connect("open/1")
        yield* TestClock.adjust("9 seconds")
        assert.isFalse(silent.connection.isClosed())
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* silent.connection.closed, { _tag: "Peer", code: 403, reason: "not admitted" })
        assert.lengthOf(lines, 2)
        assert.include(lines[0], "gate broke")
      }))

    test("one that takes its time keeps nobody else waiting", () =>
      Effect.gen(function* () {
        const { connect } = yield* gated({
          admit: (_, alpn) => (alpn === "echo/1" ? Effect.never : Effect.succeed(true))
        })
        yield* connect("echo/1")
        const { connection } = yield* connect("open/1")
        assert.strictEqual(yield* ask(connection, "hi"), "hi")
      }))
  })

  describe("supervision", () => {
    test("a handler that dies or fails ends its own connection only, and is logged", () =>
      Effect.gen(function* () {
        const { layer, lines } = errors()
        const { connect, router } = yield* Effect.provide(
          routed({
            protocols: [
              { alpn: "die/1", handler: () => Effect.die(new Error("broken handler")) },
              { alpn: "fail/1", handler: () => Effect.fail(new Error("failed handler")) },
              {
                alpn: "throw/1",
                handler: () => {
                  throw new Error("thrown handler")
                }
              },
              { alpn: "echo/1", handler: echo }
            ]
          }),
          layer
        )
        const healthy = yield* connect("echo/1")
        for (const alpn of ["die/1", "fail/1", "throw/1"]) {
          const { client, connection } = yield* connect(alpn)
          assert.deepStrictEqual(yield* connection.closed, { _tag: "Peer", code: 500, reason: "failed" })
          const line = lines.at(-1) ?? ""
          assert.match(line, /(broken|failed|thrown) handler/)
          assert.include(line, client.endpointId)
          assert.include(line, alpn)
        }
        assert.lengthOf(lines, 3)
        assert.strictEqual(yield* ask(healthy.connection, "still here"), "still here")
        assert.strictEqual(yield* ask((yield* connect("echo/1")).connection, "new"), "new")
        assert.strictEqual(yield* router.connections, 2)
      }))

    test("a peer that leaves is no error", () =>
      Effect.gen(function* () {
        const { layer, lines } = errors()
        const { connect, router } = yield* Effect.provide(
          routed({ protocols: [{ alpn: "echo/1", handler: echo }] }),
          layer
        )
        const { connection } = yield* connect("echo/1")
        assert.strictEqual(yield* ask(connection, "hi"), "hi")
        yield* connection.close(3, "bye")
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* router.connections, 0)
        assert.deepStrictEqual(lines, [])
      }))

    test("serves no more than maxConnections at a time", () =>
      Effect.gen(function* () {
        const { connect, router } = yield* routed({ protocols: [{ alpn: "echo/1", handler: echo }], maxConnections: 2 })
        const first = yield* connect("echo/1")
        yield* connect("echo/1")
        const third = yield* connect("echo/1")
        assert.deepStrictEqual(yield* third.connection.closed, {
          _tag: "Peer",
          code: 503,
          reason: "too many connections"
        })
        assert.strictEqual(yield* router.connections, 2)
        yield* first.connection.close(0, "")
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* ask((yield* connect("echo/1")).connection, "room"), "room")
      }))

    test("says which limit turns peers away, once a minute", () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => {
          if (logLevel === "Warn") lines.push(String(message))
        })
        const { connect, home } = yield* Effect.provide(
          routed({ protocols: [{ alpn: "echo/1", handler: echo }], maxConnections: 3, maxConnectionsPerPeer: 2 }),
          Logger.layer([logger])
        )
        const refused = (connection: Connection) =>
          Effect.map(connection.closed, (reason) => {
            assert.deepInclude(reason, { _tag: "Peer", code: 503 })
          })
        const { client } = yield* connect("echo/1")
        const again = Effect.flatMap(home.address, (addr) => client.connect(addr, "echo/1"))
        yield* again
        for (let i = 0; i < 3; i++) yield* Effect.flatMap(again, refused)
        const one = `connections are refused: peer ${client.endpointId} has 2 connections, the limit for one (maxConnectionsPerPeer)`
        assert.deepStrictEqual(lines, [one])
        yield* connect("echo/1")
        const stranger = Effect.flatMap(connect("echo/1"), ({ connection }) => refused(connection))
        for (let i = 0; i < 3; i++) yield* stranger
        const all = "connections are refused: all 3 connections are taken (maxConnections)"
        assert.deepStrictEqual(lines, [one, all])
        yield* TestClock.adjust(59_999)
        yield* stranger
        assert.deepStrictEqual(lines, [one, all])
        yield* TestClock.adjust(1)
        yield* stranger
        assert.deepStrictEqual(lines, [one, all, all])
      }))
  })

  describe("drain", () => {
    /** Works for as long as the question says, unless interrupted; leaves when draining begins. */
    const worker = (log: Array<string>) => (connection: Connection, draining: Effect.Effect<void>) =>
      Effect.gen(function* () {
        const { recv, send } = yield* connection.acceptBi
        const seconds = Number(new TextDecoder().decode(yield* readAll(recv)))
        yield* draining
        yield* Effect.sleep(`${seconds} seconds`)
        yield* send.write(text(`worked ${seconds}`))
        yield* send.finish
        log.push(`done ${seconds}`)
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => log.push("interrupted"))))

    test("lets work finish within the grace period, then interrupts", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const { connect, home, router } = yield* routed({
          protocols: [{ alpn: "work/1", handler: worker(log) }],
          gracePeriod: "10 seconds"
        })
        const quick = yield* Effect.forkChild(ask((yield* connect("work/1")).connection, "3"))
        const slow = yield* connect("work/1")
        const asking = yield* Effect.forkChild(Effect.exit(ask(slow.connection, "60")))
        yield* TestClock.adjust(1)
        const draining = yield* Effect.forkChild(router.drain, { startImmediately: true })
        const impatient = yield* Effect.forkChild(router.drain, { startImmediately: true })
        yield* Fiber.interrupt(impatient) // does not stop it
        const late = yield* connect("work/1")
        assert.deepStrictEqual(yield* late.connection.closed, { _tag: "Peer", code: 0, reason: "server closed" })
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* Fiber.join(quick), "worked 3")
        assert.deepStrictEqual(log, ["done 3"])
        yield* TestClock.adjust("6 seconds")
        assert.isUndefined(draining.pollUnsafe())
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(draining)
        assert.deepStrictEqual(log, ["done 3", "interrupted"])
        assert.deepStrictEqual(yield* slow.connection.closed, { _tag: "Peer", code: 0, reason: "server closed" })
        assert.isTrue(Exit.isFailure(yield* Fiber.join(asking)))
        yield* router.drain // again, at once
        assert.strictEqual(yield* router.connections, 0)
        const error = yield* Effect.flip((yield* connect("work/1")).connection.acceptBi)
        assert.strictEqual(error._tag, "ConnectionLost") // the node itself is still open
        assert.strictEqual(
          yield* Effect.exit(Effect.timeoutOption(home.accept, 0)).pipe(Effect.map(Exit.isSuccess)),
          true
        )
      }))

    test("closing the scope drains", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const home = yield* makeServer
        const scope = yield* Scope.make()
        yield* Router.serve({ protocols: [{ alpn: "work/1", handler: worker(log) }], gracePeriod: "10 seconds" }).pipe(
          Effect.provideService(IrohNode, home),
          Scope.provide(scope)
        )
        const client = yield* makeClient
        const connection = yield* client.connect(yield* home.address, "work/1")
        const asking = yield* Effect.forkChild(ask(connection, "3"))
        yield* TestClock.adjust(1)
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* Fiber.join(asking), "worked 3")
        yield* connection.close(0, "")
        yield* Fiber.join(closing)
        assert.deepStrictEqual(log, ["done 3"])
      }))

    test("with nobody there takes no time", () =>
      Effect.gen(function* () {
        const { router } = yield* routed({ protocols: [{ alpn: "echo/1", handler: echo }] })
        yield* router.drain
      }))
  })

  it.effect("several layers share one router's node", () =>
    Effect.gen(function* () {
      const program = Layer.effectDiscard(Router.serve({ protocols: [{ alpn: "echo/1", handler: echo }] })).pipe(
        Layer.provideMerge(server)
      )
      const context = yield* Layer.build(program)
      const client = yield* makeClient
      const connection = yield* client.connect(yield* Context.get(context, IrohNode).address, "echo/1")
      assert.strictEqual(yield* ask(connection, "hi"), "hi")
    }).pipe(Effect.provide(MemoryNetwork.layer()))
  )
})
