import { mkdir, open, readdir, rename, rm, type FileHandle } from "node:fs/promises"
import { constants } from "node:fs"
import { join } from "node:path"
import type { BlobHash } from "../BlobHash.ts"
import type { BlobFiles, BlobPart } from "./blobFiles.ts"

const extension: Readonly<Record<BlobPart, string>> = { data: ".data", outboard: ".obao4" }

/** Directories are synced through a handle; some systems refuse, and have no need for it. */
const syncDirectory = async (path: string): Promise<void> => {
  if (process.platform === "win32") return
  const handle = await open(path)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const writeAll = async (handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> => {
  for (let at = 0; at < bytes.length;) {
    at += (await handle.write(bytes, at, bytes.length - at, position + at)).bytesWritten
  }
}

/** Writes pieces that follow one another without putting them together, as many at once as every system takes. */
const writePieces = async (handle: FileHandle, pieces: ReadonlyArray<Uint8Array>, position: number): Promise<void> => {
  let at = position
  for (let i = 0; i < pieces.length; i += 256) {
    const some = pieces.slice(i, i + 256)
    const length = some.reduce((sum, piece) => sum + piece.length, 0)
    const { bytesWritten } = await handle.writev(some, at)
    // Short writes are rare, and say that the next one fails.
    if (bytesWritten < length) await writeAll(handle, Buffer.concat(some).subarray(bytesWritten), at + bytesWritten)
    at += length
  }
}

const readAll = async (handle: FileHandle, position: number, length: number): Promise<Uint8Array> => {
  const out = new Uint8Array(length)
  for (let at = 0; at < length;) {
    const { bytesRead } = await handle.read(out, at, length - at, position + at)
    if (bytesRead === 0) throw new Error(`the file ends at ${position + at}, ${length - at} bytes too early`)
    at += bytesRead
  }
  return out
}

/** Names that the store gives; whatever else lies in its folders is not its own. */
const ownName = { data: /^[0-9a-f]{64}\.(?:data|obao4)$/, temp: /^\d+(?:\.obao4)?$/ }

/** The database of a store. A folder with other things in it and without one is not taken for a store. */
export const databasePath = async (root: string): Promise<string> => {
  await mkdir(root, { recursive: true, mode: 0o700 })
  const names = await readdir(root)
  if (names.length > 0 && !names.includes(DATABASE)) {
    throw new Error(`it holds other things (${names[0]}): name an empty or a new folder`)
  }
  return join(root, DATABASE)
}

const DATABASE = "blobs.db"

/**
 * Blobs as files under `root`: `data/<hash>.data`, `data/<hash>.obao4` and, while a blob is being imported, `temp/<n>`.
 * What an earlier process left in `temp`, and files of blobs that `isKnown` denies, are removed.
 */
export const directoryFiles = async (root: string, isKnown: (hash: string) => boolean): Promise<BlobFiles> => {
  const data = join(root, "data")
  const temp = join(root, "temp")
  await mkdir(temp, { recursive: true })
  await mkdir(data, { recursive: true })
  for (const name of await readdir(temp)) if (ownName.temp.test(name)) await rm(join(temp, name), { force: true })
  for (const name of await readdir(data)) {
    if (ownName.data.test(name) && !isKnown(name.slice(0, 64))) await rm(join(data, name), { force: true })
  }
  const pathOf = (hash: BlobHash, part: BlobPart) => join(data, hash + extension[part])
  let created = 0

  return {
    create: async () => {
      const path = join(temp, `${created++}`)
      const handle = await open(path, "wx")
      let length = 0
      let closed = false
      return {
        append: async (bytes) => {
          await writeAll(handle, bytes, length)
          length += bytes.length
        },
        install: async (hash, outboard) => {
          await handle.sync()
          closed = true
          await handle.close()
          const outboardPath = path + extension.outboard
          const outboardHandle = await open(outboardPath, "wx")
          try {
            await writeAll(outboardHandle, outboard, 0)
            await outboardHandle.sync()
          } finally {
            await outboardHandle.close()
          }
          await rename(outboardPath, pathOf(hash, "outboard"))
          await rename(path, pathOf(hash, "data"))
          await syncDirectory(data)
        },
        discard: async () => {
          if (!closed) await handle.close()
          closed = true
          await rm(path, { force: true })
          await rm(path + extension.outboard, { force: true })
        }
      }
    },
    open: async (hash) => {
      const flags = constants.O_RDWR | constants.O_CREAT
      const handles = {
        data: await open(pathOf(hash, "data"), flags),
        outboard: await open(pathOf(hash, "outboard"), flags)
      }
      return {
        read: (part, offset, length) => readAll(handles[part], offset, length),
        write: (part, offset, pieces) => writePieces(handles[part], pieces, offset),
        sync: async () => {
          await Promise.all([handles.data.datasync(), handles.outboard.datasync()])
          await syncDirectory(data)
        },
        close: async () => {
          await Promise.all([handles.data.close(), handles.outboard.close()])
        }
      }
    },
    remove: async (hash) => {
      await rm(pathOf(hash, "data"), { force: true })
      await rm(pathOf(hash, "outboard"), { force: true })
    }
  }
}
