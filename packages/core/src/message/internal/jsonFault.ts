import { CodecError } from "../CodecError.ts"

/** Why a value has no JSON form, or JSON is not a value. Containers add where, from the inside out. */
export class JsonFault extends Error {
  readonly reason: CodecError["reason"]
  readonly #segments: Array<string> = []
  readonly #glue: string

  /** @param glue what stands between the place and the text */
  constructor(reason: CodecError["reason"], text: string, glue = ": ") {
    super(text)
    this.reason = reason
    this.#glue = glue
  }

  within(segment: string): void {
    this.#segments.push(segment)
  }

  toCodecError(root: string): CodecError {
    const path = `${root}${this.#segments.toReversed().join("")}`.replace(/^\./, "")
    return new CodecError({
      reason: this.reason,
      detail: path === "" ? this.message.trimStart() : `${path}${this.#glue}${this.message}`
    })
  }
}

export const malformed = (text: string): JsonFault => new JsonFault("Malformed", text)

/** The error, with one more segment of its path when it is about a value. */
export const within = (error: unknown, segment: string): unknown => {
  if (error instanceof JsonFault) error.within(segment)
  return error
}

/** Keys may be long and many. */
export const memberSegment = (key: string): string => `.${key.length > 80 ? `${key.slice(0, 80)}...` : key}`
