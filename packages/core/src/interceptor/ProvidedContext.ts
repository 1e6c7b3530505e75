/**
 * What interceptors provide: the difference between the contexts around them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/** What was added to a context, or replaced in it; undefined when nothing was. @since 0.1.0 */
export const difference = (
  before: Context.Context<never>,
  now: Context.Context<never>
): Context.Context<never> | undefined => {
  if (before === now) return undefined
  const added = new Map<string, unknown>()
  for (const [key, value] of now.mapUnsafe) if (before.mapUnsafe.get(key) !== value) added.set(key, value)
  return added.size === 0 ? undefined : Context.makeUnsafe(added)
}

/** A context with what `now` has beyond `within`. @since 0.1.0 */
export const onto = (
  context: Context.Context<never>,
  within: Context.Context<never>,
  now: Context.Context<never>
): Context.Context<never> => {
  const added = difference(within, now)
  return added === undefined ? context : Context.merge(context, added)
}
