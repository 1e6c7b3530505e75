import * as Contract from "@aster-effect/core/contract/Contract"
import * as Manifest from "@aster-effect/core/contract/Manifest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { KitchenSink } from "../../examples/kitchen-sink/KitchenSink.ts"
import { TaskRunner } from "../../examples/task-runner/TaskRunner.ts"
import { sandbox } from "./Sandbox.ts"

const examples = fileURLToPath(new URL("../../examples/", import.meta.url))
const tasks = `${examples}task-runner/TaskRunner.ts:TaskRunner`
const kitchen = `${examples}kitchen-sink/KitchenSink.ts:KitchenSink`

describe("aster contract gen", () => {
  it.effect("writes the manifest of one service as an object", () =>
    Effect.gen(function* () {
      const { aster, read } = yield* sandbox()
      const { code, out } = yield* aster(`contract gen --service ${tasks} --semver 1.2.3`)
      assert.strictEqual(code, 0)
      const text = yield* read(".aster/manifest.json")
      assert.deepStrictEqual(Manifest.parse(text), {
        ...Manifest.fromDescription(TaskRunner.description, TaskRunner.contract, { wireTypes: true }),
        semver: "1.2.3"
      })
      assert.strictEqual(JSON.parse(text).contract_id, TaskRunner.contract.contractId)
      assert.include(out, `TaskRunner v2  contract_id=${TaskRunner.contract.contractId.slice(0, 16)}...  methods=1`)
    })
  )

  it.effect("writes several as an array", () =>
    Effect.gen(function* () {
      const { aster, read } = yield* sandbox()
      assert.strictEqual((yield* aster(`contract gen --service ${tasks} --service ${kitchen} --out m.json`)).code, 0)
      const text = yield* read("m.json")
      assert.deepStrictEqual(
        Manifest.parseList(text).map(({ contractId }) => contractId),
        [TaskRunner.contract.contractId, KitchenSink.contract.contractId]
      )
      // The layout is that of the reference: two spaces per level.
      assert.match(text, /^\[\n {2}\{\n {4}"v": 1,\n/)
    })
  )

  it.effect("notes the commit, the tag and the origin without its password", () =>
    Effect.gen(function* () {
      const { aster, directory, read } = yield* sandbox()
      const git = (...args: ReadonlyArray<string>) =>
        execFileSync("git", ["-c", "user.name=x", "-c", "user.email=x@example.org", ...args], {
          cwd: directory,
          encoding: "utf8"
        }).trim()
      git("init", "--quiet")
      yield* aster(`contract gen --service ${tasks}`)
      assert.deepInclude(Manifest.parse(yield* read(".aster/manifest.json")), { vcsRevision: null, vcsUrl: null })
      git("commit", "--quiet", "--allow-empty", "--message", "first")
      git("tag", "v1")
      git("remote", "add", "origin", "/nowhere")
      for (const [url, noted] of [
        ["https://user:s3cret@example.org/x.git", "https://example.org/x.git"],
        ["https://t0ken@example.org/x", "https://example.org/x"],
        ["https://example.org/x", "https://example.org/x"],
        ["ssh://git:s3cret@example.org/x", "ssh://git@example.org/x"],
        ["git@example.org:team/x.git", "git@example.org:team/x.git"],
        ["/srv/x.git", "/srv/x.git"]
      ] as const) {
        git("remote", "set-url", "origin", url)
        yield* aster(`contract gen --service ${tasks}`)
        const manifest = Manifest.parse(yield* read(".aster/manifest.json"))
        assert.deepInclude(manifest, { vcsRevision: git("rev-parse", "HEAD"), vcsTag: "v1", vcsUrl: noted })
      }
    })
  )

  it.effect.each([
    ["contract gen", 2, "--service"],
    ["contract gen --service nowhere", 1, "expected MODULE:EXPORT"],
    ["contract gen --service ./nowhere.js:X", 1, "cannot import ./nowhere.js"],
    [`contract gen --service ${tasks}s`, 1, "its services: TaskRunner"],
    [`contract gen --service ${examples}kitchen-sink/producer.ts:producer`, 1, "it exports no service"]
  ] as const)("refuses %s", ([line, code, words]) =>
    Effect.gen(function* () {
      const { aster, list } = yield* sandbox()
      const refused = yield* aster(line)
      assert.strictEqual(refused.code, code)
      assert.include(refused.err, words)
      assert.deepStrictEqual(yield* list("."), [])
    })
  )
})

describe("aster contract gen --postponed-annotations", () => {
  it.effect("gives the contract that Python makes of annotations that stay text", () =>
    Effect.gen(function* () {
      const { aster, read } = yield* sandbox()
      const { contractId } = Contract.fromDescription(TaskRunner.description, { postponedAnnotations: true })
      assert.notStrictEqual(contractId, TaskRunner.contract.contractId)
      assert.strictEqual((yield* aster(`contract gen --service ${tasks} --postponed-annotations`)).code, 0)
      assert.strictEqual(Manifest.parse(yield* read(".aster/manifest.json")).contractId, contractId)
      const { out } = yield* aster(`contract inspect ${tasks} --postponed-annotations --json`)
      assert.strictEqual(JSON.parse(out).contract_id, contractId)
    })
  )
})

describe("aster contract inspect", () => {
  it.effect("shows id, methods and types of a service in a module", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      const { code, out } = yield* aster(`contract inspect ${tasks}`)
      assert.strictEqual(code, 0)
      assert.strictEqual(
        out,
        [
          "TaskRunner v2",
          `  contract id: ${TaskRunner.contract.contractId}`,
          "  scope:       shared",
          "  modes:       xlang",
          "  methods:     1",
          "    run_task  (unary)  timeout 30 s  idempotent",
          "      request:  TaskRequest { task_id: string, payload: string }",
          "      response: TaskResponse { status: string, result: string }",
          "  types:       2",
          ...TaskRunner.contract.types.map(({ hash, name }) => `    ${hash}  ${name}`).toSorted()
        ].join("\n")
      )
    })
  )

  it.effect("shows a manifest file, by default the one gen writes, also as JSON", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      yield* aster(`contract gen --service ${kitchen}`)
      const { code, out } = yield* aster("contract inspect")
      assert.strictEqual(code, 0)
      assert.include(out, KitchenSink.contract.contractId)
      assert.include(out, "count  (server_stream)")
      assert.include(out, "by_name: map<string, Inner>")
      assert.include(out, "note: string?")
      for (const field of [
        "big: int64",
        "at: timestamp",
        "day: date",
        "matrix: list<list<int>>",
        "names: set<string>"
      ]) {
        assert.include(out, field)
      }
      for (const field of ["int8: int8", "float32: float32", "maybe: int32?", "anything: any"])
        assert.include(out, field)
      const { out: json } = yield* aster("contract inspect .aster/manifest.json --json")
      assert.strictEqual(JSON.parse(json).contract_id, KitchenSink.contract.contractId)
    })
  )

  it.effect.each([
    ["{}}", "is no contract manifest"],
    ['{"nope":1}', "no such key"],
    ['{"contract_id":"../../x"}', "contract_id"]
  ] as const)("refuses %s", ([text, words]) =>
    Effect.gen(function* () {
      const { aster, write } = yield* sandbox()
      yield* write("m.json", text)
      const { code, err } = yield* aster("contract inspect m.json")
      assert.strictEqual(code, 1)
      assert.include(err, words)
    })
  )

  it.effect("names in a manifest cannot reach the terminal raw", () =>
    Effect.gen(function* () {
      const { aster, write } = yield* sandbox()
      yield* write("m.json", '{"service":"\\u001b[2J\\u202e"}')
      const { out } = yield* aster("contract inspect m.json")
      assert.include(out, "\\u001b[2J\\u202e")
      // oxlint-disable-next-line no-control-regex -- what must not be there
      assert.notMatch(out, /[\u001b\u202e]/)
    })
  )
})
