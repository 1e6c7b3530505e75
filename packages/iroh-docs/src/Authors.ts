/**
 * Who writes on this node.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as AuthorId from "./AuthorId.ts"
import type { AuthorIsDefault, AuthorNotFound, DocsStoreError, InvalidEntry } from "./DocsError.ts"

/** Authors whose secrets are on this node. @since 0.1.0 */
export interface Authors {
  readonly create: Effect.Effect<AuthorId.AuthorId, DocsStoreError>
  /** Who writes where no author is named; made on first use. */
  readonly default: Effect.Effect<AuthorId.AuthorId, DocsStoreError>
  readonly setDefault: (author: AuthorId.AuthorId) => Effect.Effect<void, AuthorNotFound | DocsStoreError>
  readonly list: Effect.Effect<ReadonlyArray<AuthorId.AuthorId>, DocsStoreError>
  /** Takes the secret of an author, 32 bytes. */
  readonly import: (
    secret: Redacted.Redacted<Uint8Array>
  ) => Effect.Effect<AuthorId.AuthorId, InvalidEntry | DocsStoreError>
  /** The secret of an author, 32 bytes: who has it can write in the author's name. */
  readonly export: (
    author: AuthorId.AuthorId
  ) => Effect.Effect<Redacted.Redacted<Uint8Array>, AuthorNotFound | DocsStoreError>
  /** Forgets the secret of an author. What it wrote stays. */
  readonly delete: (author: AuthorId.AuthorId) => Effect.Effect<void, AuthorNotFound | AuthorIsDefault | DocsStoreError>
}
