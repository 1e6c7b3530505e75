import { Fory, ForyError, Type } from "@aster-effect/fory"
import { assert, describe, it } from "@effect/vitest"

const struct = <F extends Type.Fields, P extends object = object>(fields: F | (() => F), prototype?: P) =>
  Type.struct({ namespace: "t", name: "Box", fields, prototype })

const isInvalid = (define: () => unknown): void => {
  let error: unknown
  try {
    define()
  } catch (thrown) {
    error = thrown
  }
  assert.instanceOf(error, ForyError)
  assert.strictEqual((error as ForyError).code, "InvalidDefinition", (error as ForyError).message)
}

describe("field names", () => {
  const ran: Array<string> = []
  Object.assign(globalThis, { foryFieldRan: (what: string) => ran.push(what) })
  const call = 'foryFieldRan("x")'
  const hostile = [
    `"]; ${call}; v["`,
    `"] + ${call} + v["`,
    `a}; ${call}; {`,
    `\${${call}}`,
    `\`; ${call}; \``,
    `*/ ${call} /*`,
    `// ${call}`,
    `\\"]; ${call}; //`,
    `\n${call}\n`,
    `\u2028${call}\u2029`,
    "'",
    '"',
    "\\",
    "",
    " ",
    "__proto__",
    "constructor",
    "toString",
    "valueOf",
    "prototype",
    "0",
    "return",
    "w",
    "p",
    "k0"
  ]

  const fieldsOf = (type: Type.Type): Type.Fields =>
    Object.fromEntries(hostile.map((name) => [name, type] as const)) as Type.Fields
  const values = Object.fromEntries(hostile.map((name, index) => [name, index] as const))

  it("never become code, in plain objects", () => {
    const codec = Fory.make().codec(struct(fieldsOf(Type.int))) as Fory.Codec<object, object>
    const decoded = codec.decode(codec.encode(values))
    assert.deepStrictEqual(Object.entries(decoded).sort(), Object.entries(values).sort())
    assert.strictEqual(Object.getPrototypeOf(decoded), Object.prototype)
    assert.deepStrictEqual(ran, [])
  })

  it("never become code, in objects with a prototype", () => {
    class Mine {}
    const codec = Fory.make().codec(struct(fieldsOf(Type.int), Mine.prototype)) as Fory.Codec<object, object>
    const decoded = codec.decode(codec.encode(values))
    assert.deepStrictEqual(Object.entries(decoded).sort(), Object.entries(values).sort())
    assert.strictEqual(Object.getPrototypeOf(decoded), Mine.prototype)
    assert.deepStrictEqual(ran, [])
  })

  it("and type names may be anything", () => {
    for (const name of hostile.filter((text) => text !== "")) {
      const Odd = Type.struct({ namespace: name, name, fields: { a: Type.optional(Type.int) } })
      const codec = Fory.make({ types: [Odd] }).codec(Odd)
      assert.deepStrictEqual(codec.decode(codec.encode({ a: 1 })), { a: 1 })
      assert.throws(() => codec.encode(5 as never), ForyError)
    }
    assert.deepStrictEqual(ran, [])
  })
})

describe("prototypes", () => {
  class Task {
    readonly id: number
    readonly title: string
    constructor(id: number, title: string) {
      if (title === "") throw new Error("The constructor ran")
      this.id = id
      this.title = title
    }
    get line(): string {
      return `${this.id}: ${this.title}`
    }
  }
  const TaskType = Type.struct({
    namespace: "t",
    name: "Task",
    fields: { id: Type.int, title: Type.string },
    prototype: Task.prototype
  })

  it("make instances without running the constructor", () => {
    const codec = Fory.make().codec(TaskType)
    const task: Task = codec.decode(codec.encode({ id: 1, title: "" }))
    assert.instanceOf(task, Task)
    assert.strictEqual(task.line, "1: ")
    assert.deepStrictEqual(Object.keys(task), ["id", "title"])
  })

  it("name the struct of an instance where any type may stand", () => {
    const any = Fory.make({ types: [TaskType] }).codec(Type.any)
    const task = new Task(1, "a")
    assert.deepStrictEqual(any.decode(any.encode([task, task])), [task, task])
    assert.throws(() => Fory.make().codec(Type.any).encode(task), /registered struct/)
  })

  it("may have accessors and methods of a field's name", () => {
    class Odd {
      get a(): number {
        return 0
      }
      set b(_: number) {
        throw new Error("The setter ran")
      }
      c(): number {
        return 0
      }
    }
    const codec = Fory.make().codec(struct({ a: Type.int, b: Type.int, c: Type.int }, Odd.prototype as object))
    const decoded = codec.decode(codec.encode({ a: 1, b: 2, c: 3 }))
    assert.instanceOf(decoded, Odd)
    assert.deepStrictEqual(Object.entries(decoded), [["a", 1], ["b", 2], ["c", 3]]) // prettier-ignore
  })

  it("belong to one struct each", () => {
    const Twin = Type.struct({ namespace: "t", name: "Twin", fields: {}, prototype: Task.prototype })
    isInvalid(() => Fory.make({ types: [TaskType, Twin] }))
  })
})

describe("definitions", () => {
  it("have one type for a name", () => {
    isInvalid(() => Fory.make({ types: [struct({ a: Type.int }), struct({ a: Type.int })] }))
    const Twin = Type.enumeration({ namespace: "t", name: "Box", values: ["A"] })
    isInvalid(() => Fory.make({ types: [struct({ twin: Twin })] }))
    Fory.make({ types: [Twin, Twin, Type.list(Twin)] })
  })

  it("register what they mention", () => {
    const Deep = Type.struct({ namespace: "t", name: "Deep", fields: { a: Type.int } })
    const Top = Type.struct({
      namespace: "t",
      name: "Top",
      fields: { m: Type.map(Type.string, Type.list(Type.optional(Type.set(Type.record(Deep))))) }
    })
    const bytes = Fory.make({ types: [Deep] })
      .codec(Type.any)
      .encode(Type.typed(Deep, { a: 1 }))
    assert.deepStrictEqual(
      Fory.make({ types: [Top] })
        .codec(Type.any)
        .decode(bytes),
      { a: 1 }
    )
    assert.throws(() => Fory.make().codec(Type.any).decode(bytes), /t\/Deep is not registered/)
  })

  it("are refused when they cannot work", () => {
    const registry = Fory.make()
    isInvalid(() => Type.optional(Type.optional(Type.int)))
    isInvalid(() => Type.typed(Type.any, 1))
    isInvalid(() => Type.typed(Type.optional(Type.int), 1))
    isInvalid(() => registry.codec(Type.enumeration({ namespace: "t", name: "E", values: [] })))
    isInvalid(() => registry.codec(Type.enumeration({ namespace: "t", name: "E", values: ["A", "A"] })))
    isInvalid(() => registry.codec(Type.struct({ namespace: "t", name: "", fields: {} })))
    isInvalid(() => registry.codec(Type.struct({ namespace: "\ud800", name: "A", fields: {} })))
    isInvalid(() => registry.codec(Type.struct({ namespace: "", name: "A".repeat(40_000), fields: {} })))
    const broken = struct({ "\udc00": Type.int })
    isInvalid(() => registry.codec(broken))
    // It is the same error the second time.
    assert.throws(() => registry.codec(broken), /not valid Unicode/)
  })

  it("have limits that are whole numbers", () => {
    for (const limit of [-1, 1.5, NaN, Infinity, "50" as never, '50) foryFieldRan("limit"' as never])
      isInvalid(() => Fory.make({ limits: { maxDepth: limit } }))
  })

  it("compile once", () => {
    const registry = Fory.make()
    const type = struct({ a: Type.int })
    assert.strictEqual(registry.codec(type), registry.codec(type))
  })
})

describe("static types", () => {
  it("follow the descriptor", () => {
    const Color = Type.enumeration({ namespace: "t", name: "Color", values: ["RED", "GREEN"] })
    const Item = struct({
      count: Type.int,
      total: Type.int64,
      note: Type.optional(Type.string),
      tags: Type.list(Type.string),
      by: Type.map(Type.string, Color),
      flags: Type.record(Type.bool)
    })
    const codec = Fory.make().codec(Item)
    const item: Type.Value<typeof Item> = codec.decode(
      codec.encode({ count: 1, total: 2n, tags: ["a"], by: new Map([["x", "RED"]]), flags: { y: true } })
    )
    const [note, color, total]: readonly [string | null, "RED" | "GREEN" | undefined, bigint] = [
      item.note,
      item.by.get("x"),
      item.total
    ]
    assert.deepStrictEqual([note, color, total], [null, "RED", 2n])
    const valid = { count: 1, total: 2n, tags: [], by: new Map<string, "RED">(), flags: {} }
    // @ts-expect-error a bigint field does not take a number
    assert.throws(() => codec.encode({ ...valid, total: 2 }))
    // @ts-expect-error "BLUE" is no value of the enum
    assert.throws(() => codec.encode({ ...valid, by: new Map([["x", "BLUE"]]) }))
    // @ts-expect-error only optional fields may be left out
    assert.throws(() => codec.encode({ total: 2n, tags: [], by: new Map(), flags: {} }))
    // @ts-expect-error the fields do not make what the annotation says
    const wrong: Type.Type<{ readonly other: string }, { readonly a: number }> = struct({ a: Type.int })
    assert.strictEqual(wrong.kind, "struct")
  })
})
