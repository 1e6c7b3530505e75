/** Gate 0 before the blobs of a server, with a node of the reference implementation as the peer. */
import * as AdmissionRequest from "@aster-effect/admission/AdmissionRequest"
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as BlobTicket from "@aster-effect/iroh-blobs/BlobTicket"
import type { CloseReason, Connection } from "@aster-effect/iroh/Connection"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { Credential } from "@aster-effect/trust/Credential"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import { asking, consume, issue, otherRoot, quicNode, serve } from "../../admission/Deployment.ts"
import { blobOf } from "../../iroh-blobs/Vectors.ts"
import { downloaded, rustNode } from "../../peers/RustNode.ts"

type Rust = Effect.Success<typeof rustNode>

/** What became of a connection: how often somebody asked for a stream of it, and how it ended. */
interface Seen {
  readonly peer: string
  readonly alpn: string
  accepting: number
  ended: CloseReason | undefined
}

/** A node that takes down what is done with the connections that it takes in. */
const watched = (node: IrohNode["Service"]) => {
  const seen: Array<Seen> = []
  const watch = (connection: Connection): Connection => {
    const entry: Seen = { peer: connection.remoteId, alpn: connection.alpn, accepting: 0, ended: undefined }
    seen.push(entry)
    const counted = <A, E>(accept: Effect.Effect<A, E>) =>
      Effect.suspend(() => {
        entry.accepting++
        return accept
      })
    return {
      remoteId: connection.remoteId,
      alpn: connection.alpn,
      openBi: connection.openBi,
      openUni: connection.openUni,
      acceptBi: counted(connection.acceptBi),
      acceptUni: counted(connection.acceptUni),
      close: (code, reason) =>
        Effect.andThen(
          Effect.sync(() => (entry.ended ??= { _tag: "Local", code, reason })),
          connection.close(code, reason)
        ),
      closed: connection.closed,
      isClosed: () => connection.isClosed(),
      bytesReceived: () => connection.bytesReceived()
    }
  }
  return { node: { ...node, accept: Effect.map(node.accept, watch) }, seen }
}

/** The reference's node shows a credential as a consumer; answers whether it was admitted. */
const present = ({ node }: Rust, server: IrohNode["Service"], credential: Credential) =>
  Effect.promise(async () => {
    const connection = await node.connectNodeAddr(
      server.endpointId,
      Buffer.from(ConsumerAdmission.ALPN),
      server.boundSockets
    )
    const stream = await connection.openBi()
    const send = stream.takeSend()
    await send.writeAll(Buffer.from(AdmissionRequest.encode(asking(credential))))
    await send.finish()
    const reply = await stream.takeRecv().readToEnd(65_536)
    connection.close(0, "done")
    return Result.getOrThrow(ConsumerAdmission.decodeReply(reply)).admitted
  })

const fetched = ({ blobs }: Rust, ticket: string) =>
  Effect.tryPromise({ try: () => blobs.downloadBlob(ticket), catch: (error) => String(error) })

describe("blobs of a gated server and a Rust node", () => {
  it.live("not admitted it is closed out before anything of it is read; admitted it is served", () =>
    Effect.gen(function* () {
      const { node, seen } = watched(yield* quicNode())
      const served: Array<BlobsProtocol.ServedRequest> = []
      const server = yield* serve(node, { blobs: { onServed: (one) => Effect.sync(() => served.push(one)) } })
      const content = blobOf(300_000, 1)
      const { hash } = yield* server.blobs.addBytes(content)
      const ticket = yield* server.blobs.share(hash)
      const rust = yield* rustNode
      const id = { endpointId: rust.id }
      const attempts = () => seen.filter(({ alpn, peer }) => alpn === BlobsProtocol.ALPN && peer === rust.id)
      const refused: Omit<Seen, "peer"> = {
        alpn: BlobsProtocol.ALPN,
        accepting: 0,
        ended: { _tag: "Local", code: 403, reason: "not admitted" }
      }

      const error = yield* Effect.flip(fetched(rust, ticket))
      assert.include(error, "Unable to download")
      assert.isAtLeast(attempts().length, 1)
      for (const attempt of attempts()) assert.deepStrictEqual(attempt, { peer: rust.id, ...refused })

      // A credential of another deployment, or of another node, changes nothing.
      for (const bad of [yield* issue({ to: id, by: otherRoot }), yield* issue({ to: server })]) {
        assert.isFalse(yield* present(rust, node, bad))
      }
      yield* Effect.flip(fetched(rust, ticket))
      for (const attempt of attempts()) assert.deepStrictEqual(attempt, { peer: rust.id, ...refused })
      assert.lengthOf(served, 0)

      const before = attempts().length
      assert.isTrue(yield* present(rust, node, yield* issue({ to: id })))
      assert.isTrue(Buffer.from(content).equals(yield* downloaded(rust.blobs, ticket)))
      for (const attempt of attempts().slice(before)) assert.isAbove(attempt.accepting, 0)
      assert.isAtLeast(served.length, 1)
      for (const { outcome, peer, request } of served) {
        assert.deepStrictEqual([outcome, peer as string], ["completed", rust.id])
        assert.isTrue(request?._tag === "Get" && request.hash === hash)
      }

      yield* server.admittedPeers.revoke(EndpointId.parse(rust.id))
      const other = yield* server.blobs.addBytes(blobOf(1000, 2))
      const late = yield* server.blobs.share(other.hash)
      yield* Effect.flip(fetched(rust, late))
      assert.deepStrictEqual(attempts().at(-1), { peer: rust.id, ...refused })
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
  )

  it.live("our consumers fetch from it by ticket, and it has nothing from them", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* quicNode())
      const own = yield* quicNode()
      const consumer = yield* consume(own, server, { credential: yield* issue({ to: own }) })
      const rust = yield* rustNode
      const content = blobOf(200_000, 4)
      const hash = BlobHash.parse(yield* Effect.promise(() => rust.blobs.addBytes(Buffer.from(content))))
      // The producer does not have it; the ticket's peer does.
      yield* consumer.blobs.download(rust.blobs.createTicket(hash))
      assert.isTrue(Buffer.from(content).equals(yield* consumer.blobs.read(hash)))
      const mine = yield* consumer.blobs.addBytes(blobOf(1000, 5))
      const ticket = BlobTicket.encode({ addr: yield* own.address, hash: mine.hash, format: "raw" })
      const error = yield* Effect.flip(fetched(rust, ticket))
      assert.include(error, "Unable to download")
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
  )
})
