import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * A file could not be read or written. `code` is the system's word for it (`ENOENT`, `EACCES`, ...), or `ETOOBIG`,
 * `ENOTFILE`, `ENOTTEXT` for what is refused here.
 *
 * @since 0.1.0
 */
export class FileError extends Schema.TaggedError<FileError>()("FileError", {
  operation: Schema.Literals(["read", "write", "lock"]),
  path: Schema.String,
  code: Schema.String
}) {
  override get message(): string {
    return `cannot ${this.operation} ${this.path}: ${explanations[this.code] ?? this.code}`
  }

  /** What a thrown value says. */
  static readonly of = (operation: FileError["operation"], path: string, cause: unknown): FileError =>
    new FileError({ operation, path, code: codeOf(cause) })
}

const explanations: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied; check the owner and mode",
  EISDIR: "it is a directory",
  ETOOBIG: "too large for its purpose",
  ENOTFILE: "not a regular file",
  ENOTTEXT: "not UTF-8 text",
  EEXIST: "it is there already",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  ELOCKED: "another process is changing files there; let it end, and try again"
}

/** A code that says nothing by itself gives way to the words that came with it. */
const codeOf = (cause: unknown): string =>
  typeof cause === "object" &&
  cause !== null &&
  "code" in cause &&
  typeof cause.code === "string" &&
  cause.code !== "ERR_SQLITE_ERROR"
    ? cause.code
    : cause instanceof Error
      ? cause.message
      : String(cause)

/** Runs what may fail with a system error, or with an object that has a `code`. @since 0.1.0 */
export const attempt = <A>(
  operation: FileError["operation"],
  path: string,
  run: () => Promise<A>
): Effect.Effect<A, FileError> =>
  Effect.tryPromise({ try: run, catch: (cause) => FileError.of(operation, path, cause) })
