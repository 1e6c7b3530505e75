/**
 * Files that hold secrets or decide about trust: read within a bound, written so that nobody else can read them and
 * that a crash leaves either the old content or the new one.
 *
 * @since 0.1.0
 */
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import { homedir } from "node:os"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** 1 MiB: far above any key, credential or identity file, far below what could hurt. */
const defaultMaxBytes = 1_048_576

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

const attempt = <A>(
  operation: FileError["operation"],
  path: string,
  run: () => Promise<A>
): Effect.Effect<A, FileError> =>
  Effect.tryPromise({ try: run, catch: (cause) => new FileError({ operation, path, code: codeOf(cause) }) })

/** What was read, and who else has a hand on the file. @since 0.1.0 */
export interface Content {
  readonly text: string
  /** Its mode lets its group or everybody read it. */
  readonly readableByOthers: boolean
  /** It belongs to a user who is neither this process's nor root. */
  readonly ownedByOther: boolean
}

/** A leading `~` or `~/` becomes the home directory. @since 0.1.0 */
export const expandHome = (file: string): string =>
  file === "~" || file.startsWith("~/") ? path.join(homedir(), file.slice(1)) : file

class Refused extends Error {
  readonly code: string
  constructor(code: string) {
    super(code)
    this.code = code
  }
}

const readAtMost = async (handle: fs.FileHandle, maxBytes: number): Promise<Uint8Array> => {
  const { size } = await handle.stat()
  // One byte more than expected shows that the file is still growing.
  const buffer = new Uint8Array(Math.min(size, maxBytes) + 1)
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length)
    if (bytesRead === 0) return buffer.subarray(0, length)
    length += bytesRead
  }
  throw new Refused("ETOOBIG")
}

const decode = (bytes: Uint8Array): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    throw new Refused("ENOTTEXT")
  }
}

const readBounded = async (file: string, maxBytes: number): Promise<Content> => {
  // Without O_NONBLOCK, opening a pipe would wait for a writer.
  const handle = await fs.open(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) throw new Refused("ENOTFILE")
    return {
      text: decode(await readAtMost(handle, maxBytes)),
      readableByOthers: (stat.mode & 0o044) !== 0,
      ownedByOther: stat.uid !== 0 && stat.uid !== process.getuid?.()
    }
  } finally {
    await handle.close()
  }
}

/** Reads a regular UTF-8 file of at most `maxBytes` (default 1 MiB); `~` is expanded. @since 0.1.0 */
export const read = (file: string, maxBytes: number = defaultMaxBytes): Effect.Effect<Content, FileError> =>
  attempt("read", file, () => readBounded(expandHome(file), maxBytes))

const syncDirectory = async (directory: string): Promise<void> => {
  const handle = await fs.open(directory, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const writeAtomically = async (file: string, text: string): Promise<void> => {
  const directory = path.dirname(file)
  await fs.mkdir(directory, { recursive: true, mode: 0o700 })
  const temporary = path.join(directory, `.${path.basename(file)}.${randomUUID()}.tmp`)
  try {
    const handle = await fs.open(temporary, "wx", 0o600)
    try {
      await handle.writeFile(text, "utf8")
      await handle.sync()
    } finally {
      await handle.close()
    }
    await fs.rename(temporary, file)
  } catch (cause) {
    await fs.rm(temporary, { force: true })
    throw cause
  }
  await syncDirectory(directory)
}

/**
 * Replaces `file` as a whole: a new temporary file beside it, mode 0600 from the first moment, synced, renamed over the
 * target, directory synced. Missing directories are made with mode 0700; `~` is expanded.
 *
 * @since 0.1.0
 */
export const write = (file: string, text: string): Effect.Effect<void, FileError> =>
  Effect.uninterruptible(attempt("write", file, () => writeAtomically(expandHome(file), text)))
