/**
 * Files that hold secrets or decide about trust, written so that nobody else can read them and that a crash leaves either
 * the old content or the new one.
 *
 * @since 0.1.0
 */
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import { attempt, type FileError } from "./FileError.ts"
import { withLock } from "./FileLock.ts"
import { realTarget } from "./internal/realTarget.ts"

const syncDirectory = async (directory: string): Promise<void> => {
  const handle = await fs.open(directory, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A file that root replaces for its owner stays the owner's. */
const keepOwner = async (handle: fs.FileHandle, target: string): Promise<void> => {
  const { gid, uid } = await fs.stat(target)
  if (uid !== process.getuid?.()) await handle.chown(uid, gid)
}

/** Whoever may write into a directory can replace what others keep there. That is no leave to do so. */
const refuseOthers = async (target: string): Promise<void> => {
  const found = await fs.stat(target).catch(() => undefined)
  if (found !== undefined && found.uid !== process.geteuid?.()) await fs.access(target, fs.constants.W_OK)
}

/** Writes the text beside the target, has it on disk, and puts it there by `place`. */
const writeBeside = async (
  target: string,
  text: string,
  mode: number,
  place: (temporary: string) => Promise<void>
): Promise<void> => {
  const directory = path.dirname(target)
  const temporary = path.join(directory, `.${path.basename(target)}.${randomUUID()}.tmp`)
  try {
    const handle = await fs.open(temporary, "wx", 0o600)
    try {
      await keepOwner(handle, target).catch(() => undefined)
      await handle.writeFile(text, "utf8")
      if (mode !== 0o600) await handle.chmod(mode)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await place(temporary)
  } finally {
    await fs.rm(temporary, { force: true })
  }
  await syncDirectory(directory)
}

const writing = (
  file: string,
  text: string,
  mode: number,
  place: (temporary: string, target: string) => Promise<void>
): Effect.Effect<void, FileError> =>
  withLock(
    [file],
    Effect.uninterruptible(
      attempt("write", file, async () => {
        const target = await realTarget(file)
        await refuseOthers(target)
        await writeBeside(target, text, mode, (temporary) => place(temporary, target))
      })
    )
  )

/** @since 0.1.0 */
export interface WriteOptions {
  /** Permission bits of the file; default 0600. */
  readonly mode?: number | undefined
}

/**
 * Replaces `file` as a whole, under the lock of its directory: a new temporary file beside it, mode 0600 from the first
 * moment, synced, renamed over the target, directory synced. A symbolic link is followed, not replaced. Missing
 * directories are made with mode 0700; `~` is expanded.
 *
 * @since 0.1.0
 */
export const write = (file: string, text: string, options: WriteOptions = {}): Effect.Effect<void, FileError> =>
  writing(file, text, options.mode ?? 0o600, (temporary, target) => fs.rename(temporary, target))

/** Like `write`, but fails with `EEXIST` and changes nothing when there is something by that name. @since 0.1.0 */
export const create = (file: string, text: string, options: WriteOptions = {}): Effect.Effect<void, FileError> =>
  writing(file, text, options.mode ?? 0o600, (temporary, target) => fs.link(temporary, target))
