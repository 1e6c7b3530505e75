import * as Schema from "effect/Schema"

/**
 * Where a value stood: a file (with line and column when known, its table and key), an environment variable, or an
 * inline option.
 *
 * @since 0.1.0
 */
export const Origin = Schema.Struct({
  file: Schema.optionalKey(Schema.String),
  line: Schema.optionalKey(Schema.Int),
  column: Schema.optionalKey(Schema.Int),
  /** The TOML header as written, for example `[trust]` or `[[peers]]`. */
  table: Schema.optionalKey(Schema.String),
  key: Schema.optionalKey(Schema.String),
  variable: Schema.optionalKey(Schema.String),
  /** The name of an option given in code. */
  option: Schema.optionalKey(Schema.String)
})

/** @since 0.1.0 */
export type Origin = typeof Origin.Type

/** "aster.toml:3: [trust] root_pubkey", "ASTER_ROOT_PUBKEY", "option rootPubkey". @since 0.1.0 */
export const describeOrigin = (origin: Origin): string => {
  if (origin.variable !== undefined) return origin.variable
  if (origin.option !== undefined) return `option ${origin.option}`
  const place = [origin.file, origin.line, origin.column].filter((part) => part !== undefined).join(":")
  const name = [origin.table, origin.key].filter((part) => part !== undefined).join(" ")
  return name === "" ? place : `${place}: ${name}`
}

/**
 * The configuration cannot be used as it stands. `reason` is what a program can act on, `origin` is the place to edit,
 * and the message names both and what is expected there. Values that may be secret are never quoted.
 *
 * | reason | meaning |
 * |---|---|
 * | `Unreadable` | a named file is missing, not readable, too large or not text |
 * | `InvalidToml` | the file is not TOML |
 * | `UnknownKey` | an unknown key in `[trust]` (elsewhere that is a warning) |
 * | `InvalidValue` | wrong type, bad hex or base64, wrong length, not one of the allowed words |
 * | `Conflict` | two sources name different root keys |
 * | `UnknownPeer` | the identity file has no entry with that name |
 * | `WrongRole` | the named entry has the other role |
 * | `EndpointMismatch` | an endpoint id is not the one of the node's secret key |
 * | `ExpiredCredential` | the selected credential is past its `expires_at` |
 * | `MissingRootKey` | admission is required, and there is no root key to verify credentials with |
 *
 * @since 0.1.0
 */
export class AsterConfigError extends Schema.TaggedError<AsterConfigError>()("AsterConfigError", {
  reason: Schema.Literals([
    "Unreadable",
    "InvalidToml",
    "UnknownKey",
    "InvalidValue",
    "Conflict",
    "UnknownPeer",
    "WrongRole",
    "EndpointMismatch",
    "ExpiredCredential",
    "MissingRootKey"
  ]),
  origin: Origin,
  /** What is wrong and what is expected instead. */
  detail: Schema.String
}) {
  override get message(): string {
    return `${describeOrigin(this.origin)}: ${this.detail}`
  }
}
