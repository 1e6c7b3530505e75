/** `JSON.rawJSON` is newer than the library's type declarations. */
const rawJson: (text: string) => unknown = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON

const textOf = (value: unknown, indent: number | undefined): string =>
  (
    JSON.stringify(
      value,
      (_, inner: unknown) => (typeof inner === "bigint" ? rawJson(String(inner)) : inner),
      indent
    ) ?? "null"
  )
    // Outside of strings JSON has none of these.
    .replaceAll(
      /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
    )

/**
 * A value as JSON with two spaces per level; bigints are integers. Control characters that JSON lets through are escaped,
 * since the text is for a terminal.
 */
export const jsonText = (value: unknown): string => textOf(value, 2)

/** The same on one line. */
export const jsonLine = (value: unknown): string => textOf(value, undefined)
