/**
 * Times as a user writes them.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"

const seconds = { d: 86_400, h: 3_600, m: 60, s: 1 } as const

/** Enough for anybody, and far from where dates end. */
const maxSeconds = 36_500 * seconds.d

const combination = /^(?=.)(?:(?<d>\d{1,9})d)?(?:(?<h>\d{1,9})h)?(?:(?<m>\d{1,9})m)?(?:(?<s>\d{1,9})s)?$/

/** `30d`, `12h`, `1h30m`, `90s`, in whole seconds; units from large to small, each at most once. @since 0.1.0 */
export const parse = (text: string): Result.Result<number, string> => {
  const found = combination.exec(text)?.groups
  if (found === undefined) return Result.fail(`"${text}" is no duration like 30d, 12h, 1h30m or 90s`)
  const total = (["d", "h", "m", "s"] as const).reduce((sum, unit) => sum + Number(found[unit] ?? 0) * seconds[unit], 0)
  if (total === 0) return Result.fail("a duration of nothing at all; give at least one second")
  return total <= maxSeconds ? Result.succeed(total) : Result.fail(`"${text}" is more than 100 years`)
}

/** Like `parse`; digits alone are seconds. @since 0.1.0 */
export const parseTimeout = (text: string): Result.Result<number, string> =>
  parse(/^\d{1,9}$/.test(text) ? `${text}s` : text)

const moment = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2}(?:\.\d{1,9})?))?(Z|[+-]\d{2}:\d{2})?)?$/

/** Milliseconds since the epoch of an ISO 8601 date or time; without a zone it is UTC. */
const parseMoment = (text: string): number | undefined => {
  const found = moment.exec(text)
  if (found === null) return undefined
  const [, date = "", time = "00:00", second = "00", zone = "Z"] = found
  // Days like the 30th of February roll over instead of failing.
  if (new Date(`${date}T00:00:00Z`).toJSON()?.startsWith(date) !== true) return undefined
  const millis = Date.parse(`${date}T${time}:${second}${zone}`)
  return Number.isNaN(millis) ? undefined : millis
}

/**
 * An expiry as whole seconds since the epoch: a duration from now, or an ISO 8601 moment, in UTC when it has no zone. It
 * must lie in the future.
 *
 * @since 0.1.0
 */
export const parseExpiry = (text: string, nowMillis: number): Result.Result<number, string> => {
  const now = Math.floor(nowMillis / 1000)
  const millis = parseMoment(text)
  if (millis === undefined) {
    return Result.mapBoth(parse(text), {
      onSuccess: (duration) => now + duration,
      onFailure: (problem) =>
        combination.test(text)
          ? problem
          : `"${text}" is neither a duration like 30d or 1h30m nor an ISO 8601 time like 2030-01-31T12:00Z`
    })
  }
  const expiresAt = Math.floor(millis / 1000)
  return expiresAt > now ? Result.succeed(expiresAt) : Result.fail(`"${text}" is in the past`)
}

/** `2030-01-31T12:00:00+00:00`: how release 0.1.2 prints an expiry. @since 0.1.0 */
export const formatExpiry = (expiresAt: number): string =>
  new Date(expiresAt * 1000).toISOString().replace(/\.000Z$/, "+00:00")
