/** What attacks have in common. */
import * as AdmissionRequest from "@aster-effect/admission/AdmissionRequest"
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import * as Handshake from "@aster-effect/admission/Handshake"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import type { CloseReason } from "@aster-effect/iroh/Connection"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import * as Credential from "@aster-effect/trust/Credential"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { consume, dial, type Issue, issue, Note, root, serve, settings, Vault } from "../Deployment.ts"
import type { Transport } from "../Scenarios.ts"

export type Node = IrohNode["Service"]

export type Server = { readonly address: string }

export type Json = Readonly<Record<string, unknown>>

export const refused: CloseReason = { _tag: "Peer", code: 403, reason: "not admitted" }

export const denial = ConsumerAdmission.encodeReply(ConsumerAdmission.denied(root.publicKey))

export const ask = new Note({})

export const utf8 = new TextEncoder()

/** Every protocol of a full node but those of admission. */
export const protocols = [RpcConnection.ALPN, BlobsProtocol.ALPN, "/iroh-sync/1", "/iroh-gossip/1", "aster.admission"]

/** Says something on a handshake connection of its own, and answers what comes back. */
export const say = (by: Node, server: Server, request: Uint8Array, alpn: string = ConsumerAdmission.ALPN) =>
  Effect.acquireUseRelease(
    dial(by, server, alpn),
    (connection) => Handshake.ask(connection, request),
    (connection) => connection.close(0, "done")
  )

/** Presents the text of a credential. */
export const present = (by: Node, server: Server, credential: string, alpn?: string) =>
  say(by, server, AdmissionRequest.encode({ credential, iidToken: "" }), alpn)

export const isAdmitted = (reply: Uint8Array): boolean =>
  Result.getOrThrow(ConsumerAdmission.decodeReply(reply)).admitted

export const wire = (credential: Credential.Credential): string => Credential.toJson(credential, "wire")

export const jsonOf = (credential: Credential.Credential): Json => JSON.parse(wire(credential))

/** A gated producer and enrolled consumers, on the transport under test. */
export const deployment = <R>(node: Transport<R>["node"]) => {
  const gated = (options: { readonly alpns?: ReadonlyArray<string>; readonly allowAllProducers?: boolean } = {}) =>
    Effect.flatMap(node({ alpns: options.alpns }), (home) =>
      serve(home, {
        config: settings({ rootPubkey: root.publicKey, allowAllProducers: options.allowAllProducers ?? true })
      })
    )

  /** A consumer that is let in, and its calls. */
  const enrolledVault = Effect.fnUntraced(function* (server: Server, options: Issue = {}) {
    const own = yield* node()
    return yield* (yield* consume(own, server, { credential: yield* issue({ to: own, ...options }) })).client(Vault)
  })

  return { enrolledVault, gated }
}
