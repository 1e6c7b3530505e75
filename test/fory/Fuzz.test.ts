import { Fory, ForyError, Type } from "@aster-effect/fory"
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { isDeepStrictEqual } from "node:util"
import { type Case, fromHex, toHex, World } from "./golden/model.ts"
import { Random } from "../Random.ts"
import { RandomCase } from "./golden/random.ts"

interface Message {
  readonly codec: Fory.Codec<unknown, unknown>
  /** Reads messages of every type that the registry knows. */
  readonly any: Fory.Codec<unknown, unknown>
  readonly bytes: Uint8Array
  readonly untyped: boolean
}

const message = (world: World, registry: Fory.Registry, root: string, bytes: Uint8Array): Message => ({
  codec: registry.codec(world.type(root)) as Fory.Codec<unknown, unknown>,
  any: registry.codec(Type.any),
  bytes,
  untyped: JSON.stringify([root, world.declarations]).includes('"any"')
})

const goldenMessages = (): Array<Message> => {
  const golden = JSON.parse(readFileSync(new URL("./golden/golden.json", import.meta.url), "utf8")) as {
    readonly cases: ReadonlyArray<Case>
  }
  return golden.cases.flatMap(({ types, root, vectors }) => {
    const world = new World(types)
    const registry = Fory.make({ types: [...world.named.values()] })
    return vectors
      .map(({ hex }) => fromHex(hex))
      .filter((bytes) => bytes.length <= 2000)
      .map((bytes) => message(world, registry, root, bytes))
  })
}

const randomMessages = (random: Random, count: number): Array<Message> =>
  Array.from({ length: count }, () => {
    const generated = new RandomCase(random)
    const world = new World(generated.types)
    const registry = Fory.make({ types: [...world.named.values()] })
    const codec = registry.codec(world.type(generated.root)) as Fory.Codec<unknown, unknown>
    return message(world, registry, generated.root, codec.encode(world.value(generated.value(), generated.root, true)))
  })

const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

/** Type ids, flags, headers, and bytes at the edges of varints. */
const telling = [
  0, 1, 2, 3, 4, 5, 7, 8, 9, 0x0c, 0x0e, 0x12, 0x14, 0x16, 0x17, 0x18, 0x1a, 0x1d, 0x22, 0x24, 0x29, 0x2e
]
const edges = [0x30, 0x37, 0x3f, 0x40, 0x7f, 0x80, 0xfd, 0xfe, 0xff]
const lengths = ["ffffffff0f", "ffffffffffffffffff", "c0843d", "80808080808080808001", "8001", "808008"].map(fromHex)

/** Changes `bytes` in one place; `other` is a message to take pieces from. */
const mutateOnce = (random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array => {
  const at = random.below(bytes.length + 1)
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)]
  const size = 1 + random.below(8)
  switch (random.below(10)) {
    case 0:
      return head
    case 1:
      return concat(head, tail.subarray(size))
    case 2:
      return concat(head, tail.subarray(0, size), tail)
    case 3:
      return concat(
        head,
        Uint8Array.from({ length: size }, () => random.below(256)),
        tail
      )
    case 4:
      return concat(head, random.pick(lengths), tail.subarray(random.below(2)))
    case 5: {
      const from = random.below(other.length)
      return concat(head, other.subarray(from, from + 1 + random.below(32)), tail.subarray(random.below(3)))
    }
    case 6:
      return concat(head, Uint8Array.of(random.pick(telling)), tail)
    case 7:
      return concat(head, Uint8Array.of(random.pick(edges)), tail.subarray(1))
    case 8:
      return concat(head, Uint8Array.of(random.pick(telling)), tail.subarray(1))
    default: {
      const copy = new Uint8Array(bytes)
      if (at < copy.length) copy[at]! ^= 1 << random.below(8)
      return copy
    }
  }
}

/** How much memory a value stands for, in parts and characters. */
const weigh = (value: unknown): number => {
  let weight = 0
  const rest = [value]
  while (rest.length > 0) {
    const part = rest.pop()
    weight++
    if (typeof part === "string") weight += part.length
    else if (ArrayBuffer.isView(part)) weight += part.byteLength
    else if (part instanceof Map) for (const entry of part) rest.push(...entry)
    else if (part instanceof Set || Array.isArray(part)) for (const element of part) rest.push(element)
    else if (typeof part === "object" && part !== null) for (const field of Object.values(part)) rest.push(field)
  }
  return weight
}

type Outcome = { readonly value: unknown } | { readonly error: ForyError }

/** A value or a ForyError; anything else is thrown on. */
const attempt = (run: () => unknown): Outcome => {
  try {
    return { value: run() }
  } catch (error) {
    if (error instanceof ForyError) return { error }
    throw error
  }
}

/** Checks everything that holds for any bytes, and says what became of them. */
const check = (random: Random, codec: Fory.Codec<unknown, unknown>, bytes: Uint8Array, untyped: boolean): string => {
  const outcome = attempt(() => codec.decode(bytes))
  // What lies before and behind the message makes no difference.
  const [before, behind] = [random.below(3), 1 + random.below(16)]
  const around = concat(new Uint8Array(before), bytes, bytes.subarray(0, behind), new Uint8Array(behind))
  const inside = attempt(() => codec.decode(around, before, before + bytes.length))
  if ("error" in outcome) {
    const { error } = outcome
    assert.isTrue(error.offset !== undefined && error.offset >= 0 && error.offset <= bytes.length, error.message)
    if (!("error" in inside)) return assert.fail(`${error.message}, but not within other bytes`)
    assert.strictEqual(inside.error.code, error.code)
    assert.strictEqual(inside.error.offset, error.offset! + before)
    return error.code
  }
  if ("error" in inside) return assert.fail(`${inside.error.message}, but not on its own`)
  const { value } = outcome
  assert.isTrue(isDeepStrictEqual(inside.value, value), "another value within other bytes")
  assert.isAtMost(weigh(value), 4 * bytes.length + 16)
  const again = attempt(() => codec.encode(value))
  if ("error" in again) {
    // Nulls in struct fields are read, as pyfory writes them, and nesting is read deeper than it is written. An untyped
    // integer is written as a signed one.
    const codes = untyped ? ["InvalidValue", "TooDeep", "OutOfRange"] : ["InvalidValue", "TooDeep"]
    assert.include(codes, again.error.code, again.error.message)
  } else if (!untyped) {
    assert.isTrue(isDeepStrictEqual(codec.decode(again.value as Uint8Array), value), "another value after encoding")
  }
  return "value"
}

describe("broken messages", () => {
  it("are values or errors, whatever is done to them", { timeout: 60_000 }, () => {
    const seed = 20_251
    const random = new Random(seed)
    const messages = [...goldenMessages(), ...randomMessages(random, 500)]
    assert.isAbove(messages.length, 1500)
    const outcomes = new Map<string, number>()
    const memory = process.memoryUsage().rss
    const inputs = 120_000
    for (let index = 0; index < inputs; index++) {
      const { codec, any, bytes: original, untyped } = messages[index % messages.length]!
      const other = random.pick(messages).bytes
      let bytes = mutateOnce(random, original, other)
      while (random.chance(0.3)) bytes = mutateOnce(random, bytes, other)
      const dynamic = random.chance(0.3)
      try {
        const outcome = check(random, dynamic ? any : codec, bytes, dynamic || untyped)
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      } catch (cause) {
        throw new Error(`Input ${index} of seed ${seed}: ${toHex(bytes)}`, { cause })
      }
    }
    assert.isBelow(process.memoryUsage().rss - memory, 300e6)
    // The mutations reach everything a decoder has to say.
    const reached = (outcome: string): number => outcomes.get(outcome) ?? 0
    assert.isAbove(reached("value"), inputs / 20)
    for (const code of [
      "Truncated",
      "Trailing",
      "Malformed",
      "InvalidText",
      "UnknownType",
      "TypeMismatch",
      "OutOfRange"
    ])
      assert.isAbove(reached(code), inputs / 1000, code)
    for (const code of ["SchemaMismatch", "UnexpectedNull", "LimitExceeded"]) assert.isAbove(reached(code), 20, code)
    for (const { codec, bytes } of messages.slice(0, 200)) codec.decode(bytes)
  })

  it("and so is noise", () => {
    const random = new Random(7)
    const [first] = randomMessages(random, 1)
    const starts = ["", "02", "02ff", "02ff16", "02ff18", "02ff17", "02ff1d"].map(fromHex)
    for (let index = 0; index < 30_000; index++) {
      const noise = Uint8Array.from({ length: random.below(40) }, () =>
        random.chance(0.5) ? random.pick(telling) : random.below(256)
      )
      const bytes = concat(random.pick(starts), noise)
      try {
        check(random, first!.any, bytes, true)
      } catch (cause) {
        throw new Error(toHex(bytes), { cause })
      }
    }
  })
})

describe("broken values", () => {
  class Foreign {
    readonly field = 1
  }
  const cycle: Array<unknown> = []
  cycle.push(cycle)
  const junk: ReadonlyArray<() => unknown> = [
    () => undefined,
    () => null,
    () => Symbol("junk"),
    () => () => 1,
    () => NaN,
    () => -0,
    () => 1.5,
    () => 2 ** 80,
    () => -(2n ** 63n),
    () => 2n ** 64n,
    () => "\ud800",
    () => "x".repeat(5000) + "日\udc00",
    () => new Date(NaN),
    () => new Date(8.64e15),
    () => new Foreign(),
    () => Object.create(null),
    () => JSON.parse('{"__proto__":{"a":1},"constructor":null}'),
    () => new Map([[{}, Symbol("inner")]]),
    () => new Set([undefined, [new WeakMap()]]),
    () => new Uint16Array(3),
    () => new DataView(new ArrayBuffer(3)),
    () => Array(5),
    () => cycle,
    () => new Proxy({}, {}),
    () => Type.typed(Type.list(Type.int8), [1000]),
    () => Type.typed(Type.int8, -1)
  ]

  /** `value` with one of its parts replaced. */
  const spoil = (random: Random, value: unknown): unknown => {
    const spoilOne = (parts: ReadonlyArray<unknown>): Array<unknown> => {
      const at = random.below(parts.length)
      return parts.map((part, index) => (index === at ? spoil(random, part) : part))
    }
    const replacement = random.pick(junk)()
    if (random.chance(0.2) || typeof value !== "object" || value === null) return replacement
    if (Array.isArray(value)) return value.length === 0 ? [replacement] : spoilOne(value)
    if (value instanceof Set) return new Set([...value, replacement])
    if (value instanceof Map)
      return value.size === 0 || random.chance(0.2)
        ? new Map([...value, [replacement, replacement]])
        : new Map(spoilOne([...value.values()]).map((part, index) => [[...value.keys()][index], part]))
    if (Object.getPrototypeOf(value) !== Object.prototype) return replacement
    const keys = Object.keys(value)
    const parts = keys.length === 0 ? [] : spoilOne(Object.values(value))
    return Object.fromEntries(keys.map((key, index) => [key, parts[index]]))
  }

  it("are messages or errors that say where", { timeout: 60_000 }, () => {
    const random = new Random(11)
    let refused = 0
    let written = 0
    for (let index = 0; index < 1000; index++) {
      const generated = new RandomCase(random)
      const world = new World(generated.types)
      const codec = world.codec(generated.root)
      for (let round = 0; round < 20; round++) {
        const value = spoil(random, world.value(generated.value(), generated.root, true))
        const outcome = attempt(() => codec.encode(value))
        if ("error" in outcome) {
          assert.isString(outcome.error.path)
          assert.isTrue(outcome.error.message.endsWith(` at ${outcome.error.path}`))
          refused++
        } else {
          codec.decode(outcome.value as Uint8Array)
          written++
        }
      }
    }
    assert.isAbove(refused, 5000)
    assert.isAbove(written, 500)
  })
})
