import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * A file could not be read or written. `code` is the system's word for it (`ENOENT`, `EACCES`, ...), or `ETOOBIG`,
 * `ENOTFILE`, `ENOTTEXT` for what is refused here.
 *
 * @since 0.1.0
 */
export class FileError extends Schema.TaggedError<FileError>()("FileError", {
  operation: Schema.Literals(["read", "write"]),
  path: Schema.String,
  code: Schema.String
}) {
  override get message(): string {
    return `cannot ${this.operation} ${this.path}: ${explanations[this.code] ?? this.code}`
  }
}

const explanations: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied; check the owner and mode",
  EISDIR: "it is a directory",
  ETOOBIG: "too large for its purpose",
  ENOTFILE: "not a regular file",
  ENOTTEXT: "not UTF-8 text"
}

const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : String(cause)

/** Runs what may fail with a system error, or with an object that has a `code`. @since 0.1.0 */
export const attempt = <A>(
  operation: FileError["operation"],
  path: string,
  run: () => Promise<A>
): Effect.Effect<A, FileError> =>
  Effect.tryPromise({ try: run, catch: (cause) => new FileError({ operation, path, code: codeOf(cause) }) })
