/** Bytes or text that break the rules of their format. `message` names the rule and where it broke. */
export class Malformed extends Error {
  override readonly name = "Malformed"
}
