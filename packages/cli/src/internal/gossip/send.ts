import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { misused, refused } from "../../CliFailure.ts"
import { join, type Membership } from "./member.ts"

export interface Send extends Membership {
  /** What to broadcast; nothing means standard input, line by line. */
  readonly texts: ReadonlyArray<string>
  readonly timeoutSeconds: number
}

/** Joins, broadcasts, and leaves; what was sent is on its way by then. */
export const send = Effect.fnUntraced(function* (options: Send) {
  if (options.peers.length === 0) return yield* misused("there is nobody to send to: name a member with --peer ADDRESS")
  const { topic } = yield* join(options)
  yield* Effect.timeoutOrElse(topic.joined, {
    duration: options.timeoutSeconds * 1000,
    orElse: () =>
      Effect.fail(
        refused(
          "no member answered: is one of them listening to this topic at the addresses given with --peer? Those that admit enrolled consumers only want to see a credential, --rcan PATH"
        )
      )
  })
  const { stdin } = yield* Stdio.Stdio
  const lines =
    options.texts.length > 0
      ? Stream.fromIterable(options.texts)
      : stdin.pipe(
          Stream.decodeText,
          Stream.splitLines,
          Stream.filter((line) => line !== "")
        )
  yield* lines.pipe(Stream.runForEach((line) => topic.broadcast(new TextEncoder().encode(line))))
}, Effect.scoped)
