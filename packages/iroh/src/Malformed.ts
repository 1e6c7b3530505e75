/**
 * What decoders of this and the protocol packages throw on bad input.
 *
 * @since 0.1.0
 */

/** Bytes or text that break the rules of their format. `message` names the rule and where it broke. */
export class Malformed extends Error {
  override readonly name = "Malformed"
}
