/**
 * What may be done with a document.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import * as DocumentId from "./DocumentId.ts"
import { keyPair } from "./proto/Signature.ts"

/** Who has the secret may write; who knows the id may read. @since 0.1.0 */
export type Capability =
  | { readonly _tag: "Read"; readonly document: DocumentId.DocumentId }
  | {
      readonly _tag: "Write"
      /** 32 bytes, the seed of the document's key. */
      readonly secret: Redacted.Redacted<Uint8Array>
    }

/** The document that a capability is about. @since 0.1.0 */
export const documentOf = (capability: Capability): DocumentId.DocumentId =>
  capability._tag === "Read"
    ? capability.document
    : DocumentId.fromBytes(keyPair(Redacted.value(capability.secret)).publicKey)
