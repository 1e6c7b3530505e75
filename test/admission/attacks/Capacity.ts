/** Attacks on the capacity of a producer: silence, floods, size, depth. */
import * as AdmissionRequest from "@aster-effect/admission/AdmissionRequest"
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import * as Handshake from "@aster-effect/admission/Handshake"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import type { SendStream } from "@aster-effect/iroh/BiStream"
import type { CloseReason } from "@aster-effect/iroh/Connection"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { consume, dial, issue, root, serve, settings } from "../Deployment.ts"
import type { Transport } from "../Scenarios.ts"
import { ask, denial, deployment, isAdmitted, type Node, present, say, utf8, wire } from "./Kit.ts"

export const attacksOnCapacity = <R>({ node, pass, test }: Transport<R>): void => {
  const { enrolledVault, gated } = deployment(node)

  test("13: a thousand connections that never speak keep nobody out, and none of them stays", () =>
    Effect.gen(function* () {
      const server = yield* gated()
      const early = yield* enrolledVault(server)
      const attackers = yield* Effect.all(Array.from({ length: 20 }, () => node()))
      const silent = yield* Effect.forEach(
        Array.from({ length: 1_000 }, (_, i) => i),
        (i) => dial(attackers[i % 20]!, server, i < 500 ? ConsumerAdmission.ALPN : RpcConnection.ALPN),
        { concurrency: 40 }
      )
      assert.strictEqual((yield* early.whoami(ask)).text, "nobody")
      const late = yield* enrolledVault(server, { role: "ops" })
      assert.strictEqual((yield* late.whoami(ask)).text, "ops")
      yield* pass(10)
      const reasons = yield* Effect.forEach(silent, ({ closed }) => closed)
      // A close that is lost on its way is made up for by a reset.
      const isOneOf = (codes: ReadonlyArray<number>) => (reason: CloseReason) =>
        reason._tag === "Transport" || (reason._tag === "Peer" && codes.includes(reason.code))
      assert.isTrue(reasons.slice(0, 500).every(isOneOf([403, 503, 408])))
      assert.isTrue(reasons.slice(500).every(isOneOf([403])))
      assert.isAtMost(reasons.filter((reason) => reason._tag === "Peer" && reason.code === 408).length, 64)
      assert.strictEqual((yield* (yield* enrolledVault(server)).whoami(ask)).text, "nobody")
    }))

  test("13: connections of which admission was denied, and which stay, take no room from others", () =>
    Effect.gen(function* () {
      const config = settings({ rootPubkey: root.publicKey })
      const server = yield* serve(yield* node(), { config, maxConnections: 100 })
      const stay = Effect.fnUntraced(function* (attacker: Node) {
        const connection = yield* dial(attacker, server, ConsumerAdmission.ALPN)
        yield* Effect.exit(Handshake.ask(connection, utf8.encode("{}")))
        return connection
      })
      const attackers = yield* Effect.all(Array.from({ length: 15 }, () => node()))
      const denied = yield* Effect.forEach(
        Array.from({ length: 150 }, (_, i) => attackers[i % 15]!),
        stay,
        { concurrency: 10 }
      )
      assert.isAtMost(denied.filter((connection) => !connection.isClosed()).length, 100)
      assert.strictEqual((yield* (yield* enrolledVault(server)).whoami(ask)).text, "nobody")
    }))

  test("13: what is sent on streams that nobody reads ends a handshake before it fills the memory", () =>
    Effect.gen(function* () {
      const server = yield* gated()
      const flood = yield* dial(yield* node(), server, ConsumerAdmission.ALPN)
      let sent = 0
      const chunk = new Uint8Array(16_384)
      const fill = (send: SendStream) =>
        Effect.forever(Effect.tap(send.write(chunk), () => Effect.sync(() => (sent += chunk.length))))
      for (let i = 0; i < 50; i++) {
        yield* Effect.forkChild(Effect.ignore(Effect.flatMap(flood.openUni, fill)))
        yield* Effect.forkChild(Effect.ignore(Effect.flatMap(flood.openBi, ({ send }) => fill(send))))
      }
      yield* pass(0.2)
      assert.deepStrictEqual(yield* Effect.timeout(flood.closed, "5 seconds"), {
        _tag: "Peer",
        code: 413,
        reason: "too much"
      })
      // All of it would be at least 6 MB in memory, and a hundred over QUIC.
      assert.isBelow(sent, 40_000_000)
      assert.strictEqual((yield* (yield* enrolledVault(server)).whoami(ask)).text, "nobody")
    }))

  test("13: streams of one direction, which neither calls nor blobs have, are stopped", () =>
    Effect.gen(function* () {
      const server = yield* gated()
      const own = yield* node()
      yield* consume(own, server, { credential: yield* issue({ to: own }) })
      for (const alpn of [RpcConnection.ALPN, BlobsProtocol.ALPN]) {
        const send = yield* Effect.flatMap(dial(own, server, alpn), (connection) => connection.openUni)
        const written = Effect.forever(send.write(new Uint8Array(16_384)))
        const { reason } = yield* Effect.timeout(Effect.flip(written), "5 seconds")
        assert.strictEqual(reason._tag, "StreamStopped", alpn)
      }
    }))

  test("13: one peer that is admitted cannot take every connection", () =>
    Effect.gen(function* () {
      const config = settings({ rootPubkey: root.publicKey })
      const server = yield* serve(yield* node(), { config, maxConnections: 60, maxConnectionsPerPeer: 40 })
      const greedy = yield* node()
      yield* consume(greedy, server, { credential: yield* issue({ to: greedy }) })
      const held = yield* Effect.forEach(Array.from({ length: 60 }), () => dial(greedy, server), { concurrency: 20 })
      const other = yield* enrolledVault(server)
      assert.strictEqual((yield* other.whoami(ask)).text, "nobody")
      const full: CloseReason = { _tag: "Peer", code: 503, reason: "too many connections of one peer" }
      const closed = held.filter((connection) => connection.isClosed())
      assert.isAtLeast(closed.length, 20)
      for (const connection of closed) assert.deepStrictEqual(yield* connection.closed, full)
    }))

  test("13: a request that comes byte by byte is given up after ten seconds, and others are not kept waiting", () =>
    Effect.gen(function* () {
      const server = yield* gated()
      const slow = yield* dial(yield* node(), server, ConsumerAdmission.ALPN)
      const { send } = yield* slow.openBi
      for (const byte of utf8.encode('{"credential')) {
        if (slow.isClosed()) break
        yield* Effect.ignore(send.write(Uint8Array.of(byte)))
        if (byte === 0x63) assert.strictEqual((yield* (yield* enrolledVault(server)).whoami(ask)).text, "nobody")
        yield* pass(1)
      }
      assert.deepStrictEqual(yield* slow.closed, { _tag: "Peer", code: 408, reason: "too slow" })
    }))

  test("oversized: a request is read to 64 KiB and no further, and fewer bytes may still be too many attributes", () =>
    Effect.gen(function* () {
      const server = yield* gated()
      const endless = yield* dial(yield* node(), server, ConsumerAdmission.ALPN)
      const { recv, send } = yield* endless.openBi
      let sent = 0
      const chunk = new Uint8Array(16_384).fill(0x20)
      yield* Effect.forever(Effect.tap(send.write(chunk), () => Effect.sync(() => (sent += chunk.length)))).pipe(
        Effect.flip,
        Effect.timeout("5 seconds")
      )
      // The end of the stream, or of the connection if it was a flood by then.
      assert.isUndefined(yield* Effect.catch(recv.read(), () => Effect.succeed(undefined)))
      // What the transport itself holds comes on top.
      assert.isBelow(sent, 4 * 1_048_576)
      const own = yield* node()
      const credential = wire(yield* issue({ to: own }))
      const request = AdmissionRequest.encode({ credential, iidToken: "" })
      const padded = (length: number) => Uint8Array.from({ length }, (_, i) => request[i] ?? 0x20)
      assert.strictEqual((yield* Effect.flip(say(own, server, padded(65_537))))._tag, "HandshakeError")
      assert.isTrue(isAdmitted(yield* say(own, server, padded(65_536))))
      for (const attributes of [
        Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""])),
        { ["k".repeat(257)]: "" },
        { a: "x".repeat(4_097) },
        { a: "x".repeat(4_000), b: "x".repeat(4_000), c: "x".repeat(200) }
      ]) {
        const greedy = yield* node()
        assert.deepStrictEqual(yield* present(greedy, server, wire(yield* issue({ to: greedy, attributes }))), denial)
      }
    }))

  test("deep: JSON nested more than 50 levels is refused unparsed, outside and inside", () =>
    Effect.gen(function* () {
      const server = yield* gated()
      const own = yield* node()
      const credential = yield* issue({ to: own })
      const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`
      const outer = (more: string) =>
        utf8.encode(`{"credential_json":${JSON.stringify(wire(credential))},"more":${more}}`)
      const inner = (more: string) => wire(credential).replace("{", `{"more":${more},`)
      for (const request of [outer("[".repeat(60_000)), outer(nested(30_000)), outer(nested(50))]) {
        assert.deepStrictEqual(yield* say(own, server, request), denial)
      }
      for (const text of [inner("[".repeat(30_000)), inner(nested(15_000)), inner(nested(50))]) {
        assert.deepStrictEqual(yield* present(own, server, text), denial)
      }
      assert.isTrue(isAdmitted(yield* say(own, server, outer(nested(49)))))
      assert.isTrue(isAdmitted(yield* present(own, server, inner(nested(49)))))
    }))
}
