import { assert } from "@effect/vitest"
import type { Outcome } from "./PythonReference.ts"

/** Decides whether the outcome of a scenario is the right one; throws an assertion error when it is not. */
export type Check = (outcome: Outcome) => void

const returns =
  (result: unknown): Check =>
  (outcome) =>
    assert.deepStrictEqual(outcome, { scenario: outcome.scenario, ok: true, result })

const returnsLike =
  (check: (result: any) => void): Check =>
  (outcome) => {
    if (!outcome.ok) return assert.fail(JSON.stringify(outcome.error))
    check(outcome.result)
  }

/** The call came back with an equal value; the printed value is for the reader of a failure. */
const echoes = returnsLike((result) => assert.isTrue(result.equal, JSON.stringify(result)))

const fails =
  (code: number, message?: string, partial: ReadonlyArray<unknown> = []): Check =>
  (outcome) => {
    if (outcome.ok) return assert.fail(`succeeded with ${JSON.stringify(outcome.result)}`)
    assert.strictEqual(outcome.error.code, code, JSON.stringify(outcome.error))
    if (message !== undefined) assert.strictEqual(outcome.error.message, message)
    assert.deepStrictEqual(outcome.error.partial, partial)
  }

const UNICODE = "Grüße, 日本語, Ωmega, 😀 and a nul \u0000."
const numbers = (...values: ReadonlyArray<number>) => values.map((value) => ({ value }))
const hello = (name: string) => ({ message: `Hello, ${name}!` })

const contextWith = (metadata: Record<string, string>, deadline: boolean): Check =>
  returnsLike(({ peer, remaining_ms, ...rest }) => {
    assert.deepStrictEqual(rest, {
      service: "KitchenSink",
      method: "context",
      metadata,
      attributes: {},
      pattern: "unary"
    })
    assert.match(peer, /^[0-9a-f]{64}$/)
    if (deadline) assert.isTrue(remaining_ms > 50_000 && remaining_ms <= 60_000, `${remaining_ms} ms remain`)
    else assert.isNull(remaining_ms)
  })

/**
 * What each scenario of `consumer.py` has to give against a producer of the kitchen services, whoever wrote it.
 * Messages are compared only where the application chose them.
 */
export const scenarios: Record<string, Check> = {
  services: returnsLike((services) =>
    assert.deepStrictEqual(
      services.map(({ name, version, pattern }: Record<string, unknown>) => [name, version, pattern]),
      [
        ["KitchenSink", 1, "shared"],
        ["KitchenJson", 1, "shared"],
        ["KitchenSession", 1, "session"],
        ["TaskRunner", 2, "shared"]
      ]
    )
  ),
  registry_namespace: returnsLike((namespace) => assert.match(namespace, /^([0-9a-f]{64})?$/)),

  echo: echoes,
  echo_defaults: echoes,
  widths: echoes,
  say_hello: returns(hello("World")),
  say_hello_unicode: returns(hello(UNICODE)),
  blob_mib: returns({ equal: true, size: 1_048_576 }),
  text_mib: returns({ equal: true, size: 1_048_586 }),
  count: returns(numbers(0, 1, 2, 3, 4)),
  count_none: returns([]),
  count_many: echoes,
  sum: returns({ value: 42 }),
  sum_none: returns({ value: 0 }),
  chat: returns([hello("a"), hello("b"), hello(UNICODE)]),
  chat_none: returns([]),
  fail_not_found: fails(5, "no such pan"),
  fail_contract_violation: fails(101, "not in the contract"),
  fail_unicode: fails(3, UNICODE),
  fail_every_code: returnsLike((seen) => {
    const codes = [...Array.from({ length: 16 }, (_, index) => index + 1), 101]
    assert.deepStrictEqual(
      Object.values<ReadonlyArray<unknown>>(seen).map(([code, message]) => [code, message]),
      codes.map((code) => [code, `code ${code}`])
    )
  }),
  fail_after: fails(9, "failed after 3", numbers(0, 1, 2)),
  deadline_unary: fails(4),
  deadline_met: returns({ message: "slept 10 ms" }),
  deadline_stream: fails(4, undefined, ["some items"]),
  deadline_expired: fails(4),
  stop_early: returns([...numbers(7, 8, 9), hello("afterwards")]),
  unknown_method: fails(12),
  unknown_service: fails(5),
  wrong_scope: fails(9),
  unsupported_mode: fails(3),
  metadata: contextWith({ "trace-id": "abc", Ключ: "値" }, true),
  concurrent: echoes,
  sequential: echoes,
  fail_many: returns([{ equal: true }, hello("afterwards")]),
  stop_many: returns([{ value: 7 }, hello("afterwards")]),

  json_say_hello: returns(hello(UNICODE)),
  json_echo: echoes,
  json_echo_defaults: echoes,
  json_text_mib: echoes,
  json_count: returns(numbers(0, 1, 2)),
  json_count_none: returns([]),
  json_sum: returns({ value: 42 }),
  json_chat: returns([hello("a"), hello("b")]),
  json_chat_none: returns([]),
  json_fail: fails(7, UNICODE),
  json_fail_after: fails(9, "failed after 2", numbers(0, 1)),
  json_unknown_field: fails(101),
  json_unknown_nested_field: fails(101),
  json_unknown_method: fails(12),
  json_metadata: contextWith({ "trace-id": "abc" }, false),

  reconnect: returns([hello("before"), hello("after")])
}

/** The scenarios that open sessions. */
export const sessions: Record<string, Check> = {
  session: returns({
    add: numbers(1, 3),
    count: numbers(3, 4),
    add_all: { value: 33 },
    running: numbers(34, 35),
    afterwards: { value: 35 }
  }),
  session_error: returns({ code: 6, message: "already there", alive: { value: 2 } }),
  sessions_are_apart: returns(numbers(1, 5, 2)),
  json_session: returns([{ value: 1 }, { value: 3 }, { code: 6, message: "already there" }, { value: 6 }])
}

/**
 * Where the reference and our server differ. The reference keeps microseconds, where a `Date` has milliseconds. It passes
 * the text of a defect on, as UNKNOWN. And its clients ask for version 1 of every service, which its servers take at
 * their word.
 */
export const ofReference: Record<string, Check> = {
  echo_microseconds: returns("2024-02-29T23:59:59.123456+00:00"),
  defect: fails(2, "a defect for World"),
  json_defect: fails(2, "a defect for World"),
  version_2: fails(5)
}

/** The scenarios of `ofReference` against our server. */
export const ofOurs: Record<string, Check> = {
  echo_microseconds: returns("2024-02-29T23:59:59.123000+00:00"),
  defect: fails(13, "internal error"),
  json_defect: fails(13, "internal error"),
  version_2: returns({ status: "completed", result: "Processed t-1" })
}
