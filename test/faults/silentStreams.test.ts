import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import * as Frame from "@aster-effect/core/wire/Frame"
import type { BiStream } from "@aster-effect/iroh/BiStream"
import type { Connection } from "@aster-effect/iroh/Connection"
import { zstdCompressSync } from "node:zlib"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { HelloReply, HelloRequest, KitchenSink, Text } from "../../examples/kitchen-sink/KitchenSink.ts"
import { start } from "./Child.ts"
import { consume, dial, node } from "./Kitchen.ts"
import type { Memory } from "./Memory.ts"
import { answerOn, header, message, send, text } from "./RawCall.ts"

const MiB = 1024 * 1024

/** MiB that a server may hold more than before an attack: its caches are not all warm, and collections are not exact. */
const SLACK = 3

interface Victim {
  /** Connects as often as is said, from nodes of their own for every 50 connections, or as many as is said. */
  readonly connections: (
    count: number,
    alpn?: string,
    perNode?: number
  ) => Effect.Effect<ReadonlyArray<Connection>, unknown, Scope.Scope>
  /** Somebody else's call, which has to be answered before long. */
  readonly serves: Effect.Effect<void, unknown>
  /** MiB on its heap and in its buffers, more than before the attack. */
  readonly held: Effect.Effect<number>
  /** Makes an attack and waits, meanwhile or afterwards, until it holds more than before: the attack has arrived. */
  readonly suffers: <A, E>(attack: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Waits until it holds as little as before the attack, or nearly. */
  readonly recovers: Effect.Effect<void>
  readonly address: string
}

/**
 * Runs an attack on a server in a process of its own. What the attacker has opened is closed behind it; then the server
 * has to get back to where it was, and still serves.
 */
const withstands = (attack: (victim: Victim) => Effect.Effect<void, unknown, Scope.Scope>) =>
  Effect.fnUntraced(function* () {
    const options = { requestTimeout: "2 seconds", answerTimeout: "2 seconds", handlerTimeout: "4 seconds" }
    const child = yield* start("test/faults/meteredServer.ts", [JSON.stringify(options)], ["--expose-gc"])
    const { address } = JSON.parse(yield* child.line) as { readonly address: string }
    const kitchen = yield* Effect.flatMap(consume({ address }), (consumer) => consumer.client(KitchenSink))
    const serves = Effect.gen(function* () {
      const reply = yield* kitchen.say_hello(new HelloRequest({ name: "x" }), { timeout: "20 seconds" })
      assert.deepStrictEqual(reply, new HelloReply({ message: "Hello, x!" }))
    })
    const connections = (count: number, alpn: string = RpcConnection.ALPN, perNode = 50) =>
      Effect.map(
        Effect.forEach(Array.from({ length: Math.ceil(count / perNode) }), (_, i) =>
          Effect.flatMap(node, (from) =>
            Effect.forEach(
              Array.from({ length: Math.min(perNode, count - perNode * i) }),
              () => dial(from, { address }, alpn),
              { concurrency: 10 }
            )
          )
        ),
        (all) => all.flat()
      )
    for (let i = 0; i < 300; i++) yield* serves
    const absolute = Effect.suspend(() => {
      child.process.stdin.write("\n")
      return Effect.map(child.line, (line) => (JSON.parse(line) as Memory).held)
    })
    const before = yield* absolute
    const held = Effect.map(absolute, (now) => now - before)
    const becomes = (expected: (more: number) => boolean, otherwise: string) => {
      let last = 0
      const sample = Effect.map(held, (more) => expected((last = more)))
      return Effect.repeat(sample, { until: (as) => as, schedule: Schedule.spaced("100 millis") }).pipe(
        Effect.timeoutOrElse({
          duration: "1 minute",
          orElse: () => Effect.die(new Error(`${otherwise}: it holds ${last.toFixed(1)} MiB more than before`))
        })
      )
    }
    const suffers = <A, E>(attack: Effect.Effect<A, E>) =>
      Effect.map(
        Effect.all([attack, becomes((more) => more > SLACK, "the server does not notice")], { concurrency: 2 }),
        ([result]) => result
      )
    const recovers = Effect.asVoid(becomes((more) => more < SLACK, "the server does not recover"))
    yield* Effect.scoped(attack({ address, connections, held, recovers, serves, suffers }))
    yield* recovers
    yield* serves
  })

/** Opens streams with these bytes, spread over connections. */
const opened = (connections: ReadonlyArray<Connection>, count: number, bytes: ReadonlyArray<Uint8Array>) =>
  Effect.forEach(
    Array.from({ length: count }, (_, i) => connections[i % connections.length]!),
    (connection) => send(connection, { bytes }),
    { concurrency: 50 }
  )

const zipped = (payload: Uint8Array) => Frame.encode(zstdCompressSync(payload), Frame.COMPRESSED)

/** Everything the server still sends on them. */
const read = (streams: ReadonlyArray<BiStream>) =>
  Effect.forEach(streams, (stream) => answerOn(stream), { concurrency: "unbounded" })

/** The server gives them up. */
const reset = (streams: ReadonlyArray<BiStream>) =>
  Effect.map(read(streams), (answers) => {
    for (const { end } of answers) assert.strictEqual(end, "reset")
  })

describe("a server", () => {
  it.live(
    "gives up 1,000 silent streams and serves others meanwhile",
    withstands(
      Effect.fnUntraced(function* ({ connections, serves, suffers }) {
        const streams = yield* suffers(opened(yield* connections(12), 1_000, [Uint8Array.of(1)]))
        yield* serves
        yield* reset(streams)
      })
    )
  )

  it.live(
    "gives up streams that are silent behind their header",
    withstands(
      Effect.fnUntraced(function* ({ connections, serves }) {
        const streams = yield* opened(yield* connections(10), 500, [header()])
        yield* serves
        const answers = yield* Effect.forEach(streams, (stream) => answerOn(stream), { concurrency: "unbounded" })
        for (const { end, status } of answers) {
          assert.strictEqual(end, "finished")
          assert.strictEqual(status?.code, 4)
        }
      })
    )
  )

  it.live(
    "forgets streams that are reset in the middle of a frame",
    withstands(
      Effect.fnUntraced(function* ({ connections, serves, suffers }) {
        const part = Frame.encode(new Uint8Array(MiB), 0).subarray(0, 20_000)
        for (const bytes of [[part], [header(), part], [header({ method: "sum" }), part]]) {
          const streams = yield* suffers(opened(yield* connections(5), 400, bytes))
          for (const stream of streams) yield* stream.send.reset(7)
          yield* serves
        }
      })
    )
  )

  it.live(
    "gives up clients that do not read",
    withstands(
      Effect.fnUntraced(function* ({ connections, recovers, serves, suffers }) {
        const [connection] = yield* connections(1)
        // Little to send, much to answer: more than a stream takes unread.
        const large = zipped(message(Text, new Text({ text: "x".repeat(1.25 * MiB) }), "json"))
        const [answers, endless] = yield* suffers(
          Effect.all([
            opened([connection!], 8, [header({ method: "text_echo" }), large]),
            opened([connection!], 10, [header({ method: "endless" }), text('{"to":0}')])
          ])
        )
        yield* serves
        // Two seconds and one for each 128 KiB, two and those of their handlers for the endless ones. Nothing is read.
        yield* recovers
        yield* serves
        const ends = yield* read(answers)
        assert.isTrue(ends.some(({ end }) => end === "reset"))
        // While an answer waits to be read there is no room to decode all of the others, which are refused.
        for (const { end, status } of ends)
          assert.isTrue(end === "reset" || status?.code === 8, `${end}, ${status?.code}`)
        for (const { end, status } of yield* read(endless)) {
          // On a busy machine they have not come as far as a stream takes, so that there was room for the status.
          assert.isTrue(end === "reset" || status?.code === 4, `${end}, status ${status?.code}`)
        }
      })
    )
  )

  it.live(
    "takes no more from a client than its handler can",
    withstands(
      Effect.fnUntraced(function* ({ connections, held, serves }) {
        const [connection] = yield* connections(1)
        // Nobody reads the replies, so the handlers stop to take requests.
        const item = zipped(message(HelloRequest, new HelloRequest({ name: "x".repeat(MiB) }), "json"))
        const floods = yield* Effect.forEach(Array.from({ length: 10 }), () =>
          Effect.flatMap(connection!.openBi, (stream) =>
            Effect.as(
              Effect.forkScoped(
                Effect.andThen(stream.send.write(header({ method: "chat" })), Effect.forever(stream.send.write(item)))
              ),
              stream
            )
          )
        )
        yield* Effect.sleep("3 seconds")
        yield* serves
        // A few of the largest each, of the thousands that were sent.
        assert.isBelow(yield* held, 10 * 8)
        for (const stream of floods) yield* stream.send.reset(1)
      })
    )
  )

  it.live(
    "keeps 200 connections without streams, and serves more",
    withstands(
      Effect.fnUntraced(function* ({ connections, serves }) {
        const idle = yield* connections(200)
        yield* serves
        yield* Effect.sleep("3 seconds")
        for (const connection of idle) assert.isFalse(connection.isClosed())
      })
    )
  )

  it.live(
    "does not wait for those who ask for admission and say nothing",
    withstands(
      Effect.fnUntraced(function* ({ address, connections, serves }) {
        // As many as a peer may have under way from each node, and four more than the server takes of all.
        const asking = yield* connections(68, ConsumerAdmission.ALPN, 4)
        // Those that it has waited for longest make room: the first four for the last, one more for a consumer.
        yield* consume({ address })
        const begun = yield* opened(asking.slice(10, 30), 20, [Uint8Array.of(0x7b)])
        // The server may stop them before they have said it all.
        for (const wordy of asking.slice(30, 40)) {
          yield* Effect.ignore(send(wordy, { bytes: [new Uint8Array(100_000)] }))
        }
        yield* serves
        const codes = yield* Effect.forEach(
          asking,
          ({ closed }) => Effect.map(closed, (reason) => (reason._tag === "Peer" ? reason.code : reason._tag)),
          { concurrency: "unbounded" }
        )
        const closedWith = (code: number) => codes.filter((other) => other === code).length
        assert.deepStrictEqual([503, 408, 0].map(closedWith), [5, 53, 10])
        // Streams that nobody holds any more are reset, so these are held until here.
        yield* Effect.forEach(begun, ({ send }) => Effect.ignore(send.reset(0)))
      })
    )
  )

  it.live(
    "lets the calls of killed clients go",
    withstands(
      Effect.fnUntraced(function* ({ address, held, serves }) {
        const clients = yield* Effect.forEach(Array.from({ length: 3 }), () =>
          start("test/faults/busyClient.ts", [address])
        )
        for (const client of clients) assert.strictEqual(yield* client.line, "calling")
        assert.isAbove(yield* held, 0)
        for (const client of clients) client.process.kill("SIGKILL")
        yield* serves
      })
    )
  )
})
