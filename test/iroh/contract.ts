/** What every transport must do, whatever it is made of. */
import type * as BiStream from "@aster-effect/iroh/BiStream"
import type { Connection } from "@aster-effect/iroh/Connection"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { NodeOptions } from "@aster-effect/iroh/NodeOptions"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as Ed25519 from "@aster-effect/iroh/Ed25519"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

/** Makes a node of the transport under test. */
export type MakeLayer = (options: NodeOptions) => Layer.Layer<IrohNode, unknown, MemoryNetwork>

export const alpn = "test/1"

/** A node of its own, closed with the scope. */
export const node = (
  layer: ReturnType<MakeLayer>
): Effect.Effect<IrohNode["Service"], never, Scope.Scope | MemoryNetwork> =>
  Layer.build(Layer.fresh(layer)).pipe(
    Effect.map((context) => Context.get(context, IrohNode)),
    Effect.orDie
  )

/** Two nodes and the connection between them, from both sides. */
export const connected = Effect.fnUntraced(function* (makeLayer: MakeLayer) {
  const a = yield* node(makeLayer({ alpns: [alpn] }))
  const b = yield* node(makeLayer({}))
  const accepting = yield* Effect.forkChild(a.accept)
  const client = yield* b.connect(yield* a.address, alpn)
  const server = yield* Fiber.join(accepting)
  return { a, b, client, server }
})

export const text = (string: string): Uint8Array => new TextEncoder().encode(string)

/** Bytes that tell where they belong. */
export const pattern = (length: number, seed = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => ((i + seed) * 2654435761) >>> 24)

/** Everything up to the end. */
export const readAll = Effect.fnUntraced(function* (recv: BiStream.RecvStream, maxBytes?: number) {
  const chunks: Array<Uint8Array> = []
  while (true) {
    const bytes = yield* recv.read(maxBytes)
    if (bytes === undefined) return Uint8Array.from(Buffer.concat(chunks))
    chunks.push(bytes)
  }
})

/** Exactly `length` bytes. */
const readExactly = Effect.fnUntraced(function* (recv: BiStream.RecvStream, length: number) {
  const chunks: Array<Uint8Array> = []
  for (let left = length; left > 0;) {
    const bytes = yield* recv.read(left)
    if (bytes === undefined) return assert.fail(`ended ${left} bytes early`)
    chunks.push(bytes)
    left -= bytes.length
  }
  return Uint8Array.from(Buffer.concat(chunks))
})

/** Sends every stream back. */
export const echo = Effect.fnUntraced(function* (connection: Connection) {
  while (true) {
    const { recv, send } = yield* connection.acceptBi
    yield* Effect.forkChild(
      Effect.gen(function* () {
        for (let bytes = yield* recv.read(); bytes !== undefined; bytes = yield* recv.read()) yield* send.write(bytes)
        yield* send.finish
      })
    )
  }
})

/** A stream that both sides know of. Held with the scope: of one that is collected the peer sees an end. */
const stream = Effect.fnUntraced(function* (client: Connection, server: Connection) {
  const near = yield* client.openBi
  yield* near.send.write(text("!"))
  const far = yield* server.acceptBi
  yield* far.recv.read()
  const pair = { near, far }
  yield* Effect.addFinalizer(() => Effect.succeed(pair))
  return pair
})

const reason = <A>(effect: Effect.Effect<A, BiStream.StreamError>) => Effect.map(Effect.flip(effect), (e) => e.reason)
const soon = "50 millis"

export const contract = (
  name: string,
  makeLayer: MakeLayer,
  provide: Layer.Layer<MemoryNetwork>,
  {
    direct = false,
    opensAtOnce = false,
    sequentialStreams = 10_000
  }: { readonly direct?: boolean; readonly opensAtOnce?: boolean; readonly sequentialStreams?: number } = {}
): void => {
  const test = (
    title: string,
    body: () => Effect.Effect<void, unknown, Scope.Scope | MemoryNetwork>,
    timeout?: number
  ) => it.live(title, () => Effect.provide(body(), provide), timeout)

  describe.runIf(direct)(`${name}: without effects`, () => {
    test("bytes go both ways without effects, in order with those that take some", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const [sends, receives] = [near.send.direct!, far.recv.direct!]
        // Several times what may be unread.
        const sent = pattern(5_000_000)
        const got: Array<Uint8Array> = []
        const finished = yield* Effect.forkChild(
          Effect.callback<void>((resume) => {
            const readable = () => {
              for (let bytes = receives.poll(7000); bytes !== undefined; bytes = receives.poll(7000)) {
                assert.isAtMost(bytes.length, 7000)
                got.push(Uint8Array.from(bytes))
              }
              if (receives.over === "finished") resume(Effect.void)
            }
            receives.listen(readable)
            readable()
          }),
          { startImmediately: true }
        )
        const reused = new Uint8Array(1000)
        for (let at = 0; at < sent.length; at += 1000) {
          reused.set(sent.subarray(at, at + 1000))
          if (!sends.tryWrite(reused)) yield* near.send.write(sent.slice(at, at + 1000))
          reused.fill(0)
          if (at % 5000 === 0) sends.flush()
        }
        yield* near.send.finish
        assert.isFalse(sends.tryWrite(text("late")))
        yield* Fiber.join(finished)
        assert.deepStrictEqual(Uint8Array.from(Buffer.concat(got)), sent)
      }))

    test("takes no more than there is room for, and more when it was read", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const sends = near.send.direct!
        let taken = 0
        while (taken < 4 * 1024 * 1024 && sends.tryWrite(new Uint8Array(16_384))) taken += 16_384
        assert.isBelow(taken, 1024 * 1024)
        const last = yield* Effect.forkChild(Effect.andThen(near.send.write(text("last")), near.send.finish))
        const all = yield* readAll(far.recv)
        assert.strictEqual(all.length, taken + 4)
        yield* Fiber.join(last)
      }))

    test("is over only once everything was taken", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const receives = far.recv.direct!
        yield* near.send.write(text("last"))
        yield* near.send.finish
        // What comes on another stream behind it says that this has come.
        const behind = yield* client.openBi
        yield* behind.send.write(text("behind"))
        yield* (yield* server.acceptBi).recv.read()
        yield* Effect.sleep(soon)
        let first = receives.poll(1)
        for (; first === undefined; first = receives.poll(1)) yield* Effect.sleep(soon)
        assert.deepStrictEqual(first, text("l"))
        assert.isUndefined(receives.over)
        assert.deepStrictEqual(receives.poll(), text("ast"))
        while (receives.over === undefined) yield* Effect.sleep(soon)
        assert.strictEqual(receives.over, "finished")
      }))

    test("says why nothing comes, and who reads has the bytes", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const receives = far.recv.direct!
        const reading = yield* Effect.forkChild(far.recv.read(), { startImmediately: true })
        yield* near.send.write(text("read"))
        assert.deepStrictEqual(yield* Fiber.join(reading), text("read"))
        assert.isUndefined(receives.poll())
        const why = () => receives.over
        assert.isUndefined(why())
        const told = yield* Effect.forkChild(
          Effect.callback<void>((resume) =>
            receives.listen(() => {
              if (why() !== undefined) resume(Effect.void)
            })
          ),
          { startImmediately: true }
        )
        yield* near.send.reset(7)
        yield* Fiber.join(told)
        const over = why()
        assert(over !== undefined && over !== "finished" && over.reason._tag === "StreamReset")
        assert.strictEqual(over.reason.code, 7)
        yield* client.close(0, "")
        yield* server.closed
        assert.isFalse(far.send.direct!.tryWrite(text("gone")))
      }))
  })

  describe(`${name}: connecting`, () => {
    test("both sides know each other and the protocol", () =>
      Effect.gen(function* () {
        const { a, b, client, server } = yield* connected(makeLayer)
        assert.strictEqual(client.remoteId, a.endpointId)
        assert.strictEqual(server.remoteId, b.endpointId)
        assert.strictEqual(client.alpn, alpn)
        assert.strictEqual(server.alpn, alpn)
        assert.isFalse(client.isClosed())
      }))

    test("the identity is the secret key's", () =>
      Effect.gen(function* () {
        const secretKey = yield* SecretKey.generate
        const { endpointId } = yield* node(makeLayer({ secretKey }))
        assert.strictEqual(endpointId, SecretKey.toEndpointId(secretKey))
      }))

    test("signatures are of the key that the identity is, given or not", () =>
      Effect.gen(function* () {
        const message = text("signed")
        for (const options of [{}, { secretKey: yield* SecretKey.generate }]) {
          const { endpointId, sign } = yield* node(makeLayer(options))
          assert.isTrue(Ed25519.verify(EndpointId.toBytes(endpointId), message, sign(message)))
          assert.isFalse(Ed25519.verify(EndpointId.toBytes(endpointId), text("other"), sign(message)))
        }
      }))

    test("a protocol that the peer does not speak", () =>
      Effect.gen(function* () {
        const { a, b } = yield* connected(makeLayer)
        const error = yield* Effect.flip(b.connect(yield* a.address, "other/1"))
        assert.deepStrictEqual(error.reason, { _tag: "UnsupportedProtocol" })
        assert.include(error.message, "other/1")
        // a failed handshake did not stop the peer from accepting
        const accepting = yield* Effect.forkChild(a.accept)
        yield* b.connect(yield* a.address, alpn)
        yield* Fiber.join(accepting)
      }))

    test("a protocol advertised later", () =>
      Effect.gen(function* () {
        const { a, b } = yield* connected(makeLayer)
        yield* a.advertise(["late/1"])
        for (const wanted of ["late/1", alpn]) {
          const accepting = yield* Effect.forkChild(a.accept)
          yield* b.connect(yield* a.address, wanted)
          assert.strictEqual((yield* Fiber.join(accepting)).alpn, wanted)
        }
      }))

    test("nobody there, in the given time", () =>
      Effect.gen(function* () {
        const a = yield* node(makeLayer({}))
        const gone = SecretKey.toEndpointId(yield* SecretKey.generate)
        const error = yield* Effect.flip(
          a.connect(NodeAddr.make(gone, ["127.0.0.1:9"]), alpn, { timeout: "200 millis" })
        )
        assert.deepStrictEqual(error.reason, { _tag: "TimedOut" })
      }))

    test("itself", () =>
      Effect.gen(function* () {
        const a = yield* node(makeLayer({ alpns: [alpn] }))
        const error = yield* Effect.flip(a.connect(yield* a.address, alpn))
        assert.deepStrictEqual(error.reason, { _tag: "Self" })
      }))

    test("many at once wait for the backlog", () =>
      Effect.gen(function* () {
        const a = yield* node(makeLayer({ alpns: [alpn], backlog: 1, maxHandshakes: 2 }))
        const b = yield* node(makeLayer({}))
        const dialling = yield* Effect.forkChild(
          Effect.all(
            Array.from({ length: 12 }, () => Effect.flatMap(a.address, (addr) => b.connect(addr, alpn))),
            {
              concurrency: "unbounded"
            }
          )
        )
        for (let i = 0; i < 12; i++) yield* a.accept
        assert.lengthOf(yield* Fiber.join(dialling), 12)
      }))

    // Of those iroh's transport loses some, in most runs of this one at least.
    test("a thousand, of whom most have to prove their address first", () =>
      Effect.gen(function* () {
        const a = yield* node(makeLayer({ alpns: [alpn], maxHandshakes: 8 }))
        const b = yield* node(makeLayer({}))
        const accepted: Array<unknown> = []
        const accept = Effect.map(a.accept, (connection) => void accepted.push(connection))
        yield* Effect.forkScoped(Effect.forever(accept))
        const dial = Effect.flatMap(a.address, (addr) => b.connect(addr, alpn, { timeout: "20 seconds" }))
        const dials = Effect.forEach(Array.from({ length: 1_000 }), () => dial, { concurrency: 16 })
        const connections = yield* dials
        assert.isTrue(connections.every((connection) => !connection.isClosed()))
      }))
  })

  describe(`${name}: closing`, () => {
    test("code and reason reach the peer, and everybody waiting", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const waiting = yield* Effect.forkChild(
          Effect.all(
            [
              server.closed,
              Effect.flip(server.acceptBi),
              Effect.flip(server.acceptUni),
              Effect.flip(far.recv.read()),
              client.closed,
              Effect.flip(client.acceptBi),
              Effect.flip(near.recv.read())
            ],
            { concurrency: "unbounded" }
          ),
          { startImmediately: true }
        )
        yield* client.close(403, "not admitted: ünïcode")
        const [peer, accept, acceptUni, read, local, localAccept, localRead] = yield* Fiber.join(waiting)
        const expected = { _tag: "Peer", code: 403, reason: "not admitted: ünïcode" } as const
        const own = { _tag: "Local", code: 403, reason: "not admitted: ünïcode" } as const
        assert.deepStrictEqual(peer, expected)
        assert.deepStrictEqual(accept.reason, expected)
        assert.deepStrictEqual(acceptUni.reason, expected)
        assert.deepStrictEqual(read.reason._tag === "ConnectionLost" && read.reason.reason, expected)
        assert.deepStrictEqual(local, own)
        assert.deepStrictEqual(localAccept.reason, own)
        assert.strictEqual(localRead.reason._tag, "ConnectionLost")
        for (const connection of [client, server]) {
          assert.isTrue(connection.isClosed())
          assert.strictEqual((yield* Effect.flip(connection.openBi))._tag, "ConnectionLost")
          assert.strictEqual((yield* Effect.flip(connection.openUni))._tag, "ConnectionLost")
        }
        assert.strictEqual((yield* reason(far.send.write(text("late"))))._tag, "ConnectionLost")
        assert.strictEqual((yield* reason(near.send.write(text("late"))))._tag, "ConnectionLost")
      }))

    test("is known to who asks again and again, and waits for nothing", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        assert.isFalse(client.isClosed())
        yield* server.close(1, "over")
        while (!client.isClosed()) yield* Effect.sleep(1)
        assert.deepStrictEqual(yield* client.closed, { _tag: "Peer", code: 1, reason: "over" })
        assert.isTrue(server.isClosed())
      }))

    test("with neither code nor reason", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        yield* server.close(0, "")
        assert.deepStrictEqual(yield* client.closed, { _tag: "Peer", code: 0, reason: "" })
      }))

    test("the first close wins, and any number is a code", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        yield* client.close(Number.MAX_VALUE, "x".repeat(5000))
        yield* client.close(1, "second")
        const closed = yield* server.closed
        assert.strictEqual(closed._tag === "Peer" && closed.code, Number.MAX_SAFE_INTEGER)
        assert.strictEqual(closed._tag === "Peer" && closed.reason, "x".repeat(1000))
        const again = yield* connected(makeLayer)
        yield* again.client.close(-1.5, "")
        assert.deepStrictEqual(yield* again.server.closed, { _tag: "Peer", code: 0, reason: "" })
      }))

    test("waiting for the end can be given up without trace", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        for (let i = 0; i < 100; i++) yield* Effect.timeoutOption(client.closed, 0)
        const waiting = yield* Effect.forkChild(client.closed)
        yield* server.close(7, "")
        assert.strictEqual((yield* Fiber.join(waiting))._tag, "Peer")
      }))

    test("closing a node closes its connections, once", () =>
      Effect.gen(function* () {
        const { a, b, client, server } = yield* connected(makeLayer)
        const waiting = yield* Effect.forkChild(Effect.exit(a.accept), { startImmediately: true })
        yield* Effect.all([a.close, a.close], { concurrency: "unbounded" })
        yield* a.close
        assert.strictEqual((yield* client.closed)._tag, "Peer")
        assert.strictEqual((yield* server.closed)._tag, "Local")
        assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)))
        assert.strictEqual((yield* Effect.flip(a.accept))._tag, "NodeClosed")
        assert.deepStrictEqual((yield* Effect.flip(a.connect(yield* b.address, alpn))).reason, { _tag: "NodeClosed" })
      }))
  })

  describe(`${name}: streams`, () => {
    test("echo, empty to 1 MiB", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        yield* Effect.forkChild(echo(server))
        for (const length of [0, 1, 16 * 1024, 16 * 1024 + 1, 100_000, 1024 * 1024]) {
          const { recv, send } = yield* client.openBi
          const sent = pattern(length)
          yield* Effect.forkChild(Effect.andThen(send.write(sent), send.finish))
          assert.deepStrictEqual(yield* readAll(recv, 64 * 1024), sent)
        }
      }))

    test("half-close: the answer comes after the question has ended", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        yield* near.send.write(text("question"))
        yield* near.send.finish
        assert.deepStrictEqual(yield* readAll(far.recv), text("question"))
        assert.isUndefined(yield* far.recv.read()) // the end stays the end
        yield* far.send.write(text("answer"))
        yield* far.send.finish
        assert.deepStrictEqual(yield* readAll(near.recv), text("answer"))
      }))

    test("the peer may open streams too", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        yield* Effect.forkChild(echo(client))
        const { recv, send } = yield* server.openBi
        yield* send.write(text("hi"))
        yield* send.finish
        assert.deepStrictEqual(yield* readAll(recv), text("hi"))
      }))

    test("unidirectional", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        for (let i = 0; i < 150; i++) {
          const send = yield* client.openUni
          yield* send.write(text(`message ${i}`))
          yield* send.finish
          assert.deepStrictEqual(yield* readAll(yield* server.acceptUni), text(`message ${i}`))
        }
      }))

    test("reads are at most as long as asked for", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        yield* Effect.forkChild(near.send.write(pattern(200_000)))
        assert.lengthOf((yield* far.recv.read(1)) ?? [], 1)
        assert.lengthOf((yield* far.recv.read(-5)) ?? [], 1)
        for (const most of [100, 16 * 1024, undefined]) {
          assert.isAtMost(((yield* far.recv.read(most)) ?? []).length, most ?? 16 * 1024)
        }
        assert.isAtMost(((yield* far.recv.read(Number.MAX_VALUE)) ?? []).length, 64 * 1024)
      }))

    test("reads into room bring the same bytes in the same order", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const sent = pattern(1_500_000)
        yield* Effect.forkChild(Effect.andThen(near.send.write(sent), near.send.finish))
        const received = new Uint8Array(sent.length)
        let at = 0
        const put = (bytes: Uint8Array) => {
          received.set(bytes, at)
          at += bytes.length
        }
        // What came before there was room stays before what comes into it.
        for (let i = 0; i < 5; i++) put((yield* far.recv.read()) ?? new Uint8Array(0))
        const room = new Uint8Array(70_000)
        for (let i = 0; ; i++) {
          const part = room.subarray(i % 7, i % 3 === 0 ? i + 8 : room.length)
          const reading = i % 5 === 4 ? far.recv.read(1000) : far.recv.read(64 * 1024, part)
          const bytes = yield* reading
          if (bytes === undefined) break
          if (i % 5 !== 4) assert.isAtMost(bytes.length, Math.min(part.length, 64 * 1024))
          put(bytes)
        }
        assert.strictEqual(at, sent.length)
        assert.strictEqual(Buffer.compare(received, sent), 0)
      }))

    test("a read into room that is interrupted loses nothing, and one of a lost connection ends", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const room = new Uint8Array(100)
        const reading = yield* Effect.forkChild(far.recv.read(100, room), { startImmediately: true })
        yield* Fiber.interrupt(reading)
        yield* near.send.write(text("first"))
        assert.deepStrictEqual(new Uint8Array((yield* far.recv.read(100, room)) ?? []), text("first"))
        const waiting = yield* Effect.forkChild(reason(far.recv.read(100, room)), { startImmediately: true })
        yield* client.close(7, "enough")
        assert.strictEqual((yield* Fiber.join(waiting))._tag, "ConnectionLost")
      }))

    test("concurrent writes stay whole and in order", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const writes = Array.from({ length: 60 }, (_, i) => new Uint8Array(1 + ((i * 7919) % 50_000)).fill(i))
        const writing = yield* Effect.forkChild(
          Effect.all(
            writes.map((bytes) => near.send.write(bytes)),
            { concurrency: "unbounded" }
          ).pipe(Effect.andThen(near.send.finish))
        )
        const expected = Uint8Array.from(Buffer.concat(writes))
        assert.isTrue(Buffer.from(expected).equals(yield* readAll(far.recv)))
        yield* Fiber.join(writing)
      }))

    test("finish never cuts what was written", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        for (let i = 0; i < 200; i++) {
          const { recv, send } = yield* client.openBi
          const bytes = pattern(1 + ((i * 997) % 40_000), i)
          yield* Effect.forkChild(send.write(bytes), { startImmediately: true })
          yield* send.finish
          const far = yield* server.acceptBi
          assert.isTrue(Buffer.from(bytes).equals(yield* readAll(far.recv)))
          yield* far.send.finish
          assert.isUndefined(yield* recv.read())
        }
      }))

    test("a finished half takes no more", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { near } = yield* stream(client, server)
        yield* near.send.finish
        yield* near.send.finish
        assert.strictEqual((yield* reason(near.send.write(text("more"))))._tag, "StreamClosed")
      }))
  })

  describe(`${name}: giving up`, () => {
    test("reset reaches the reader that waits and those after it", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const reading = yield* Effect.forkChild(reason(far.recv.read()), { startImmediately: true })
        yield* Effect.sleep(soon)
        yield* near.send.reset(42)
        const seen = yield* Fiber.join(reading)
        assert.strictEqual(seen._tag === "StreamReset" && seen.code, 42)
        assert.strictEqual((yield* reason(far.recv.read()))._tag, "StreamReset")
        assert.strictEqual((yield* reason(near.send.write(text("x"))))._tag, "StreamClosed")
        assert.strictEqual((yield* reason(near.send.finish))._tag, "StreamClosed")
        yield* near.send.reset(43) // nothing happens
      }))

    test("cancelling: a reset is answered by a reset", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const reading = yield* Effect.forkChild(reason(near.recv.read()), { startImmediately: true })
        const serving = yield* Effect.forkChild(
          Effect.catch(far.recv.read(), () => far.send.reset(6)),
          { startImmediately: true }
        )
        yield* Effect.sleep(soon)
        yield* near.send.reset(5)
        yield* Fiber.join(serving)
        const seen = yield* Fiber.join(reading)
        assert.strictEqual(seen._tag === "StreamReset" && seen.code, 6)
      }))

    test("reset fails a write that the peer does not read, at once", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { near } = yield* stream(client, server)
        const writing = yield* Effect.forkChild(reason(near.send.write(pattern(8 << 20))), { startImmediately: true })
        const queued = yield* Effect.forkChild(reason(near.send.write(text("next"))), { startImmediately: true })
        yield* Effect.sleep("300 millis")
        assert.isUndefined(writing.pollUnsafe())
        yield* near.send.reset(1)
        assert.strictEqual((yield* Fiber.join(writing))._tag, "StreamClosed")
        assert.strictEqual((yield* Fiber.join(queued))._tag, "StreamClosed")
      }))

    test("stop reaches the writer", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        yield* far.recv.stop(9)
        assert.strictEqual((yield* reason(far.recv.read()))._tag, "StreamClosed")
        const writes = Effect.forever(Effect.andThen(near.send.write(pattern(1000)), Effect.sleep(1)))
        for (const seen of [yield* reason(writes), yield* reason(near.send.write(text("x")))]) {
          assert.strictEqual(seen._tag === "StreamStopped" && seen.code, 9)
        }
        assert.strictEqual((yield* reason(near.send.finish))._tag, "StreamStopped")
      }))

    test("stop frees a writer that waits for the reader", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const writing = yield* Effect.forkChild(reason(near.send.write(pattern(8 << 20))), { startImmediately: true })
        yield* Effect.sleep("200 millis")
        yield* far.recv.stop(3)
        const seen = yield* Fiber.join(writing)
        assert.strictEqual(seen._tag === "StreamStopped" && seen.code, 3)
      }))

    test("stop does not wait for a read under way, and fails it", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const reading = yield* Effect.forkChild(reason(far.recv.read()), { startImmediately: true })
        yield* Effect.sleep(soon)
        yield* far.recv.stop(9)
        assert.strictEqual((yield* Fiber.join(reading))._tag, "StreamClosed")
        // the transport tells the peer at its next sign of life at the latest
        const writes = Effect.forever(Effect.andThen(near.send.write(text("x")), Effect.sleep(1)))
        assert.strictEqual((yield* reason(writes))._tag, "StreamStopped")
      }))

    test("discard takes the rest, and stops a peer that sends too much of it", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        yield* far.recv.discard
        yield* far.recv.discard
        assert.strictEqual((yield* reason(far.recv.read()))._tag, "StreamClosed")
        const writes = Effect.forever(Effect.andThen(near.send.write(pattern(10_000)), Effect.sleep(1)))
        const seen = yield* reason(writes)
        assert.strictEqual(seen._tag === "StreamStopped" && seen.code, 0)
      }))

    test("the other direction goes on after a reset and after a stop", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const one = yield* stream(client, server)
        yield* one.near.send.reset(1)
        yield* one.far.send.write(text("still here"))
        assert.deepStrictEqual(yield* one.near.recv.read(), text("still here"))
        const two = yield* stream(client, server)
        yield* two.far.recv.stop(1)
        yield* two.far.send.write(text("still here"))
        assert.deepStrictEqual(yield* two.near.recv.read(), text("still here"))
      }))
  })

  describe(`${name}: streams of one direction`, () => {
    /** One that both sides know of. */
    const uni = Effect.fnUntraced(function* (from: Connection, to: Connection) {
      const send = yield* from.openUni
      yield* send.write(text("!"))
      const recv = yield* to.acceptUni
      yield* recv.read()
      const pair = { send, recv }
      yield* Effect.addFinalizer(() => Effect.succeed(pair))
      return pair
    })

    test("both sides open them, and each reads only the other's", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const there = yield* uni(client, server)
        const back = yield* uni(server, client)
        const bytes = pattern(300_000)
        const writing = yield* Effect.forkChild(
          Effect.andThen(Effect.andThen(there.send.write(bytes), there.send.finish), back.send.finish)
        )
        assert.isTrue(Buffer.from(bytes).equals(yield* readAll(there.recv)))
        assert.isUndefined(yield* back.recv.read())
        yield* Fiber.join(writing)
      }))

    test("a reset and a stop reach the other side, and no other stream", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const [one, two, three] = yield* Effect.all([uni(client, server), uni(client, server), uni(client, server)])
        yield* one.send.reset(42)
        const seen = yield* reason(one.recv.read())
        assert.strictEqual(seen._tag === "StreamReset" && seen.code, 42)
        yield* two.recv.stop(9)
        const writes = Effect.forever(Effect.andThen(two.send.write(pattern(1000)), Effect.sleep(1)))
        const stopped = yield* reason(writes)
        assert.strictEqual(stopped._tag === "StreamStopped" && stopped.code, 9)
        yield* three.send.write(text("still here"))
        assert.deepStrictEqual(yield* three.recv.read(), text("still here"))
      }))

    test("one that nobody reads holds up its writer, and not the next one", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const stuck = yield* uni(client, server)
        const writing = yield* Effect.forkChild(Effect.exit(stuck.send.write(pattern(8 << 20))))
        const next = yield* uni(client, server)
        yield* next.send.write(text("next"))
        assert.deepStrictEqual(yield* next.recv.read(), text("next"))
        yield* stuck.send.reset(0)
        yield* Fiber.join(writing)
      }))

    test("100 may be open, and each that ends makes room for another", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        let opened = 0
        const opening = yield* Effect.forkChild(
          Effect.gen(function* () {
            for (; opened < 250; opened++) {
              const send = yield* client.openUni
              yield* send.write(Uint8Array.of(opened))
              yield* send.finish
            }
          })
        )
        for (let before = -1; before < opened; yield* Effect.sleep("200 millis")) before = opened
        assert.isAtMost(opened, 100)
        for (let i = 0; i < 250; i++) assert.deepStrictEqual(yield* readAll(yield* server.acceptUni), Uint8Array.of(i))
        yield* Fiber.join(opening)
      }))

    test("interrupted opening and accepting lose none", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        for (let i = 0; i < 20; i++) {
          const accepting = yield* Effect.forkChild(server.acceptUni, { startImmediately: true })
          yield* Fiber.interrupt(accepting)
        }
        for (let i = 0; i < 20; i++) {
          const { recv, send } = yield* uni(client, server)
          yield* send.write(Uint8Array.of(i))
          yield* send.finish
          assert.deepStrictEqual(yield* readAll(recv), Uint8Array.of(i))
        }
      }))
  })

  describe(`${name}: interruption`, () => {
    test("an interrupted read returns at once and loses nothing", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        for (let i = 0; i < 20; i++) {
          const reading = yield* Effect.forkChild(far.recv.read(), { startImmediately: true })
          yield* Fiber.interrupt(reading)
        }
        yield* near.send.write(text("not lost"))
        yield* near.send.finish
        assert.deepStrictEqual(yield* readAll(far.recv), text("not lost"))
      }))

    test("bytes that came for a reader who left go to the next, as much as it asks for", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const reading = yield* Effect.forkChild(far.recv.read(), { startImmediately: true })
        yield* Fiber.interrupt(reading)
        yield* near.send.write(text("abcdef"))
        yield* Effect.sleep(soon) // they have come for nobody
        assert.deepStrictEqual(yield* far.recv.read(2), text("ab"))
        assert.deepStrictEqual(yield* far.recv.read(3), text("cde"))
        yield* near.send.write(text("g"))
        assert.deepStrictEqual(yield* readExactly(far.recv, 2), text("fg"))
      }))

    test("two readers are served in turn", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const first = yield* Effect.forkChild(far.recv.read(3), { startImmediately: true })
        const second = yield* Effect.forkChild(far.recv.read(3), { startImmediately: true })
        yield* near.send.write(text("onetwo"))
        assert.deepStrictEqual(yield* Fiber.join(first), text("one"))
        assert.deepStrictEqual(yield* Fiber.join(second), text("two"))
      }))

    test("an interrupted write stays whole, one still waiting is dropped", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        const first = pattern(4 << 20)
        const writing = yield* Effect.forkChild(near.send.write(first), { startImmediately: true })
        const waiting = yield* Effect.forkChild(near.send.write(text("dropped")), { startImmediately: true })
        yield* Effect.sleep(soon)
        assert.isUndefined(writing.pollUnsafe())
        yield* Fiber.interrupt(waiting)
        yield* Fiber.interrupt(writing)
        const last = yield* Effect.forkChild(Effect.andThen(near.send.write(text("last")), near.send.finish))
        const received = yield* readAll(far.recv, 64 * 1024)
        yield* Fiber.join(last)
        assert.isTrue(Buffer.concat([first, text("last")]).equals(received))
      }))

    test("an interrupted openBi or acceptBi loses no stream", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const places = 100
        const opened: Array<BiStream.BiStream> = []
        const accepted: Array<BiStream.BiStream> = []
        const open = (stream: BiStream.BiStream) => stream.send.write(Uint8Array.of(opened.push(stream)))
        // What lay ready is taken in spite of the interruption, so it has to be kept.
        const interrupted = Effect.fnUntraced(function* (take: Connection["openBi"]) {
          const taking = yield* Effect.forkChild(take, { startImmediately: true })
          yield* Fiber.interrupt(taking)
          return yield* Fiber.await(taking)
        })
        // A transport that opens streams at once has no moment for an interruption: such a stream has its place.
        const first = yield* interrupted(client.openBi)
        assert.strictEqual(Exit.isSuccess(first), opensAtOnce)
        if (Exit.isSuccess(first)) yield* open(first.value)
        else assert.isTrue(Exit.isFailure(yield* interrupted(server.acceptBi)))
        for (let i = 0; i < 300; i++) {
          // Interruptions meet what they interrupt at every stage, whatever the speed of the machine.
          if (i % 10 === 0 && opened.length < places - 10) yield* open(yield* client.openBi)
          if (i % 15 === 0 && accepted.length < opened.length) accepted.push(yield* server.acceptBi)
          const near = yield* interrupted(client.openBi)
          if (Exit.isSuccess(near)) yield* open(near.value)
          const far = yield* interrupted(server.acceptBi)
          if (Exit.isSuccess(far)) accepted.push(far.value)
        }
        // Every place is there to be had, and every stream arrives.
        while (opened.length < places) yield* open(yield* client.openBi)
        while (accepted.length < places) accepted.push(yield* server.acceptBi)
        const seen = yield* Effect.forEach(accepted, ({ recv }) =>
          Effect.map(readExactly(recv, 1), (bytes) => bytes[0])
        )
        assert.strictEqual(new Set(seen).size, places)
      }))

    test("an interrupted openBi that waits for a place loses none", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        yield* Effect.forkChild(echo(server))
        const streams: Array<BiStream.BiStream> = []
        for (let i = 0; i < 100; i++) streams.push(yield* client.openBi)
        for (let i = 0; i < 10; i++) {
          const waiting = yield* Effect.forkChild(client.openBi, { startImmediately: true })
          yield* Effect.sleep(1)
          assert.isUndefined(waiting.pollUnsafe())
          yield* Fiber.interrupt(waiting)
        }
        for (const { recv, send } of streams) {
          yield* send.write(text("x"))
          yield* send.finish
          yield* readAll(recv)
        }
        // The last places given back are told of together with some more.
        for (let i = 0; i < 80; i++) yield* client.openBi
      }))

    test("an interrupted connect leaves no connection", () =>
      Effect.gen(function* () {
        const { a, b } = yield* connected(makeLayer)
        const addr = yield* a.address
        const accepting = yield* Effect.forkChild(a.accept)
        const dialling = yield* Effect.forkChild(b.connect(addr, alpn), { startImmediately: true })
        yield* Fiber.interrupt(dialling)
        const server = yield* Fiber.join(accepting)
        assert.strictEqual((yield* server.closed)._tag, "Peer")
      }))
  })

  describe(`${name}: limits`, () => {
    test("a writer waits for a slow reader", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        const { far, near } = yield* stream(client, server)
        let sent = 0
        const writing = yield* Effect.forkChild(
          Effect.gen(function* () {
            for (; sent < 8 << 20; sent += 64 * 1024) yield* near.send.write(pattern(64 * 1024))
            yield* near.send.finish
          })
        )
        for (let before = -1; before < sent; yield* Effect.sleep("500 millis")) before = sent
        assert.isBelow(sent, 4 << 20)
        let got = 0
        for (let bytes = yield* far.recv.read(65536); bytes !== undefined; bytes = yield* far.recv.read(65536)) {
          got += bytes.length
        }
        assert.strictEqual(got, 8 << 20)
        yield* Fiber.join(writing)
      }))

    test("100 streams may be open; 150 are served in turn", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        let open = 0
        const calls = yield* Effect.forkChild(
          Effect.all(
            Array.from({ length: 150 }, () =>
              Effect.gen(function* () {
                const { recv, send } = yield* client.openBi
                open++
                yield* send.write(text("x"))
                yield* send.finish
                assert.deepStrictEqual(yield* readAll(recv), text("x"))
              })
            ),
            { concurrency: "unbounded" }
          )
        )
        while (open < 100) yield* Effect.sleep(soon)
        yield* Effect.sleep("200 millis")
        assert.strictEqual(open, 100)
        yield* Effect.forkChild(echo(server))
        yield* Fiber.join(calls)
        assert.strictEqual(open, 150)
      }))

    test(
      `${sequentialStreams} streams one after the other, the rest of each discarded`,
      () =>
        Effect.gen(function* () {
          const { client, server } = yield* connected(makeLayer)
          yield* Effect.forkChild(
            Effect.gen(function* () {
              while (true) {
                const { recv, send } = yield* server.acceptBi
                const bytes = (yield* recv.read()) ?? assert.fail("ended")
                yield* recv.discard
                yield* send.write(bytes)
                yield* send.finish
              }
            })
          )
          for (let i = 0; i < sequentialStreams; i++) {
            const { recv, send } = yield* client.openBi
            const bytes = Uint8Array.of(i, i >> 8)
            yield* send.write(bytes)
            yield* send.finish
            assert.deepStrictEqual(yield* recv.read(), bytes)
            yield* recv.discard
          }
        }),
      60_000
    )

    test("streams cancelled from either side are given back", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        for (let i = 0; i < 400; i++) {
          const { far, near } = yield* stream(client, server)
          const end = i % 3
          if (end === 0) {
            yield* near.send.reset(1)
            yield* near.recv.stop(1)
            yield* Effect.exit(far.recv.read())
            yield* far.send.reset(2)
          } else if (end === 1) {
            yield* far.recv.stop(1)
            yield* far.send.reset(1)
            yield* Effect.exit(near.recv.read())
            yield* Effect.exit(Effect.forever(near.send.write(text("x"))))
          } else {
            yield* near.send.finish
            yield* near.recv.stop(1)
            yield* far.recv.discard
            yield* Effect.exit(Effect.forever(far.send.write(pattern(5000))))
          }
        }
      }))

    test("streams finished after the other side stopped them are given back", () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected(makeLayer)
        for (let i = 0; i < 300; i++) {
          const { far, near } = yield* stream(client, server)
          const [stopping, stopped] = i % 2 === 0 ? [near, far] : [far, near]
          yield* stopping.recv.stop(1)
          yield* stopping.send.write(text("stopped"))
          yield* stopped.recv.read()
          yield* Effect.sleep("1 millis") // the stop may travel behind the bytes
          yield* Effect.all([near.send.finish, far.send.finish, stopped.recv.discard])
        }
      }))
  })
}
