/**
 * Text from a file or a peer for a terminal: control characters, which could move the cursor or pose as something else,
 * and characters that turn the direction of writing become visible escapes. Line feeds and tabs stay.
 */
export const printable = (text: string): string =>
  text.replaceAll(
    // oxlint-disable-next-line no-control-regex -- exactly the characters to escape
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
