import { createSocket, type Socket } from "node:dgram"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { consume, issue, Note, quicNode, serve, Vault } from "../../admission/Deployment.ts"

/** Passes the first packets of every peer on to `target`, and nothing back: handshakes begin and go no further. */
const stallingPath = (target: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const port = Number(target.slice(target.lastIndexOf(":") + 1))
      const sockets = new Set<Socket>()
      const open = async () => {
        const socket = createSocket("udp4")
        sockets.add(socket)
        socket.bind(0, "127.0.0.1")
        await once(socket, "listening")
        return socket
      }
      const front = await open()
      const begun = new Set<string>()
      front.on("message", (packet) => {
        // Long header, type 0: an Initial packet. It names its connection, by which we count.
        if (((packet[0] ?? 0) & 0xf0) !== 0xc0) return
        begun.add(packet.subarray(6, 6 + (packet[5] ?? 0)).toString("hex"))
        // Each leaves from an address of its own, as if it were forged.
        void open().then((socket) => socket.send(packet, port, "127.0.0.1"))
      })
      const address = front.address() as AddressInfo
      return {
        address: `127.0.0.1:${address.port}`,
        begun: () => begun.size,
        close: () => sockets.forEach((socket) => socket.close())
      }
    }),
    ({ close }) => Effect.sync(close)
  )

describe("handshakes of QUIC that are begun and left", () => {
  it.live("13: keep nobody out: from many of them on, peers have to prove their address first", () =>
    Effect.gen(function* () {
      const home = yield* quicNode()
      const server = yield* serve(home)
      const path = yield* stallingPath(home.boundSockets.find((socket) => socket.startsWith("127."))!)
      const target = NodeAddr.make(server.endpointId, [path.address])
      for (let i = 0; i < 2; i++) {
        const attacker = yield* quicNode()
        for (let j = 0; j < 100; j++) {
          yield* Effect.forkScoped(Effect.exit(attacker.connect(target, RpcConnection.ALPN)))
          // Sent all at once they do not fit into the path's receive buffer, and again not when they are repeated.
          yield* Effect.sleep("2 millis")
        }
      }
      yield* Effect.repeat(Effect.sleep("50 millis"), { until: () => path.begun() >= 200 })
      // Without that, the server gives up the first of them after ten seconds.
      const own = yield* quicNode()
      const credential = yield* issue({ to: own, role: "ops" })
      const client = yield* Effect.timeout(consume(own, server, { credential }), "8 seconds")
      assert.strictEqual((yield* (yield* client.client(Vault)).whoami(new Note({}))).text, "ops")
    }).pipe(Effect.provide(Logger.layer([])))
  )
})
