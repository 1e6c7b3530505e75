import { CodecError } from "@aster-effect/core/message/CodecError"
import { assert } from "@effect/vitest"

/** The codec error that `f` throws. */
export const codecError = (f: () => unknown): CodecError => {
  try {
    f()
  } catch (error) {
    assert.instanceOf(error, CodecError)
    return error
  }
  throw new Error("expected a CodecError")
}
