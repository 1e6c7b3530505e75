/** `JSON.rawJSON` is newer than the library's type declarations. */
const rawJson: (text: string) => unknown = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON

/**
 * A value as JSON with two spaces per level; bigints are integers. Control characters that JSON lets through are escaped,
 * since the text is for a terminal.
 */
export const jsonText = (value: unknown): string =>
  (
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? rawJson(String(inner)) : inner), 2) ??
    "null"
  )
    // Outside of strings JSON has none of these.
    .replaceAll(
      /[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
    )
