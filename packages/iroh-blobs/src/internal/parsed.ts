import { Malformed } from "@aster-effect/iroh/Malformed"
import * as Effect from "effect/Effect"
import { MalformedBlob } from "../BlobError.ts"

/** Runs a parser; what it cannot read becomes the typed error. */
export const parsed = <A>(parse: () => A): Effect.Effect<A, MalformedBlob> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(parse())
    } catch (error) {
      return error instanceof Malformed ? new MalformedBlob({ problem: error.message }) : Effect.die(error)
    }
  })
