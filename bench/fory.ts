import { Fory, Type } from "@aster-effect/fory"

// Fory against JSON, value -> bytes -> value, in one process:
//   node --conditions=@aster-effect/source bench/fory.ts [--json]
// `--json` prints one document, as ForyTable.ts reads it, instead of a line per measurement.

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

/** Nanoseconds per operation, each the median of its rounds, and the median of the rounds' ratios. */
interface Row {
  readonly name: string
  readonly foryNs: number
  readonly jsonNs: number
  readonly ratio: number
}

interface Comparison {
  readonly title: string
  readonly encode: Row
  readonly decode: Row
  readonly both: Row
}

const warmUpRounds = 4
const countedRounds = 11

let missing = 0

/** Nanoseconds per call. */
const measure = (runs: number, run: (index: number) => unknown): number => {
  const start = performance.now()
  for (let index = 0; index < runs; index++) missing += run(index) === undefined ? 1 : 0
  return ((performance.now() - start) / runs) * 1e6
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

/** Side by side, so that noise hits both. */
const compareRuns = (
  name: string,
  runs: number,
  ours: (index: number) => unknown,
  theirs: (index: number) => unknown
): Row => {
  const rounds = Array.from({ length: warmUpRounds + countedRounds }, () => ({
    fory: measure(runs, ours),
    json: measure(runs, theirs)
  })).slice(warmUpRounds)
  return {
    name,
    foryNs: median(rounds.map(({ fory }) => fory)),
    jsonNs: median(rounds.map(({ json: time }) => time)),
    ratio: median(rounds.map(({ fory, json: time }) => time / fory))
  }
}

const compare = <A>(name: string, values: ReadonlyArray<A>, fory: Side<A>, runs: number): Comparison => {
  const other = json<A>()
  const foryBytes = values.map((value) => fory.encode(value))
  const jsonBytes = values.map((value) => other.encode(value))
  const at = (index: number): number => index % values.length
  return {
    title: `${name}: ${foryBytes[0]!.length} bytes against ${jsonBytes[0]!.length} of JSON`,
    encode: compareRuns(
      name,
      runs,
      (n) => fory.encode(values[at(n)]!),
      (n) => other.encode(values[at(n)]!)
    ),
    decode: compareRuns(
      name,
      runs,
      (n) => fory.decode(foryBytes[at(n)]!),
      (n) => other.decode(jsonBytes[at(n)]!)
    ),
    both: compareRuns(
      name,
      runs,
      (n) => fory.decode(fory.encode(values[at(n)]!)),
      (n) => other.decode(other.encode(values[at(n)]!))
    )
  }
}

const variants = { ASCII: ascii, "Latin-1": accented, Japanese: japanese }
const comparisons = Object.entries(variants).flatMap(([name, make]) => {
  const tasks = Array.from({ length: 100 }, (_, n) => make(n))
  const lists = Array.from({ length: 10 }, (_, n) => ({ tasks: tasks.map((task) => ({ ...task, id: task.id + n })) }))
  return [
    compare(`struct of 5 fields, ${name}`, tasks, registry.codec(Task), 20_000),
    compare(`list of 100 such structs, ${name}`, lists, registry.codec(TaskList), 400)
  ]
})
if (missing > 0) throw new Error("A side returned nothing")

if (process.argv.includes("--json")) {
  console.log(JSON.stringify({ rows: comparisons.map(({ both }) => both) }))
} else {
  for (const { title, ...rows } of comparisons) {
    console.log(`\n${title}`)
    for (const [step, { foryNs, jsonNs, ratio }] of Object.entries(rows)) {
      const times = `fory ${foryNs.toFixed(0)} ns, JSON ${jsonNs.toFixed(0)} ns`
      console.log(`  ${step}: ${times}, ${ratio.toFixed(2)} times as fast`)
    }
  }
}
