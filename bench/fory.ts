import { Fory, Type } from "@aster-effect/fory"

// Fory against JSON, value -> bytes -> value, in one process:
//   node --conditions=source bench/fory.ts

const Task = Type.struct({
  namespace: "bench",
  name: "Task",
  fields: {
    id: Type.int,
    name: Type.string,
    active: Type.bool,
    score: Type.float64,
    tags: Type.list(Type.string)
  }
})
const TaskList = Type.struct({ namespace: "bench", name: "TaskList", fields: { tasks: Type.list(Task) } })

type Task = Type.Value<typeof Task>

const ascii = (n: number): Task => ({
  id: 100_000 + n * 37,
  name: `build-job-${10 + (n % 90)}`,
  active: n % 3 !== 0,
  score: n * 1.37 + 0.25,
  tags: ["linux", "nightly", "x64"].slice(0, 2 + (n % 2))
})

const accented = (n: number): Task => ({ ...ascii(n), name: `tâche-n°-${10 + (n % 90)}`, tags: ["été", "série"] })

const japanese = (n: number): Task => ({
  ...ascii(n),
  name: `ビルド作業番号${10 + (n % 90)}号機`,
  tags: ["夜間", "検証用"]
})

interface Side<A> {
  readonly encode: (value: A) => Uint8Array
  readonly decode: (bytes: Uint8Array) => A
}

const textEncoder = new TextEncoder()
const textDecoder = new TextDecoder()
const json = <A>(): Side<A> => ({
  encode: (value) => textEncoder.encode(JSON.stringify(value)),
  decode: (bytes) => JSON.parse(textDecoder.decode(bytes)) as A
})

const registry = Fory.make({ types: [Task, TaskList] })

let sink = 0

/** Nanoseconds per call: the median of several batches. */
const measure = (runs: number, run: (index: number) => unknown): (() => number) => {
  return () => {
    const start = performance.now()
    for (let index = 0; index < runs; index++) sink += run(index) === undefined ? 1 : 0
    return ((performance.now() - start) / runs) * 1e6
  }
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const compare = <A>(title: string, values: ReadonlyArray<A>, fory: Side<A>, runs: number): void => {
  const other = json<A>()
  const foryBytes = values.map((value) => fory.encode(value))
  const jsonBytes = values.map((value) => other.encode(value))
  const at = (index: number): number => index % values.length
  const pairs = {
    encode: [measure(runs, (n) => fory.encode(values[at(n)]!)), measure(runs, (n) => other.encode(values[at(n)]!))],
    decode: [
      measure(runs, (n) => fory.decode(foryBytes[at(n)]!)),
      measure(runs, (n) => other.decode(jsonBytes[at(n)]!))
    ],
    both: [
      measure(runs, (n) => fory.decode(fory.encode(values[at(n)]!))),
      measure(runs, (n) => other.decode(other.encode(values[at(n)]!)))
    ]
  } as const
  console.log(`\n${title}: ${foryBytes[0]!.length} bytes against ${jsonBytes[0]!.length} of JSON`)
  for (const [name, [ours, theirs]] of Object.entries(pairs)) {
    const samples: Array<readonly [number, number]> = []
    // Side by side, so that noise hits both; the first rounds warm up.
    for (let round = 0; round < 15; round++) {
      const sample = [ours(), theirs()] as const
      if (round >= 4) samples.push(sample)
    }
    const [foryTime, jsonTime] = [median(samples.map(([a]) => a)), median(samples.map(([, b]) => b))]
    const ratio = median(samples.map(([a, b]) => b / a))
    console.log(
      `  ${name}: fory ${foryTime.toFixed(0)} ns, JSON ${jsonTime.toFixed(0)} ns, ${ratio.toFixed(2)} times as fast`
    )
  }
}

const variants = { ASCII: ascii, "Latin-1": accented, Japanese: japanese }
for (const [name, make] of Object.entries(variants)) {
  const tasks = Array.from({ length: 100 }, (_, n) => make(n))
  compare(`struct of 5 fields, ${name}`, tasks, registry.codec(Task), 20_000)
  const lists = Array.from({ length: 10 }, (_, n) => ({ tasks: tasks.map((task) => ({ ...task, id: task.id + n })) }))
  compare(`list of 100 such structs, ${name}`, lists, registry.codec(TaskList), 400)
}
if (sink > 0) throw new Error("A side returned nothing")
