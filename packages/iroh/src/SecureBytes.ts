/**
 * Randomness that keys, salts and nonces are made of.
 *
 * @since 0.1.0
 */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** Unpredictable bytes, from the `SecureRandom` service when there is one and from Web Crypto otherwise. @since 0.1.0 */
export const secureBytes = (length: number): Effect.Effect<Uint8Array> =>
  Effect.flatMap(
    Effect.serviceOption(SecureRandom.SecureRandom),
    Option.match({
      onNone: () => Effect.sync(() => SecureRandom.randomBytesUnsafe(length)),
      onSome: (random) => random.randomBytes(length)
    })
  )
