/**
 * Text files that hold secrets or decide about trust, read within a bound.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { Stats } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { attempt, type FileError } from "./FileError.ts"
import { expandHome } from "./HomeDirectory.ts"

/** 1 MiB: far above any key, credential or identity file, far below what could hurt. */
const defaultMaxBytes = 1_048_576

/** Who else has a hand on a file. @since 0.1.0 */
export interface Hands {
  /** Its mode lets its group or everybody read it. */
  readonly readableByOthers: boolean
  /** Its mode lets its group or everybody write it, or the mode of its directory lets them replace it. */
  readonly writableByOthers: boolean
  /** It belongs to a user who is neither this process's nor root. */
  readonly ownedByOther: boolean
}

/** What was read, and who else has a hand on the file. @since 0.1.0 */
export interface Content extends Hands {
  readonly text: string
}

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

/** The bits of other users; those of the group too, unless it is the owner's own by the custom of one per user. */
const isWritable = ({ gid, mode, uid }: Stats): boolean =>
  (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== uid && gid !== process.getgid?.())

/** Where others may write into a directory they may replace what is in it, unless it is sticky. */
const isReplaceable = async (file: string): Promise<boolean> => {
  try {
    const stat = await fs.stat(path.dirname(await fs.realpath(file)))
    return isWritable(stat) && (stat.mode & 0o1000) === 0
  } catch {
    return false
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
      writableByOthers: isWritable(stat) || (await isReplaceable(file)),
      ownedByOther: stat.uid !== 0 && stat.uid !== process.getuid?.()
    }
  } finally {
    await handle.close()
  }
}

/** Reads a regular UTF-8 file of at most `maxBytes` (default 1 MiB); `~` is expanded. @since 0.1.0 */
export const read = (file: string, maxBytes: number = defaultMaxBytes): Effect.Effect<Content, FileError> =>
  attempt("read", file, () => readBounded(expandHome(file), maxBytes))
