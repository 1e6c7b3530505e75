/** Lines of a log, and what is never in one. */
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as Logging from "@aster-effect/observability/Logging"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as TestConsole from "effect/testing/TestConsole"
import {
  consume,
  issue,
  keyA,
  keyB,
  memoryNode,
  nonce,
  Note,
  otherRoot,
  root,
  serve,
  settings
} from "../admission/Deployment.ts"

/** What is written to standard error, with loggers as a program has them that said nothing. */
const written = <A, E, R>(body: Effect.Effect<A, E, R>) =>
  Effect.andThen(
    Effect.provideService(body, Logger.CurrentLoggers, new Set([Logger.defaultLogger])),
    Effect.map(TestConsole.errorLines, (lines) => lines.map(String))
  )

const logged = <A, E, R>(settings: Logging.LogSettings, body: Effect.Effect<A, E, R>) =>
  written(Effect.provide(body, Logging.layer(settings)))

const id = "ab".repeat(32)

describe("the log", () => {
  it.effect("is JSON with the fields of the reference, others after them", () =>
    Effect.gen(function* () {
      const [line] = yield* logged(
        { format: "json" },
        Effect.logWarning(
          "a call ended",
          { took: 1.5, endpointId: id, nothing: undefined },
          Cause.fail(new Error("gone"))
        ).pipe(Effect.annotateLogs({ peer: id, service: "Echo", logger: "aster.server" }))
      )
      assert.strictEqual(
        line,
        '{"ts":"1970-01-01T00:00:00.000Z","level":"warning","logger":"aster.server","msg":"a call ended","service":"Echo",' +
          '"peer":"abababab...abab","endpoint_id":"abababab...abab","took":1.5,"error":"gone","error_type":"Error"}'
      )
    })
  )

  it.effect("is text for people: a line, and the error on another", () =>
    Effect.gen(function* () {
      const lines = yield* logged(
        { color: false },
        Effect.gen(function* () {
          yield* Effect.logInfo("a call ended", { took: 2, peer: id, why: "no reason" })
          yield* Effect.logError(Cause.fail(new RangeError("too far")))
          yield* Effect.logInfo("what a peer said: x\nERROR forged \u001b[2J\u202e", { said: 'a" b=c\n' })
        })
      )
      const [first, second, third] = lines.map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d\d\d /, ""))
      assert.strictEqual(first, 'INFO  aster — a call ended [peer=abababab...abab took=2 why="no reason"]')
      assert.strictEqual(second, "ERROR aster — \n  RangeError: too far")
      assert.strictEqual(
        third,
        'INFO  aster — what a peer said: x\n  ERROR forged \\u001b[2J\\u202e [said="a\\" b=c\\n"]'
      )
    })
  )

  it.effect("has the stack of a defect, and colours where they are wanted", () =>
    Effect.gen(function* () {
      const [line] = yield* logged({ color: true }, Effect.logError("failed", Cause.die(new Error("a bug"))))
      assert.include(line, "\u001b[31mERROR\u001b[0m aster — failed\n  Error: a bug\n      at ")
    })
  )

  it.effect("never prints a secret, wherever it stands", () =>
    Effect.gen(function* () {
      const secret = "s3cr3t"
      const event = Effect.logInfo(
        "m",
        { secretKey: secret, PASSWORD: secret, nested: { list: [{ iid_token: secret, nonce: "n".repeat(20) }] } },
        {
          key: Redacted.make(secret),
          bytes: new TextEncoder().encode(secret),
          auth: 7,
          map: new Map([["token", secret]])
        }
      )
      for (const format of ["json", "text"] as const) {
        const lines = yield* logged({ format }, event)
        assert.notInclude(lines.join("\n"), secret)
      }
      const [line] = (yield* logged({ format: "json" }, event)).slice(-1)
      const { ts: _ts, level: _level, logger: _logger, msg: _msg, ...fields } = JSON.parse(line!)
      assert.deepStrictEqual(fields, {
        secret_key: "***",
        PASSWORD: "***",
        nested: { list: [{ iid_token: "***", nonce: "nnnnnnnn...nnnn" }] },
        key: "<redacted>",
        bytes: "<6 bytes>",
        auth: "***",
        map: { token: "***" }
      })
      const [plain] = (yield* logged({ format: "json", mask: false }, event)).slice(-1)
      assert.deepInclude(JSON.parse(plain!), { key: "<redacted>", bytes: "<6 bytes>", secret_key: secret })
    })
  )

  it.effect("is bounded, and takes anything", () =>
    Effect.gen(function* () {
      const circle: Record<string, unknown> = { big: 1n, text: "x".repeat(100_000), not: Number.NaN }
      circle["self"] = circle
      const [line] = yield* logged({ format: "json" }, Effect.logInfo("m", circle, Symbol("s"), [1, 2]))
      assert.isBelow(line!.length, 60_000)
      assert.deepInclude(JSON.parse(line!), { big: "1", not: "NaN", msg: "m Symbol(s) 1,2" })
    })
  )

  it.effect("follows the variables, in the words of the reference", () =>
    Effect.gen(function* () {
      const read = (env: Record<string, string>) =>
        Effect.provide(Logging.settingsFromEnv, ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
      assert.deepStrictEqual(yield* read({}), { format: undefined, level: undefined, mask: true })
      assert.deepStrictEqual(
        yield* read({ ASTER_LOG_FORMAT: "JSON", ASTER_LOG_LEVEL: "warn", ASTER_LOG_MASK: "false" }),
        { format: "json", level: "warning", mask: false }
      )
      assert.deepStrictEqual(yield* read({ ASTER_LOG_FORMAT: "xml", ASTER_LOG_LEVEL: "loud", ASTER_LOG_MASK: "?" }), {
        format: undefined,
        level: undefined,
        mask: true
      })
      const lines = yield* logged({ level: "error" }, Effect.andThen(Effect.logWarning("a"), Effect.logError("b")))
      assert.lengthOf(lines, 1)
    })
  )

  it.effect("leaves loggers of the program alone", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const own = Logger.make(({ message }) => seen.push(message))
      yield* Effect.logInfo("x").pipe(
        Effect.provide(Logging.layer()),
        Effect.provideService(Logger.CurrentLoggers, new Set([own]))
      )
      assert.deepStrictEqual([seen, yield* TestConsole.errorLines], [[["x"]], []])
    })
  )
})

describe("a server with settings of a log", () => {
  const Told = Service.make("Told", { public: true }).add(Rpc.unary("say", { request: Note, response: Note }))
  const ToldLive = Told.toLayer({ say: (note) => Effect.as(Effect.logInfo("said", { token: note.text }), note) })

  it.effect("logs like them, says in handlers which call it is, and prints no secret at any level", () =>
    Effect.gen(function* () {
      const shown = yield* issue({ nonce: nonce(7) })
      const wrong = yield* issue({ by: otherRoot })
      const lines = yield* written(
        Effect.gen(function* () {
          const config = settings({
            secretKey: keyA,
            rootPubkey: root.publicKey,
            logFormat: "json",
            logLevel: "debug"
          })
          const server = yield* serve(yield* memoryNode({ secretKey: keyA }), { config }, ToldLive)
          const client = yield* consume(yield* memoryNode({ secretKey: keyB }), server, { credential: shown })
          yield* (yield* client.client(Told)).say(new Note({ text: "a-token" }), { callId: "call-7" })
          yield* Effect.flip(consume(yield* memoryNode(), server, { credential: wrong }))
        }).pipe(Effect.scoped, Effect.provide(MemoryNetwork.layer()))
      )
      const events = lines.map((line) => JSON.parse(line))
      assert.isTrue(events.some(({ msg }) => msg === "server starting"))
      assert.isTrue(events.some(({ msg }) => msg === "A consumer is not admitted"))
      const { ts: _, ...said } = events.find(({ msg }) => msg === "said")
      const peer = SecretKey.toEndpointId(keyB)
      assert.deepInclude(said, {
        level: "info",
        request_id: "call-7",
        service: "Told",
        method: "say",
        peer: `${peer.slice(0, 8)}...${peer.slice(-4)}`,
        token: "***"
      })
      const secrets = [
        ...[keyA, keyB]
          .map((key) => Buffer.from(Redacted.value(key)))
          .flatMap((key) => [key.toString("hex"), key.toString("base64")]),
        "a-token",
        nonce(7),
        shown.signature,
        wrong.signature
      ]
      for (const secret of secrets) assert.notInclude(lines.join("\n"), secret)
    })
  )
})

describe("a client with settings of a log", () => {
  it.effect("logs what it does by itself like them, and leaves the program's log alone", () =>
    Effect.gen(function* () {
      const lines = yield* written(
        Effect.gen(function* () {
          const server = yield* serve(yield* memoryNode(), { config: settings({ logLevel: "error" }) })
          const loud = settings({ logFormat: "json", logLevel: "debug" })
          const producers = { config: loud, address: undefined, producers: [server.address] }
          yield* consume(yield* memoryNode(), server, producers)
          yield* Effect.logDebug("of the program")
          // The client goes on by itself when there is a link.
          const moment = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
          yield* Effect.repeat(Effect.andThen(moment, TestConsole.errorLines), {
            until: (lines) => String(lines).includes("calls go to producer")
          })
        }).pipe(Effect.scoped, Effect.provide(MemoryNetwork.layer()))
      )
      const events = lines.map((line) => JSON.parse(line))
      assert.isTrue(events.some(({ level, msg }) => level === "debug" && msg.startsWith("calls go to producer ")))
      assert.isFalse(events.some(({ msg }) => msg === "of the program"))
    })
  )
})
