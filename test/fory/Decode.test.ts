import { Fory, ForyError, Type } from "@aster-effect/fory"
import { assert, describe, it } from "@effect/vitest"
import { fromHex, toHex } from "./golden/model.ts"

const Inner = Type.struct({ namespace: "t", name: "Inner", fields: { a: Type.int, b: Type.string } })
const Other = Type.struct({ namespace: "t", name: "Other", fields: { a: Type.int, b: Type.string } })
const Color = Type.enumeration({ namespace: "demo", name: "Color", values: ["RED", "GREEN", "BLUE"] })
const box = <T extends Type.Type>(value: T) => Type.struct({ namespace: "t", name: "Box", fields: { value } })

const registry = Fory.make({ types: [Inner, Other, Color] })

/** Type info and hash of t/Inner, of its first mention in a message and without a root before it. */
const innerInfo = "1d02014c0803a1ad2440"
const innerHash = "61a6378a"
const colorInfo = "1a06010c8c70080389cb7440"

const decode = (type: Type.Type, hex: string): unknown => registry.codec(type).decode(fromHex(hex))

const refuses = (type: Type.Type, hex: string, code: ForyError["code"], offset?: number): void => {
  let value: unknown
  try {
    value = decode(type, hex)
  } catch (error) {
    assert.instanceOf(error, ForyError)
    assert.strictEqual(error.code, code, error.message)
    assert.isNumber(error.offset)
    assert.isTrue(error.message.endsWith(` at byte ${error.offset}`), error.message)
    if (offset !== undefined) assert.strictEqual(error.offset, offset, error.message)
    return
  }
  assert.fail(`${hex} was decoded as ${String(value)}`)
}

/** What stands behind the schema hash of a box. */
const boxed = (type: Type.Type, body: string): string => {
  const Box = box(type)
  const hash = new DataView(new ArrayBuffer(4))
  hash.setInt32(0, registry.schemaHash(Box), true)
  return "02ff1d02014c040305d7" + toHex(new Uint8Array(hash.buffer)) + body
}
const inBox = (type: Type.Type, body: string): unknown =>
  (decode(box(type), boxed(type, body)) as { readonly value: unknown }).value
/** `offset` counts from the first byte of the body. */
const refusesInBox = (type: Type.Type, body: string, code: ForyError["code"], offset?: number): void =>
  refuses(box(type), boxed(type, body), code, offset === undefined ? undefined : 14 + offset)

describe("envelope", () => {
  it("accepts what pyfory accepts and somebody may send", () => {
    assert.strictEqual(decode(Type.int, "02000702"), 1)
    assert.isNull(decode(Type.any, "03"))
    assert.isNull(decode(Type.optional(Inner), "03fd"))
  })

  it("refuses anything else", () => {
    refuses(Type.int, "", "Truncated", 0)
    refuses(Type.int, "02", "Truncated", 1)
    refuses(Type.int, "02ff", "Truncated", 2)
    refuses(Type.int, "02ff07", "Truncated", 3)
    refuses(Type.int, "00ff0702", "Malformed", 0)
    refuses(Type.int, "06ff0702", "Malformed", 0)
    refuses(Type.int, "0aff0702", "Malformed", 0)
    refuses(Type.int, "7b7d", "Malformed", 0)
    refuses(Type.int, "02fd0702", "Malformed", 1)
    refuses(Type.int, "02fe00", "Malformed", 1)
    refuses(Type.any, "03ff", "Malformed", 2)
    refuses(Type.int, "03fd", "UnexpectedNull")
    refuses(Inner, "03fd", "UnexpectedNull")
    refuses(Type.any, "03fd00", "Trailing", 2)
    refuses(Type.int, "02ff070200", "Trailing", 4)
    refuses(Type.int, "02ff1502", "TypeMismatch", 2)
  })

  it("reads a part of an array", () => {
    const codec = registry.codec(Type.int)
    const bytes = fromHex("ffff02ff0702ffff")
    assert.strictEqual(codec.decode(bytes, 2, 6), 1)
    assert.throws(() => codec.decode(bytes, 2), /1 bytes follow|2 bytes follow/)
    assert.throws(() => codec.decode(bytes, 2, 5), /ends early at byte 5/)
    for (const [start, end] of [
      [-1, 4],
      [5, 4],
      [0, 9],
      [NaN, 4]
    ] as const)
      assert.throws(() => codec.decode(bytes, start, end), ForyError)
    assert.strictEqual(codec.decode(Buffer.from(bytes).subarray(2, 6)), 1)
  })

  it("refuses every beginning of a message", () => {
    const Everything = Type.struct({
      namespace: "demo",
      name: "Everything",
      fields: {
        a: Type.int,
        b: Type.float64,
        c: Type.optional(Type.int64),
        d: Type.string,
        e: Type.bytes,
        f: Type.date,
        g: Type.list(Type.string),
        h: Type.set(Type.int),
        i: Type.record(Inner),
        j: Type.any,
        k: Color,
        l: Inner,
        m: Type.timestamp,
        n: Type.int32Array,
        o: Type.taggedUint64,
        p: Type.list(Type.optional(Type.string))
      }
    })
    const codec = registry.codec(Everything)
    const bytes = codec.encode({
      a: 300,
      b: 1.5,
      c: 2n ** 60n,
      d: "é日",
      e: Uint8Array.of(1, 2),
      f: new Date(0),
      g: ["a", "b"],
      h: new Set([1]),
      i: { k: { a: 1, b: "" } },
      j: [1, { x: [null, "y"] }],
      k: "BLUE",
      l: { a: 1, b: "x" },
      m: new Date(1),
      n: Int32Array.of(1),
      o: 2n ** 40n,
      p: ["x", null]
    })
    codec.decode(bytes)
    for (let end = 0; end < bytes.length; end++) {
      try {
        codec.decode(bytes, 0, end)
      } catch (error) {
        assert.instanceOf(error, ForyError)
        // Never what lies behind the end.
        assert.strictEqual(error.code, "Truncated", `${end}: ${error.message}`)
        continue
      }
      assert.fail(`decoded with ${end} of ${bytes.length} bytes`)
    }
  })
})

describe("numbers", () => {
  it("accepts longer varints than necessary", () => {
    assert.strictEqual(inBox(Type.int, "828000"), 1)
    assert.strictEqual(inBox(Type.int, "828080808080808000"), 1)
    assert.strictEqual(inBox(Type.int64, "828080808080808000"), 1n)
    assert.strictEqual(inBox(Type.int32, "8280808000"), 1)
    assert.strictEqual(inBox(Type.uint32, "8180808000"), 1)
  })

  it("drops what a fifth byte has above 32 bits", () => {
    assert.strictEqual(inBox(Type.uint32, "ffffffffff"), 0xffffffff)
    assert.strictEqual(inBox(Type.uint32, "ffffffff7f"), 0xffffffff)
    assert.strictEqual(inBox(Type.int32, "ffffffffff"), -(2 ** 31))
  })

  it("refuses integers that no number holds", () => {
    assert.strictEqual(inBox(Type.int, "feffffffffffff1f"), Number.MAX_SAFE_INTEGER)
    assert.strictEqual(inBox(Type.int, "fdffffffffffff1f"), Number.MIN_SAFE_INTEGER)
    refusesInBox(Type.int, "ffffffffffffff1f", "OutOfRange", 0)
    refusesInBox(Type.int, "8080808080808020", "OutOfRange", 0)
    refusesInBox(Type.int, "ffffffffffffffffff", "OutOfRange", 0)
    refusesInBox(Type.int, "feffffffffffffffff", "OutOfRange", 0)
    assert.strictEqual(inBox(Type.any, "07ffffffffffffff1f"), -(2n ** 53n))
  })

  it("takes any byte but zero for true", () => {
    assert.strictEqual(inBox(Type.bool, "02"), true)
    assert.deepStrictEqual(inBox(Type.boolArray, "03000180"), [false, true, true])
  })

  it("refuses times that nothing holds", () => {
    refusesInBox(Type.timestamp, "0000000000000000" + "00ca9a3b", "OutOfRange", 8)
    refusesInBox(Type.timestampNanos, "0000000000000000" + "00ca9a3b", "OutOfRange", 8)
    refusesInBox(Type.timestamp, "ffffffffffffff7f" + "00000000", "OutOfRange", 0)
    refusesInBox(Type.date, "ffffff7f", "OutOfRange", 0)
    assert.strictEqual(inBox(Type.timestampNanos, "ffffffffffffff7fffc99a3b"), 2n ** 63n * 10n ** 9n - 1n)
  })

  it("rounds timestamps to the millisecond, as pyfory loses microseconds", () => {
    // 656.090 s as pyfory writes it.
    assert.deepStrictEqual(inBox(Type.timestamp, "9002000000000000" + "98465d05"), new Date(656_090))
    assert.deepStrictEqual(inBox(Type.timestamp, "9002000000000000" + "5fa95505"), new Date(656_089))
    assert.deepStrictEqual(inBox(Type.timestamp, "ffffffffffffffff" + "e028933b"), new Date(0))
  })
})

describe("strings", () => {
  it("accepts every encoding for any text", () => {
    assert.strictEqual(inBox(Type.string, "0a6869"), "hi")
    assert.strictEqual(inBox(Type.string, "1168006900"), "hi")
    assert.strictEqual(inBox(Type.string, "113dd800de"), "😀")
    assert.strictEqual(inBox(Type.string, "0ac3a9"), "é")
    assert.strictEqual(inBox(Type.string, "0eefbfbd"), "\ufffd")
    assert.strictEqual(inBox(Type.string, "0eefbbbf"), "\ufeff")
    assert.strictEqual(inBox(Type.string, "00"), "")
    assert.strictEqual(inBox(Type.string, "01"), "")
    assert.strictEqual(inBox(Type.string, "02"), "")
    assert.strictEqual(inBox(Type.string, "8880008162"), "\u0081b")
  })

  it("refuses broken text", () => {
    refusesInBox(Type.string, "0b6869", "Malformed", 0)
    refusesInBox(Type.string, "0d680069", "InvalidText", 0)
    refusesInBox(Type.string, "0900d8", "InvalidText", 0)
    refusesInBox(Type.string, "0900dc", "InvalidText", 0)
    refusesInBox(Type.string, "1100dc00d8", "InvalidText", 0)
    refusesInBox(Type.string, "a101" + "6100".repeat(19) + "00d8", "InvalidText", 0)
    refusesInBox(Type.string, "06c3", "InvalidText", 0)
    refusesInBox(Type.string, "0ac080", "InvalidText", 0)
    refusesInBox(Type.string, "0eeda080", "InvalidText", 0)
    refusesInBox(Type.string, "06ff", "InvalidText", 0)
    refusesInBox(Type.string, "086", "Truncated")
  })

  it("refuses lengths beyond the message", () => {
    for (const header of ["fcffffff0f", "fdffffffffffffffff", "fcffffffffffff7f", "0868", "feffffffff7f"])
      refusesInBox(Type.string, header, "Truncated")
  })
})

describe("structs", () => {
  it("refuses another schema", () => {
    refuses(box(Type.string), boxed(Type.int, "00"), "SchemaMismatch", 10)
    refusesInBox(Type.list(Inner), "010c" + "62a6378a" + "0000", "SchemaMismatch", 2)
  })

  it("accepts null as pyfory writes it in struct fields", () => {
    assert.isNull(inBox(Inner, "24"))
    assert.isNull(inBox(Type.optional(Inner), "ff24"))
    assert.isNull(inBox(Type.optional(Inner), "fd"))
    assert.isNull(inBox(Type.any, "24"))
  })

  it("refuses other types in struct fields", () => {
    refusesInBox(Inner, "1504", "TypeMismatch", 0)
    refusesInBox(Inner, "fd", "TypeMismatch", 0)
    refusesInBox(Inner, colorInfo + "00", "TypeMismatch", 0)
    const other = toHex(registry.codec(box(Type.any)).encode({ value: Type.typed(Other, { a: 1, b: "" }) })).slice(28)
    assert.deepStrictEqual(inBox(Type.any, other), { a: 1, b: "" })
    refusesInBox(Inner, other, "TypeMismatch", 0)
    // The kind belongs to the name.
    refusesInBox(Inner, "1a" + innerInfo.slice(2) + "00", "TypeMismatch", 0)
    refusesInBox(Type.any, "1a" + innerInfo.slice(2) + "00", "TypeMismatch", 0)
  })

  it("refuses null flags that are none", () => {
    for (const flag of ["00", "fe", "01", "fc"]) {
      refusesInBox(Type.optional(Type.string), flag + "00", "Malformed", 0)
      refusesInBox(Type.optional(Inner), flag, "Malformed", 0)
    }
  })

  it("refuses another root", () => {
    refuses(Inner, toHex(registry.codec(Other).encode({ a: 1, b: "" })), "TypeMismatch", 2)
    refuses(Color, "02ff" + innerInfo + innerHash + "0000", "TypeMismatch", 2)
    assert.strictEqual(decode(Color, "02ff" + colorInfo + "02"), "BLUE")
  })
})

describe("type ids", () => {
  it("refuses all that are not supported", () => {
    const known = new Set([
      ...Array.from({ length: 15 }, (_, n) => n + 1),
      19,
      20,
      21,
      22,
      23,
      24,
      26,
      29,
      36,
      38,
      39,
      41
    ])
    for (let id = 43; id <= 51; id++) known.add(id)
    known.add(55).add(56)
    for (let id = 0; id < 256; id++) {
      if (known.has(id)) continue
      const hex = id.toString(16).padStart(2, "0")
      refuses(Type.any, `02ff${hex}0000000000000000`, "UnknownType", 2)
      refusesInBox(Type.any, `${hex}00000000`, "UnknownType", 0)
      refusesInBox(Type.list(Type.any), `0108${hex}00000000`, "UnknownType", 2)
    }
  })
})

describe("names", () => {
  const named = (names: string): string => `1d${names}${innerHash}0000`

  it("accepts back-references and repetitions alike", () => {
    // ids: t, Box of the root, then t, Inner
    const value = { a: 0, b: "" }
    const full = "02014c0803a1ad2440"
    assert.deepStrictEqual(inBox(Type.any, named(full)), value)
    assert.deepStrictEqual(inBox(Type.any, named("030803a1ad2440")), value)
    assert.deepStrictEqual(inBox(Type.list(Type.any), "0200" + named(full) + named(full)), [value, value])
    assert.deepStrictEqual(inBox(Type.list(Type.any), "0200" + named(full) + named("0709")), [value, value])
    assert.deepStrictEqual(inBox(Type.list(Type.any), "0200" + named(full) + named("0309")), [value, value])
  })

  it("accepts other encodings of a name", () => {
    const utf8 = "020074" + "0a00" + toHex(new TextEncoder().encode("Inner"))
    assert.deepStrictEqual(inBox(Type.any, named(utf8)), { a: 0, b: "" })
    assert.deepStrictEqual(inBox(Inner, named(utf8)), { a: 0, b: "" })
    const allToLower = "02014c" + "0804750d6922"
    assert.deepStrictEqual(inBox(Type.any, named(allToLower)), { a: 0, b: "" })
    assert.deepStrictEqual(inBox(Inner, named(allToLower)), { a: 0, b: "" })
  })

  it("refuses references to names that were not there", () => {
    refusesInBox(Type.any, named("0709"), "Malformed", 1)
    refusesInBox(Type.any, named("01" + "03"), "Malformed", 1)
    refusesInBox(Type.any, named("ffffffff0f" + "03"), "Malformed", 1)
  })

  it("refuses unknown and broken names", () => {
    refusesInBox(Type.any, named("02014c" + "020041"), "UnknownType", 0)
    refusesInBox(Type.any, named("0000"), "UnknownType", 0)
    refusesInBox(Type.any, named("020541" + "00"), "InvalidText", 1)
    refusesInBox(Type.any, named("0200ff" + "00"), "InvalidText", 1)
    refusesInBox(Type.any, named("02017c" + "00"), "InvalidText", 1)
    refusesInBox(Type.any, "1d" + "feffffff0f", "Truncated")
    refusesInBox(Type.any, "1d" + "22" + "00".repeat(10), "Truncated")
  })

  it("refuses endless names and endlessly many", () => {
    const long = 200_000
    const header = new Uint8Array([29, 0x80 | ((long * 2) & 127), 0x80 | (((long * 2) >> 7) & 127), (long * 2) >> 14])
    refuses(Type.any, "02ff" + toHex(header) + "00".repeat(8 + long), "LimitExceeded")
    const Bare = Type.struct({ namespace: "", name: "Bare", fields: {} })
    const bare = Fory.make({ types: [Bare] }).codec(Type.any)
    const one = toHex(bare.encode(Type.typed(Bare, {}))).slice(4)
    const many = (count: number): Uint8Array =>
      fromHex(`02ff16${count === 20_000 ? "a09c01" : "904e"}00${one.repeat(count)}`)
    assert.lengthOf(bare.decode(many(10_000)) as ReadonlyArray<unknown>, 10_000)
    assert.throws(() => bare.decode(many(20_000)), /32767 names/)
  })
})

describe("enums", () => {
  it("refuses ordinals out of range", () => {
    assert.strictEqual(inBox(Color, "02"), "BLUE")
    refusesInBox(Color, "03", "OutOfRange", 0)
    refusesInBox(Color, "ffffffff0f", "OutOfRange", 0)
  })
})

describe("lists and sets", () => {
  const ints = Type.list(Type.int)
  const optional = Type.list(Type.optional(Type.int))

  it("go by the header", () => {
    assert.deepStrictEqual(inBox(ints, "00"), [])
    assert.deepStrictEqual(inBox(ints, "020c0204"), [1, 2])
    assert.deepStrictEqual(inBox(ints, "0208070204"), [1, 2])
    assert.deepStrictEqual(inBox(ints, "020007020704"), [1, 2])
    assert.deepStrictEqual(inBox(ints, "020407020704"), [1, 2])
    assert.deepStrictEqual(inBox(ints, "020eff02ff04"), [1, 2])
    assert.deepStrictEqual(inBox(optional, "020eff02fd"), [1, null])
    assert.deepStrictEqual(inBox(optional, "020a07ff02fd"), [1, null])
    assert.deepStrictEqual(inBox(optional, "0202ff0702fd"), [1, null])
    assert.deepStrictEqual(inBox(optional, "020a24fdfd"), [null, null])
    assert.deepStrictEqual(inBox(optional, "020024" + "0702"), [null, 1])
    assert.deepStrictEqual(inBox(Type.set(Type.int), "03" + "0c020202"), new Set([1]))
    assert.deepStrictEqual(inBox(Type.list(Inner), "0108" + innerInfo + innerHash + "0000"), [{ a: 0, b: "" }])
    assert.deepStrictEqual(inBox(Type.list(Color), "0108" + colorInfo + "01"), ["GREEN"])
    assert.deepStrictEqual(inBox(Type.list(ints), "0108" + "16" + "010807" + "02"), [[1]])
  })

  it("refuse nulls that are not optional", () => {
    refusesInBox(ints, "020eff02fd", "UnexpectedNull", 4)
    refusesInBox(ints, "020a24fdfd", "UnexpectedNull", 3)
    refusesInBox(ints, "020024" + "0702", "UnexpectedNull", 2)
    refusesInBox(Type.set(Type.int), "010efd", "UnexpectedNull", 2)
  })

  it("refuse other types and headers", () => {
    refusesInBox(ints, "0108150461", "TypeMismatch", 2)
    refusesInBox(ints, "010805" + "02", "TypeMismatch", 2)
    for (const header of ["0d", "01", "09", "0f", "1c", "80", "ff"])
      refusesInBox(ints, `01${header}0200`, "Malformed", 1)
    refusesInBox(Type.list(Type.any), "010c02", "Malformed")
    refusesInBox(Type.list(Type.any), "010e" + "ff02", "Malformed")
    refusesInBox(Type.list(Type.optional(Type.int)), "020a07" + "fe02ff02", "Malformed", 3)
    // A null that takes no bytes could be repeated a million times for free.
    refusesInBox(Type.list(Type.any), "020824", "Malformed")
    refusesInBox(optional, "020824" + "0000", "Malformed")
  })

  it("refuse a header behind a count of zero", () => {
    refusesInBox(ints, "000c", "Trailing", 1)
  })
})

describe("maps", () => {
  const map = Type.map(Type.string, Type.int)
  const optional = Type.map(Type.optional(Type.string), Type.optional(Type.int))
  const one = new Map([["a", 1]])

  it("go by the chunks", () => {
    assert.deepStrictEqual(inBox(map, "00"), new Map())
    assert.deepStrictEqual(inBox(map, "012401" + "046102"), one)
    assert.deepStrictEqual(inBox(map, "010401" + "07" + "046102"), one)
    assert.deepStrictEqual(inBox(map, "012001" + "15" + "046102"), one)
    assert.deepStrictEqual(inBox(map, "010001" + "1507" + "046102"), one)
    const two = new Map([...one, ["b", 2]] as const)
    assert.deepStrictEqual(inBox(map, "02" + "2401046102" + "2401046204"), two)
    assert.deepStrictEqual(inBox(map, "02" + "2402046102046204"), two)
    assert.deepStrictEqual(inBox(Type.record(Type.int), "02" + "2402046102046204"), { a: 1, b: 2 })
    assert.deepStrictEqual(inBox(map, "02" + "2402046102046104"), new Map([["a", 2]]))
  })

  it("accept every form of null", () => {
    const keyOnly = new Map([["a", null]])
    const valueOnly = new Map([[null, 1]])
    for (const form of ["14" + "0461", "34" + "0461", "11ff15" + "0461", "10ff15" + "0461"])
      assert.deepStrictEqual(inBox(optional, "01" + form), keyOnly, form)
    for (const form of ["22" + "02", "26" + "02", "0aff07" + "02", "02ff07" + "02"])
      assert.deepStrictEqual(inBox(optional, "01" + form), valueOnly, form)
    assert.deepStrictEqual(inBox(optional, "0112"), new Map([[null, null]]))
    assert.deepStrictEqual(inBox(optional, "010001" + "1524" + "0461"), keyOnly)
  })

  it("refuse nulls that are not optional", () => {
    for (const body of ["01140461", "0111ff150461", "012202", "010aff0702", "0112", "010001" + "15240461"])
      refusesInBox(map, body, "UnexpectedNull")
    refusesInBox(Type.record(Type.int), "01140461", "UnexpectedNull")
  })

  it("refuse other chunks", () => {
    refusesInBox(map, "012400", "Malformed", 2)
    refusesInBox(map, "012402" + "046102046204", "Malformed", 2)
    for (const header of ["25", "2c", "64", "a4"]) refusesInBox(map, `01${header}01046102`, "Malformed", 1)
    refusesInBox(optional, "01150461", "Malformed")
    refusesInBox(map, "010401" + "15" + "046102", "TypeMismatch", 3)
    refusesInBox(Type.map(Type.string, Type.any), "012401" + "04610702", "Malformed")
    refusesInBox(optional, "0111fe15" + "0461", "Malformed", 2)
  })

  it("make plain objects that a key cannot poison", () => {
    const key = toHex(new TextEncoder().encode("__proto__"))
    const value = inBox(Type.record(Type.record(Type.int)), `012401${"24" + key}012401${"04" + "61"}02`) as object
    assert.strictEqual(Object.getPrototypeOf(value), Object.prototype)
    assert.deepStrictEqual(Object.getOwnPropertyNames(value), ["__proto__"])
    assert.isFalse("a" in value)
  })
})

describe("bombs", () => {
  const bomb = (type: Type.Type, hex: string, code: ForyError["code"]): void => {
    const before = process.memoryUsage()
    refusesInBox(type, hex, code)
    const after = process.memoryUsage()
    assert.isBelow(after.rss - before.rss, 100e6)
  }

  it("claimed counts and lengths allocate nothing", () => {
    const million = "c0843d"
    const most = "ffffffff0f"
    for (const type of [Type.list(Type.int), Type.set(Type.string), Type.list(Inner), Type.list(Type.any)]) {
      bomb(type, `${million}0c`, "Truncated")
      bomb(type, most, "LimitExceeded")
      bomb(type, "c1843d" + "00".repeat(1_000_002), "LimitExceeded")
    }
    for (const type of [Type.map(Type.int, Type.int), Type.record(Type.any)]) {
      bomb(type, `${million}24ff`, "Truncated")
      bomb(type, most, "LimitExceeded")
    }
    for (const type of [Type.bytes, Type.float64Array, Type.boolArray]) {
      bomb(type, "80808020", "Truncated")
      bomb(type, most, "LimitExceeded")
    }
    refusesInBox(Type.int16Array, "0300000000", "Malformed", 0)
  })

  it("nested claims stay small", () => {
    // Each level claims as many elements as bytes follow.
    let body = "00".repeat(900_000)
    for (let level = 0; level < 20; level++) body = "16" + "a0f736" + "00" + body
    bomb(Type.any, body, "UnknownType")
  })

  it("depth is bounded, wherever it comes from", () => {
    bomb(Type.any, "16" + "010816".repeat(100_000), "TooDeep")
    bomb(Type.any, "18" + "010001071802".repeat(100_000), "TooDeep")
    interface Node {
      readonly next: Node | null
    }
    const Node: Type.Type<Node, Node> = Type.struct({
      namespace: "t",
      name: "Node",
      fields: () => ({ next: Type.optional(Node) })
    })
    const codec = registry.codec(Node)
    const leaf = toHex(codec.encode({ next: null }))
    const hash = leaf.slice(-10, -2)
    assert.deepStrictEqual(decode(Node, leaf.slice(0, -10) + `${hash}ff1d0305` + `${hash}fd`), { next: { next: null } })
    refuses(Node, leaf.slice(0, -10) + `${hash}ff1d0305`.repeat(100_000), "TooDeep")
  })

  it("empty containers are counted", () => {
    const empties = (count: number, limit?: number): unknown => {
      const bytes = new Uint8Array(5 + 5 + count)
      const header = fromHex("02ff16")
      bytes.set(header)
      let at = 3
      for (let rest = count; ; rest >>>= 7) {
        bytes[at++] = rest > 127 ? (rest & 127) | 128 : rest
        if (rest <= 127) break
      }
      bytes.set(fromHex("0818"), at)
      const limits = limit === undefined ? {} : { maxContainers: limit }
      return Fory.make({ limits })
        .codec(Type.any)
        .decode(bytes, 0, at + 2 + count)
    }
    assert.lengthOf(empties(999_999) as ReadonlyArray<unknown>, 999_999)
    assert.throws(() => empties(1_000_000), /More than 1000000 lists, maps and byte strings/)
    assert.throws(() => empties(10, 10), ForyError)
    assert.lengthOf(empties(10, 11) as ReadonlyArray<unknown>, 10)
  })

  it("limits are those given", () => {
    const small = Fory.make({ limits: { maxCollectionSize: 2, maxBinarySize: 2, maxDepth: 4 } })
    const any = small.codec(Type.any)
    const large = registry.codec(Type.any)
    assert.throws(() => any.decode(large.encode([1, 2, 3])), /3 elements are more than the limit of 2/)
    assert.throws(() => any.decode(large.encode({ a: 1, b: 2, c: 3 })), /limit of 2/)
    assert.throws(() => any.decode(large.encode(new Uint8Array(3))), /3 bytes are more than the limit of 2/)
    assert.throws(() => any.decode(large.encode([[[]]])), /deeper than 4 levels/)
    assert.deepStrictEqual(any.decode(large.encode([[], 1])), [[], 1])
  })
})
