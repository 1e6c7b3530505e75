import type { Connection } from "@aster-effect/iroh/Connection"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { createRequire } from "node:module"
import { pattern, readAll } from "../../iroh/contract.ts"

/** The part of the reference release's transport that is used here. */
interface Reference {
  readonly memoryWithAlpns: (alpns: ReadonlyArray<Buffer>, options: object) => Promise<ReferenceNode>
}
interface ReferenceNode {
  readonly nodeId: () => string
  readonly nodeAddr: () => string
  readonly connectNodeAddr: (id: string, alpn: Buffer, direct: ReadonlyArray<string>) => Promise<ReferenceConnection>
  readonly acceptAster: () => Promise<ReferenceConnection>
  readonly close: () => Promise<void>
}
interface ReferenceConnection {
  readonly openBi: () => Promise<ReferenceStream>
  readonly acceptBi: () => Promise<ReferenceStream>
  readonly close: (code: number, reason: string) => void
}
interface ReferenceStream {
  readonly takeSend: () => { readonly writeAll: (bytes: Buffer) => Promise<void>; readonly finish: () => Promise<void> }
  readonly takeRecv: () => { readonly readToEnd: (limit: number) => Promise<Buffer> }
}
const reference: { readonly IrohNode: Reference } = createRequire(import.meta.url)("@aster-rpc/transport")

const alpn = "aster/1"
const makeReference = Effect.acquireRelease(
  Effect.promise(() =>
    reference.IrohNode.memoryWithAlpns([Buffer.from(alpn)], {
      relayMode: "disabled",
      portmapperConfig: "disabled",
      bindAddr: "127.0.0.1:0"
    })
  ),
  (node) => Effect.promise(() => node.close())
)
const layer = IrohNode.layer({ alpns: [alpn], bindAddress: "127.0.0.1:0", relayMode: "disabled" })
const sizes = [0, 1, 100, 16 * 1024 + 1, 300_000]

/** Answers one stream with what it brought. */
const answer = Effect.fnUntraced(function* (connection: Connection) {
  const { recv, send } = yield* connection.acceptBi
  yield* send.write(yield* readAll(recv, 64 * 1024))
  yield* send.finish
})

describe("IrohNode.layer and the reference release's transport", () => {
  it.live("it calls us", () =>
    Effect.gen(function* () {
      const node = yield* IrohNode
      const peer = yield* makeReference
      const serving = yield* Effect.forkChild(node.accept)
      const connection = yield* Effect.promise(() =>
        peer.connectNodeAddr(node.endpointId, Buffer.from(alpn), node.boundSockets)
      )
      const served = yield* Fiber.join(serving)
      assert.strictEqual(served.remoteId, EndpointId.parse(peer.nodeId()))
      assert.strictEqual(served.alpn, alpn)
      for (const size of sizes) {
        const answering = yield* Effect.forkChild(answer(served))
        const sent = pattern(size)
        const got = yield* Effect.promise(async () => {
          const stream = await connection.openBi()
          const send = stream.takeSend()
          await send.writeAll(Buffer.from(sent))
          await send.finish()
          return stream.takeRecv().readToEnd(1 << 20)
        })
        assert.isTrue(Buffer.from(sent).equals(got), `${size} bytes`)
        yield* Fiber.join(answering)
      }
      connection.close(403, "not admitted")
      assert.deepStrictEqual(yield* served.closed, { _tag: "Peer", code: 403, reason: "not admitted" })
    }).pipe(Effect.provide(layer))
  )

  it.live("we call it", () =>
    Effect.gen(function* () {
      const node = yield* IrohNode
      const peer = yield* makeReference
      const accepting = peer.acceptAster()
      const direct = /direct_addresses: \["([^"]+)"/.exec(peer.nodeAddr())?.[1] ?? assert.fail("no direct address")
      const connection = yield* node.connect(NodeAddr.make(EndpointId.parse(peer.nodeId()), [direct]), alpn)
      const served = yield* Effect.promise(() => accepting)
      for (const size of sizes) {
        const { recv, send } = yield* connection.openBi
        const sent = pattern(size)
        yield* Effect.forkChild(Effect.andThen(send.write(sent), send.finish))
        yield* Effect.promise(async () => {
          const stream = await served.acceptBi()
          const bytes = await stream.takeRecv().readToEnd(1 << 20)
          const answer = stream.takeSend()
          await answer.writeAll(bytes)
          await answer.finish()
        })
        assert.isTrue(Buffer.from(sent).equals(yield* readAll(recv, 64 * 1024)), `${size} bytes`)
      }
      served.close(0, "normal close")
      assert.deepStrictEqual(yield* connection.closed, { _tag: "Peer", code: 0, reason: "normal close" })
    }).pipe(Effect.provide(layer))
  )
})
