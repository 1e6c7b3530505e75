import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"

/**
 * Something that the first who needs it opens, and that stays open until the scope closes. When it cannot be opened, the
 * next one tries again.
 */
export const onDemand = Effect.fnUntraced(function* <A, E>(
  open: Effect.Effect<A, E, Scope.Scope>
): Effect.fn.Return<Effect.Effect<A, E>, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const turn = Semaphore.makeUnsafe(1)
  let opened: { readonly value: A } | undefined
  const opening = Effect.suspend(() =>
    opened !== undefined
      ? Effect.succeed(opened.value)
      : open.pipe(
          Scope.provide(scope),
          Effect.tap((value) => Effect.sync(() => (opened = { value }))),
          Effect.uninterruptible
        )
  )
  return Effect.suspend(() =>
    opened === undefined ? Semaphore.withPermit(turn, opening) : Effect.succeed(opened.value)
  )
})
