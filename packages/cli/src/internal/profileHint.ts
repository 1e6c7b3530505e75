import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as ProfileStore from "../ProfileStore.ts"
import { printable } from "./printable.ts"

/** With several profiles, which one is active; on standard error. Unreadable settings are for others to report. */
export const profileHint: Effect.Effect<void> = ProfileStore.load.pipe(
  Effect.flatMap(({ active, profiles }) =>
    profiles.size > 1 ? Console.error(`[profile: ${printable(active)}]`) : Effect.void
  ),
  Effect.ignore
)
