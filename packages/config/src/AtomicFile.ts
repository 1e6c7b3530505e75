/**
 * Files that hold secrets or decide about trust, written so that nobody else can read them and that a crash leaves either
 * the old content or the new one.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { attempt, type FileError } from "./FileError.ts"
import { expandHome } from "./HomeDirectory.ts"

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
