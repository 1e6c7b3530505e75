import type { BlobHash } from "../BlobHash.ts"
import { type BlobFiles, type BlobPart, Missing } from "./blobFiles.ts"

const PAGE_SIZE = 65_536

/** Bytes at sparse offsets: a page takes memory only once something was written to it. */
class Pages {
  readonly #pages = new Map<number, Uint8Array>()

  write(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const index = Math.floor((offset + at) / PAGE_SIZE)
      const start = offset + at - index * PAGE_SIZE
      const part = bytes.subarray(at, at + PAGE_SIZE - start)
      let page = this.#pages.get(index)
      if (page === undefined) this.#pages.set(index, (page = new Uint8Array(PAGE_SIZE)))
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
}

type Parts = Readonly<Record<BlobPart, Pages>>

/** Blobs in this process's memory. */
export const memoryFiles = (): BlobFiles => {
  const blobs = new Map<BlobHash, Parts>()
  const empty = (): Parts => ({ data: new Pages(), outboard: new Pages() })
  return {
    create: async () => {
      const parts = empty()
      let length = 0
      return {
        append: async (bytes) => {
          parts.data.write(length, bytes)
          length += bytes.length
        },
        install: async (hash, outboard) => {
          parts.outboard.write(0, outboard)
          blobs.set(hash, parts)
        },
        discard: async () => {}
      }
    },
    open: async (hash) => {
      const parts = blobs.get(hash) ?? empty()
      return {
        read: async (part, offset, length, room) => parts[part].read(offset, length, room),
        write: async (part, offset, pieces) => {
          blobs.set(hash, parts)
          let at = offset
          for (const bytes of pieces) {
            parts[part].write(at, bytes)
            at += bytes.length
          }
        },
        sync: async () => {},
        close: async () => {}
      }
    },
    remove: async (hash) => {
      blobs.delete(hash)
    },
    // What is in memory is where it was put.
    sizeOf: async () => undefined,
    unsettled: async () => {},
    settled: async () => {}
  }
}
