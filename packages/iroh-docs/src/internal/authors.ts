/** Authors of a node. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as AuthorId from "../AuthorId.ts"
import type { Authors } from "../Authors.ts"
import { AuthorIsDefault, AuthorNotFound, type DocsStoreError, InvalidEntry } from "../DocsError.ts"
import { type KeyPair, keyPair } from "../proto/Signature.ts"
import type { Engine } from "./docs.ts"

/** The setting that names the default author. */
const DEFAULT = "author"

type WithEngine = Effect.Effect<Engine, DocsStoreError>

export const makeAuthors = (engine: WithEngine, newSecret: Effect.Effect<Uint8Array>): Authors => {
  const put = (secret: Uint8Array) =>
    Effect.flatMap(engine, ({ documents }) => {
      const id = AuthorId.fromBytes(keyPair(secret).publicKey)
      return Effect.as(
        documents.change("add an author", () => documents.storage.putAuthor(id, secret)),
        id
      )
    })
  const requireKnown = Effect.fnUntraced(function* (author: AuthorId.AuthorId) {
    const { documents } = yield* engine
    const secret = yield* documents.read("read an author", () => documents.storage.author(author))
    return secret ?? (yield* new AuthorNotFound({ author }))
  })
  return {
    create: Effect.flatMap(newSecret, put),
    default: defaultAuthor(engine, newSecret),
    setDefault: Effect.fn("Authors.setDefault")(function* (author) {
      yield* requireKnown(author)
      const { documents } = yield* engine
      yield* documents.change("set the default author", () => documents.storage.setSetting(DEFAULT, author))
    }),
    list: Effect.flatMap(engine, ({ documents }) =>
      documents.read("list authors", () =>
        [...documents.storage.authors().keys()].map((id) => AuthorId.parse(id)).toSorted()
      )
    ),
    import: Effect.fn("Authors.import")(function* (secret) {
      const seed = Redacted.value(secret)
      if (seed.length !== 32) {
        const detail = `the secret of an author has 32 bytes, not ${seed.length}`
        return yield* new InvalidEntry({ reason: "Malformed", detail })
      }
      return yield* put(new Uint8Array(seed))
    }),
    export: Effect.fn("Authors.export")((author) =>
      Effect.map(requireKnown(author), (secret) => Redacted.make(new Uint8Array(secret), { label: "author secret" }))
    ),
    delete: Effect.fn("Authors.delete")(function* (author) {
      yield* requireKnown(author)
      const { documents } = yield* engine
      if (documents.storage.setting(DEFAULT) === author) return yield* new AuthorIsDefault({ author })
      yield* documents.change("delete an author", () => documents.storage.removeAuthor(author))
    })
  }
}

/** The default author, which is made when there is none. */
export const defaultAuthor = (engine: WithEngine, newSecret: Effect.Effect<Uint8Array>) =>
  Effect.gen(function* () {
    const { documents } = yield* engine
    const known = yield* documents.read("read the default author", () => documents.storage.setting(DEFAULT))
    if (known !== undefined) return AuthorId.parse(known)
    const secret = yield* newSecret
    const id = AuthorId.fromBytes(keyPair(secret).publicKey)
    return yield* documents.change("make the default author", () => {
      // Somebody else may have made one in between.
      const other = documents.storage.setting(DEFAULT)
      if (other !== undefined) return AuthorId.parse(other)
      documents.storage.putAuthor(id, secret)
      documents.storage.setSetting(DEFAULT, id)
      return id
    })
  })

/** Pairs that sign for authors, made once. */
export class AuthorKeys {
  readonly #pairs = new Map<string, KeyPair>()

  of(author: AuthorId.AuthorId, secret: Uint8Array): KeyPair {
    let pair = this.#pairs.get(author)
    if (pair === undefined) this.#pairs.set(author, (pair = keyPair(secret)))
    return pair
  }
}

/** The author's pair, or that of the default author. */
export const authorPair = Effect.fnUntraced(function* (
  { authorKeys, defaultAuthor, documents }: Engine,
  author: AuthorId.AuthorId | undefined
): Effect.fn.Return<KeyPair, AuthorNotFound | DocsStoreError> {
  const id = author ?? (yield* defaultAuthor)
  const secret = yield* documents.read("read an author", () => documents.storage.author(id))
  if (secret === undefined) return yield* new AuthorNotFound({ author: id })
  return authorKeys.of(id, secret)
})
