import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"

/** What is read at most; a thousand hints have about 300 KiB. */
const maxSize = 16 * 2 ** 20
/** A lock that is older belongs to a process that is no more: nobody writes for that long. */
const staleAfter = 30_000

const hasCode = (cause: unknown, code: string): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && cause.code === code

/** The content, or undefined when there is no file. */
export const read = async (file: string): Promise<string | undefined> => {
  try {
    const { size } = await fs.stat(file)
    if (size > maxSize) throw new Error(`it has ${size} bytes`)
    return await fs.readFile(file, "utf8")
  } catch (cause) {
    if (hasCode(cause, "ENOENT")) return undefined
    throw cause
  }
}

/** Replaces the file as a whole: a crash leaves the old content or the new. */
export const write = async (file: string, text: string): Promise<void> => {
  const temporary = `${file}.${randomUUID()}`
  try {
    const handle = await fs.open(temporary, "wx", 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await fs.rename(temporary, file)
  } finally {
    await fs.rm(temporary, { force: true })
  }
}

/** Does something while no other process does. */
export const locked = async (file: string, body: () => Promise<void>): Promise<void> => {
  const lock = `${file}.lock`
  await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
  const handle = await fs.open(lock, "wx", 0o600).catch(async (cause: unknown) => {
    if (!hasCode(cause, "EEXIST")) throw cause
    const { mtimeMs } = await fs.stat(lock)
    if (Date.now() - mtimeMs < staleAfter) throw new Error(`${lock} is held by another process`)
    await fs.rm(lock)
    return fs.open(lock, "wx", 0o600)
  })
  try {
    await body()
  } finally {
    await handle.close()
    await fs.rm(lock, { force: true })
  }
}
