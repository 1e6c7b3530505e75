import * as ProducerAdmission from "@aster-effect/admission/ProducerAdmission"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import { type EnrollmentCredential, toJson } from "@aster-effect/trust/Credential"
import * as Effect from "effect/Effect"
import { JoinError } from "../JoinError.ts"

/** What this node shows. */
export interface Shown {
  readonly credential: EnrollmentCredential | undefined
  readonly iidToken: string | undefined
}

/** Asks a producer to be let into its mesh. */
export const askAdmission = Effect.fnUntraced(function* (
  node: IrohNode["Service"],
  contact: NodeAddr,
  { credential, iidToken = "" }: Shown
): Effect.fn.Return<ProducerAdmission.ProducerReply, JoinError> {
  const failed = (reason: JoinError["reason"], detail: string) =>
    new JoinError({ contact: contact.endpointId, reason, detail })
  if (credential === undefined) {
    return yield* failed("NoCredential", "this node has no producer credential; enrol it with the role producer")
  }
  const exchange = Effect.gen(function* () {
    const connection = yield* Effect.acquireRelease(
      node.connect(contact, ProducerAdmission.ALPN, { timeout: "10 seconds" }),
      (connection) => connection.close(0, ""),
      // Who is gone does not answer, and whoever closes this node would have to wait for it.
      { interruptible: true }
    )
    const request = { credential: toJson(credential, "wire"), iidToken }
    return yield* ProducerAdmission.request(connection, { request })
  })
  const reply = yield* Effect.mapError(Effect.scoped(exchange), ({ message }) => failed("Unreachable", message))
  if (!reply.accepted) {
    return yield* failed(
      "Refused",
      "it does not take this node's credential; its log says why; enrolling again may help"
    )
  }
  return reply.salt === "" ? yield* failed("Refused", "it lets this node in as a guest, not into the mesh") : reply
})
