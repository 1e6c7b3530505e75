import * as Lifetime from "@aster-effect/cli/Lifetime"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"

const now = Date.UTC(2030, 0, 1, 12)
const hour = 3600

describe("Lifetime", () => {
  it.each([
    ["30d", 30 * 24 * hour],
    ["12h", 12 * hour],
    ["30m", hour / 2],
    ["1h30m", 1.5 * hour],
    ["1d2h3m4s", 26 * hour + 184],
    ["1s", 1]
  ])("%s is %d seconds", (text, seconds) => {
    assert.deepStrictEqual(Lifetime.parse(text), Result.succeed(seconds))
    assert.deepStrictEqual(Lifetime.parseExpiry(text, now), Result.succeed(now / 1000 + seconds))
  })

  it.each(["", "d", "30", "30m1h", "1h1h", "-1d", "1.5h", "0d", "0h0m", "1 h", "99999d", "9".repeat(400) + "d", "1w"])(
    "%s is no duration",
    (text) => assert.isTrue(Result.isFailure(Lifetime.parse(text)))
  )

  it.each([
    ["30", 30],
    ["2m", 120]
  ])("as a time limit %s is %d seconds", (text, seconds) =>
    assert.deepStrictEqual(Lifetime.parseTimeout(text), Result.succeed(seconds))
  )

  it.each([
    ["2030-01-02", "2030-01-02T00:00:00+00:00"],
    ["2030-01-02T03:04", "2030-01-02T03:04:00+00:00"],
    ["2030-01-02 03:04:05", "2030-01-02T03:04:05+00:00"],
    ["2030-01-02T03:04:05.9Z", "2030-01-02T03:04:05+00:00"],
    ["2030-01-02T03:04:05+02:00", "2030-01-02T01:04:05+00:00"],
    ["2032-02-29", "2032-02-29T00:00:00+00:00"]
  ])("%s expires at %s", (text, expected) =>
    assert.deepStrictEqual(Result.map(Lifetime.parseExpiry(text, now), Lifetime.formatExpiry), Result.succeed(expected))
  )

  it.each([
    "2030-01-01",
    "2030-01-01T12:00",
    "1999-01-01",
    "2030-02-30",
    "2031-02-29",
    "2030-13-01",
    "2030-01-02T25:00",
    "2030-1-2",
    "soon"
  ])("%s is no expiry", (text) => assert.isTrue(Result.isFailure(Lifetime.parseExpiry(text, now))))
})
