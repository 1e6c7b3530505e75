/**
 * What can be wrong with types, values and bytes.
 *
 * @since 0.1.0
 */
/**
 * What went wrong, for code that reacts to it:
 * - `InvalidDefinition`: a type descriptor or registry cannot work (duplicate names, nested optional, ...)
 * - `InvalidValue`: a value handed to the encoder is not of the declared type
 * - `OutOfRange`: a number, date or ordinal outside what the type can hold, on either side
 * - `Truncated`: the message ends early; `Trailing`: bytes remain after the value
 * - `Malformed`: a flag, header, reference or count no writer produces
 * - `InvalidText`: broken UTF-8 or UTF-16, or an unpaired surrogate
 * - `UnknownType`: a type id or name this codec or registry does not know
 * - `TypeMismatch`: a known type where another one is declared
 * - `SchemaMismatch`: the peer's struct of that name has other fields (schema hash differs)
 * - `UnexpectedNull`: a null where the type is not optional
 * - `LimitExceeded`: a collection, byte string or message above the configured limits
 * - `TooDeep`: nesting above the limit; when encoding, usually a cyclic value
 */
export type ForyErrorCode =
  | "InvalidDefinition"
  | "InvalidValue"
  | "OutOfRange"
  | "Truncated"
  | "Trailing"
  | "Malformed"
  | "InvalidText"
  | "UnknownType"
  | "TypeMismatch"
  | "SchemaMismatch"
  | "UnexpectedNull"
  | "LimitExceeded"
  | "TooDeep"

/** The only error this package throws, for definitions, encoding and decoding alike. */
export class ForyError extends Error {
  readonly _tag = "ForyError"
  override readonly name = "ForyError"
  readonly code: ForyErrorCode
  /** Decoding: byte offset in the given array at which the problem was seen. Otherwise undefined. */
  readonly offset: number | undefined
  /** Encoding: where in the value the problem is, for example `Task.comments[3].at`. Otherwise undefined. */
  readonly path: string | undefined

  constructor(
    code: ForyErrorCode,
    message: string,
    where: { readonly offset?: number | undefined; readonly path?: string | undefined } = {}
  ) {
    const place =
      where.path !== undefined ? ` at ${where.path}` : where.offset !== undefined ? ` at byte ${where.offset}` : ""
    super(message + place)
    this.code = code
    this.offset = where.offset
    this.path = where.path
  }
}
