import type { BlobHash } from "../BlobHash.ts"
import { type BlobFiles, type BlobPart, Missing } from "./blobFiles.ts"
import { givePage, PAGE_SIZE, takePage } from "./pages.ts"

/** Bytes at sparse offsets: a page takes memory only once something was written to it. */
class Pages {
  readonly #pages = new Map<number, Uint8Array>()

  write(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const index = Math.floor((offset + at) / PAGE_SIZE)
      const start = offset + at - index * PAGE_SIZE
      const part = bytes.subarray(at, at + PAGE_SIZE - start)
      let page = this.#pages.get(index)
      if (page === undefined) this.#pages.set(index, (page = takePage(part.length === PAGE_SIZE)))
      page.set(part, start)
      at += part.length
    }
  }

  read(offset: number, length: number, out: Uint8Array = new Uint8Array(length)): Uint8Array {
    for (let at = 0; at < length;) {
      const index = Math.floor((offset + at) / PAGE_SIZE)
      const start = offset + at - index * PAGE_SIZE
      const count = Math.min(length - at, PAGE_SIZE - start)
      const page = this.#pages.get(index)
      if (page === undefined) throw new Missing(`nothing is stored at ${offset + at}`)
      out.set(page.subarray(start, start + count), at)
      at += count
    }
    return out
  }

  clear(): void {
    for (const page of this.#pages.values()) givePage(page)
    this.#pages.clear()
  }
}

/** The parts of a blob. Their pages are given back when it is neither kept nor open. */
class Parts implements Readonly<Record<BlobPart, Pages>> {
  readonly data = new Pages()
  readonly outboard = new Pages()
  #uses = 1

  use(): this {
    this.#uses++
    return this
  }

  leave(): void {
    if (--this.#uses > 0) return
    this.data.clear()
    this.outboard.clear()
  }
}

/** What a file that was closed says. */
const closedError = () => Object.assign(new Error("the blob was closed"), { code: "EBADF" })

/** Blobs in this process's memory, until they are removed or closed with the store. */
export interface MemoryFiles extends BlobFiles {
  /** Gives back all memory. Nothing is there any more. */
  readonly close: () => void
}

/** Blobs in this process's memory. */
export const memoryFiles = (): MemoryFiles => {
  const blobs = new Map<BlobHash, Parts>()
  const forget = (hash: BlobHash) => {
    blobs.get(hash)?.leave()
    blobs.delete(hash)
  }
  const keep = (hash: BlobHash, parts: Parts) => {
    if (blobs.get(hash) === parts) return
    forget(hash)
    blobs.set(hash, parts.use())
  }
  /** A use of parts, which ends once. */
  const lease = (parts: Parts) => {
    let left = false
    return {
      isOver: () => left,
      end: () => {
        if (!left) parts.leave()
        left = true
      }
    }
  }
  return {
    create: async () => {
      const parts = new Parts()
      const { end } = lease(parts)
      let length = 0
      return {
        append: async (bytes) => {
          parts.data.write(length, bytes)
          length += bytes.length
        },
        install: async (hash, outboard) => {
          parts.outboard.write(0, outboard)
          keep(hash, parts)
          end()
        },
        discard: async () => end()
      }
    },
    open: async (hash) => {
      const parts = blobs.get(hash)?.use() ?? new Parts()
      const { end, isOver } = lease(parts)
      return {
        read: async (part, offset, length, room) => {
          if (isOver()) throw closedError()
          return parts[part].read(offset, length, room)
        },
        write: async (part, offset, pieces) => {
          if (isOver()) throw closedError()
          keep(hash, parts)
          let at = offset
          for (const bytes of pieces) {
            parts[part].write(at, bytes)
            at += bytes.length
          }
        },
        sync: async () => {},
        close: async () => end()
      }
    },
    remove: async (hash) => forget(hash),
    // What is in memory is where it was put.
    sizeOf: async () => undefined,
    unsettled: async () => {},
    settled: async () => {},
    close: () => {
      for (const hash of blobs.keys()) forget(hash)
    }
  }
}
