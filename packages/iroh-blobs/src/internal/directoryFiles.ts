import { constants } from "node:fs"
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import type { BlobHash } from "../BlobHash.ts"
import { type BlobFiles, type BlobPart, Missing, type OpenBlob } from "./blobFiles.ts"
import { syncDirectory } from "./syncDirectory.ts"

const extension: Readonly<Record<BlobPart, string>> = { data: ".data", outboard: ".obao4" }

/** Names that the store gives; whatever else lies in its folders is not its own. */
const ownName = {
  data: /^([0-9a-f]{64})\.(?:data|obao4)$/,
  temp: /^\d+(?:\.obao4)?$/,
  note: /^([0-9a-f]{64})\.unsettled$/
}

/** What an operating system says when there is no such file. */
export const isAbsent = (error: unknown): boolean =>
  typeof error === "object" &&
  error !== null &&
  "code" in error &&
  (error.code === "ENOENT" || error.code === "ENOTDIR")

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

const readAll = async (
  handle: FileHandle,
  position: number,
  length: number,
  out: Uint8Array = new Uint8Array(length)
): Promise<Uint8Array> => {
  for (let at = 0; at < length;) {
    const { bytesRead } = await handle.read(out, at, length - at, position + at)
    if (bytesRead === 0) throw new Missing(`the file ends at ${position + at}, ${length - at} bytes too early`)
    at += bytesRead
  }
  return out
}

/** Opens both files, or none. A file that is not there is undefined when it is only to be read. */
const openParts = async (paths: Readonly<Record<BlobPart, string>>, flags: number) => {
  const openOne = (part: BlobPart): Promise<FileHandle | undefined> =>
    open(paths[part], flags).catch((error: unknown) => {
      if (isAbsent(error)) return undefined
      throw error
    })
  const data = await openOne("data")
  try {
    return { data, outboard: await openOne("outboard") }
  } catch (error) {
    await data?.close()
    throw error
  }
}

const existing = (handle: FileHandle | undefined): FileHandle => {
  if (handle === undefined) throw new Missing("the file is not there")
  return handle
}

/** The files of a store. */
export interface DirectoryFiles extends BlobFiles {
  /** Hashes of which there is a data file. */
  readonly present: () => Promise<Set<BlobHash>>
  /**
   * Tidies up after an earlier process: imports that were never finished, and files whose note says that nobody misses
   * them, as far as `isKnown` knows no record of them. Nothing else is touched.
   */
  readonly tidy: (isKnown: (hash: string) => boolean) => Promise<void>
}

/**
 * Blobs as files under `root`: `data/<hash>.data`, `data/<hash>.obao4` and, while a blob is being imported, `temp/<n>`.
 * With `readOnly` nothing is created.
 */
export const directoryFiles = async (root: string, readOnly: boolean): Promise<DirectoryFiles> => {
  const data = join(root, "data")
  const temp = join(root, "temp")
  if (!readOnly) {
    await mkdir(temp, { recursive: true })
    await mkdir(data, { recursive: true })
  }
  const pathOf = (hash: BlobHash, part: BlobPart) => join(data, hash + extension[part])
  const noteOf = (hash: string) => join(temp, `${hash}.unsettled`)
  const names = (directory: string): Promise<ReadonlyArray<string>> =>
    readdir(directory).catch((error: unknown) => {
      if (isAbsent(error)) return []
      throw error
    })
  const remove = async (hash: BlobHash) => {
    await rm(pathOf(hash, "data"), { force: true })
    await rm(pathOf(hash, "outboard"), { force: true })
  }
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
    open: async (hash, use): Promise<OpenBlob> => {
      const flags = use === "read" ? constants.O_RDONLY : constants.O_RDWR | constants.O_CREAT
      const handles = await openParts({ data: pathOf(hash, "data"), outboard: pathOf(hash, "outboard") }, flags)
      return {
        read: async (part, offset, length, room) => readAll(existing(handles[part]), offset, length, room),
        write: async (part, offset, pieces) => writePieces(existing(handles[part]), pieces, offset),
        sync: async () => {
          await Promise.all([handles.data?.datasync(), handles.outboard?.datasync()])
          await syncDirectory(data)
        },
        close: async () => {
          await Promise.all([handles.data?.close(), handles.outboard?.close()])
        }
      }
    },
    remove,
    unsettled: async (hash) => (await open(noteOf(hash), "w")).close(),
    settled: (hash) => rm(noteOf(hash), { force: true }),
    present: async () => {
      const found = (await names(data)).filter((name) => ownName.data.test(name) && name.endsWith(extension.data))
      return new Set(found.map((name) => name.slice(0, 64) as BlobHash))
    },
    tidy: async (isKnown) => {
      for (const name of await names(temp)) {
        if (ownName.temp.test(name)) await rm(join(temp, name), { force: true })
        const hash = ownName.note.exec(name)?.[1]
        if (hash === undefined) continue
        if (!isKnown(hash)) await remove(hash as BlobHash)
        await rm(noteOf(hash), { force: true })
      }
    },
    sizeOf: async (hash) => {
      try {
        return (await stat(pathOf(hash, "data"))).size
      } catch (error) {
        if (isAbsent(error)) return undefined
        throw error
      }
    }
  }
}

/** Whether a folder's entries are those of a store that lost its database: blobs, and nothing that is not a store's. */
export const isBereft = async (root: string, entries: ReadonlyArray<string>): Promise<boolean> => {
  const own = new Set(["data", "temp", "blobs.db-wal", "blobs.db-shm", "blobs.db-journal"])
  if (!entries.includes("data") || !entries.every((name) => own.has(name))) return false
  return (await readdir(join(root, "data"))).some((name) => ownName.data.test(name))
}
