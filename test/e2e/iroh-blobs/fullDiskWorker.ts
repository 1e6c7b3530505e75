/**
 * A process on a small disk: `PATH held|watched|free|partial LEAVE` adds a blob while LEAVE bytes are left, and again when
 * there is room, and exits with 1 when the store says anything that a restart would not find. `PATH crash 0` adds a blob
 * and kills itself.
 */
import * as Bitfield from "@aster-effect/iroh-blobs/Bitfield"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import { join } from "node:path"
import { blobOf, receive, respond } from "../../iroh-blobs/Vectors.ts"

const [path, how, leaveText] = process.argv.slice(2) as [string, string, string]
const content = blobOf(40_000, 7)
const hash = BlobHash.of(content)

const check = (condition: boolean, problem: string) => {
  if (condition) return
  process.stdout.write(`wrong: ${problem}\n`)
  process.exit(1)
}

const add = BlobStore.use((store) =>
  Effect.flatMap(store.create, (writer) => Effect.andThen(writer.write(content), writer.finish({ tag: "t" })))
).pipe(Effect.scoped)

/** The same blob as it comes from a peer. */
const take = BlobStore.use((store) =>
  Effect.flatMap(store.receive(hash), (partial) =>
    partial.append(content.length, receive(respond(content, [0]).hash, [0], respond(content, [0]).bytes).items)
  ).pipe(Effect.scoped, Effect.andThen(store.tags.set("t", { hash, format: "raw" })))
)

const state = BlobStore.use((store) =>
  Effect.gen(function* () {
    const has = Bitfield.isComplete(yield* store.bitfield(hash))
    const tag = Option.isSome(yield* store.tags.get("t"))
    return { has, tag }
  })
)

const inStore = <A, E>(body: Effect.Effect<A, E, BlobStore>, name = "store") =>
  Effect.provide(body, BlobStore.layerDirectory(join(path, name)))

const attempt = how === "partial" ? take : add

const session = Effect.gen(function* () {
  const store = yield* BlobStore
  if (how === "held") yield* store.protect({ hash, format: "raw" })
  const seen: Array<boolean> = []
  if (how === "watched") {
    yield* store.observe(hash).pipe(
      Stream.runForEach((bitfield) => Effect.sync(() => seen.push(Bitfield.isComplete(bitfield)))),
      Effect.forkScoped({ startImmediately: true })
    )
  }
  const { bavail, bsize } = fs.statfsSync(path)
  fs.writeFileSync(join(path, "fill"), Buffer.alloc(Math.max(0, bavail * bsize - Number(leaveText))))
  const first = yield* Effect.exit(attempt)
  yield* Effect.sleep(20)
  const after = yield* state
  if (Exit.isSuccess(first)) check(after.has && after.tag, "success, and not there")
  else {
    check(!after.tag, "a failure, and its tag is there")
    // The tag of what was received is a second step; what is added is there with its tag or not at all.
    if (how !== "partial") check(!after.has && !seen.includes(true), "a failure, and it is there")
  }
  fs.rmSync(join(path, "fill"))
  if (how === "partial") yield* attempt
  else {
    yield* attempt
    const again = yield* state
    check(again.has && again.tag, "room again, and not there")
  }
}).pipe(Effect.scoped)

if (how === "crash") {
  await Effect.runPromise(
    inStore(
      Effect.andThen(
        add,
        Effect.sync(() => process.kill(process.pid, "SIGKILL"))
      ),
      "crashed"
    )
  )
}
await Effect.runPromise(inStore(session))
const reopened = await Effect.runPromise(inStore(state))
check(reopened.has && reopened.tag, `after a restart: ${JSON.stringify(reopened)}`)
process.exit(0)
