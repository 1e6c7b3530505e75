/**
 * Text of a peer or a file, for terminals and logs: what could move the cursor, begin a line or pose as something else -
 * controls, line ends, characters without a shape, marks that turn the direction of writing - becomes a visible escape. The
 * joiners that scripts and emoji need stay.
 *
 * @since 0.1.0
 */

const hidden = /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]--[\u200c\u200d]]/gv

const escape = (character: string): string => {
  const digits = character.codePointAt(0)!.toString(16)
  return digits.length > 4 ? `\\u{${digits}}` : `\\u${digits.padStart(4, "0")}`
}

/** On one line, whatever it was. @since 0.1.0 */
export const line = (text: string): string => text.replaceAll(hidden, escape)

/** Line feeds and tabs stay. @since 0.1.0 */
export const lines = (text: string): string => text.replaceAll(/[^\n\t]+/g, line)
