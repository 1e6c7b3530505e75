import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { BlobStoreError, type BlobStoreUnavailable } from "../BlobError.ts"
import type { BlobStore } from "../BlobStore.ts"

type Store = BlobStore["Service"]

/**
 * A store that the first who needs it opens, and that stays open until the scope closes. When it cannot be opened, the
 * next one tries again.
 */
export const onDemand = Effect.fnUntraced(function* (
  open: Effect.Effect<Store, BlobStoreUnavailable, Scope.Scope>
): Effect.fn.Return<Store, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const turn = Semaphore.makeUnsafe(1)
  let opened: Store | undefined
  const opening = Effect.suspend(() => {
    if (opened !== undefined) return Effect.succeed(opened)
    return open.pipe(
      Scope.provide(scope),
      Effect.tap((store) => Effect.sync(() => (opened = store))),
      Effect.mapError((cause) => new BlobStoreError({ operation: "be opened", cause })),
      Effect.uninterruptible
    )
  })
  const store = Effect.suspend(() =>
    opened === undefined ? Semaphore.withPermit(turn, opening) : Effect.succeed(opened)
  )
  const use = <A, E, R>(f: (store: Store) => Effect.Effect<A, E, R>) => Effect.flatMap(store, f)
  const streamed = <A, E>(f: (store: Store) => Stream.Stream<A, E>) => Stream.unwrap(Effect.map(store, f))
  return {
    bitfield: (hash) => use((_) => _.bitfield(hash)),
    status: (hash) => use((_) => _.status(hash)),
    list: streamed((_) => _.list),
    open: (hash) => use((_) => _.open(hash)),
    create: use((_) => _.create),
    receive: (hash) => use((_) => _.receive(hash)),
    observe: (hash) => streamed((_) => _.observe(hash)),
    protect: (content) => use((_) => _.protect(content)),
    verify: (hash) => use((_) => _.verify(hash)),
    tags: {
      set: (name, content) => use((_) => _.tags.set(name, content)),
      create: (content) => use((_) => _.tags.create(content)),
      get: (name) => use((_) => _.tags.get(name)),
      list: (filter) => streamed((_) => _.tags.list(filter)),
      remove: (name) => use((_) => _.tags.remove(name)),
      removeAll: (filter) => use((_) => _.tags.removeAll(filter)),
      rename: (from, to) => use((_) => _.tags.rename(from, to))
    },
    collectGarbage: use((_) => _.collectGarbage),
    remove: (hashes) => use((_) => _.remove(hashes))
  }
})
