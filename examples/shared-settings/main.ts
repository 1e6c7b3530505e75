/** Settings that two nodes share: what one changes, the other sees at once. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { documents } from "./node.ts"

const Audio = Schema.Struct({ volume: Schema.Int, muted: Schema.Boolean })

const program = Effect.gen(function* () {
  const [desk, phone] = [yield* documents, yield* documents]

  const atDesk = yield* desk.create
  yield* atDesk.schema(Audio).set("audio", { volume: 7, muted: false })

  const [atPhone, events] = yield* phone.joinAndSubscribe(yield* atDesk.share("write"))
  const audio = atPhone.schema(Audio)
  // A content arrives after its entry.
  const changes = events.pipe(
    Stream.filter((event) => event._tag === "ContentReady"),
    Stream.mapEffect(() => audio.get("audio"))
  )
  yield* changes.pipe(
    Stream.take(2),
    Stream.runForEach((settings) =>
      Effect.gen(function* () {
        console.log("phone sees", Option.getOrThrow(settings))
        yield* atDesk.schema(Audio).set("audio", { volume: 3, muted: true })
      })
    )
  )
})

await Effect.runPromise(Effect.scoped(program))
