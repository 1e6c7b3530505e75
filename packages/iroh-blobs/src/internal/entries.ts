import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Semaphore from "effect/Semaphore"
import type * as Scope from "effect/Scope"
import { BlobStoreError } from "../BlobError.ts"
import * as Bitfield from "../Bitfield.ts"
import * as BlobHash from "../BlobHash.ts"
import type { BlobFiles, BlobPart, OpenBlob } from "./blobFiles.ts"
import type { Metadata } from "./metadata.ts"

/** Runs what touches the disk; what it throws becomes the typed error of the operation. */
export const attempt = <A>(operation: string, run: () => A | Promise<A>): Effect.Effect<A, BlobStoreError> =>
  Effect.tryPromise({ try: async () => run(), catch: (cause) => new BlobStoreError({ operation, cause }) })

/** The synchronous form of {@link attempt}. */
export const attemptSync = <A>(operation: string, run: () => A): Effect.Effect<A, BlobStoreError> =>
  Effect.try({ try: run, catch: (cause) => new BlobStoreError({ operation, cause }) })

/** A blob that somebody uses or watches. All of them share it, so that they see one state. */
export interface Entry {
  readonly hash: BlobHash.BlobHash
  /** What can be read now; may be ahead of the metadata. */
  bitfield: Bitfield.Bitfield
  /** The content of a complete small blob. */
  data: Uint8Array | undefined
  /** Readers, writers and protections. While there are any, the blob is not collected. */
  uses: number
  readonly watchers: Set<Queue.Queue<Bitfield.Bitfield>>
  files: Promise<OpenBlob> | undefined
  /** Bytes written to `files` since they were last synced; a change of the size alone counts as one. */
  unsynced: number
  /** Held while files or metadata of the blob change. */
  readonly lock: Semaphore.Semaphore
}

/** The blobs in use. */
export class Entries {
  readonly metadata: Metadata
  readonly files: BlobFiles
  readonly #entries = new Map<BlobHash.BlobHash, Entry>()

  constructor(metadata: Metadata, files: BlobFiles) {
    this.metadata = metadata
    this.files = files
  }

  /** Uses a blob until the scope ends. */
  hold(hash: BlobHash.BlobHash): Effect.Effect<Entry, BlobStoreError, Scope.Scope> {
    return Effect.acquireRelease(
      attemptSync("look up a blob", () => this.holdUnsafe(hash)),
      (entry) => this.release(entry)
    )
  }

  /** The synchronous half of {@link hold}, to be paired with {@link release}. Throws when the metadata cannot be read. */
  holdUnsafe(hash: BlobHash.BlobHash): Entry {
    const entry = this.#load(hash)
    entry.uses++
    return entry
  }

  release(entry: Entry): Effect.Effect<void> {
    return Effect.suspend(() => {
      entry.uses--
      return this.#drop(entry)
    })
  }

  /** The state of a blob now and after each change, the latest if several came at once; does not keep the blob. */
  watch(hash: BlobHash.BlobHash): Effect.Effect<Queue.Dequeue<Bitfield.Bitfield>, BlobStoreError, Scope.Scope> {
    return Effect.flatMap(Queue.sliding<Bitfield.Bitfield>(1), (queue) =>
      Effect.acquireRelease(
        attemptSync("look up a blob", () => {
          const entry = this.#load(hash)
          entry.watchers.add(queue)
          Queue.offerUnsafe(queue, entry.bitfield)
          return entry
        }),
        (entry) => {
          entry.watchers.delete(queue)
          return this.#drop(entry)
        }
      ).pipe(Effect.as(queue))
    )
  }

  /** The blob's present state. Throws when the metadata cannot be read. */
  bitfield(hash: BlobHash.BlobHash): Bitfield.Bitfield {
    if (hash === BlobHash.emptyBlob) return Bitfield.complete(0)
    return this.#entries.get(hash)?.bitfield ?? this.metadata.blob(hash)?.bitfield ?? Bitfield.empty
  }

  /** Whether somebody uses the blob. */
  inUse(hash: BlobHash.BlobHash): boolean {
    return (this.#entries.get(hash)?.uses ?? 0) > 0
  }

  /** Sets the state and tells those who watch it. */
  publish(entry: Entry, bitfield: Bitfield.Bitfield): void {
    entry.bitfield = bitfield
    for (const watcher of entry.watchers) Queue.offerUnsafe(watcher, bitfield)
  }

  read(entry: Entry, part: BlobPart, offset: number, length: number): Effect.Effect<Uint8Array, BlobStoreError> {
    if (entry.data !== undefined) return Effect.succeed(entry.data.subarray(offset, offset + length))
    return attempt("read a blob", async () => (await this.openFiles(entry)).read(part, offset, length))
  }

  /** The blob's files, opened at first need and shared. */
  openFiles(entry: Entry): Promise<OpenBlob> {
    if (entry.files === undefined) {
      entry.files = this.files.open(entry.hash)
      entry.files.catch(() => (entry.files = undefined))
    }
    return entry.files
  }

  /** Closes the blob's files if they are open, once their running reads are done. */
  async closeFiles(entry: Entry): Promise<void> {
    const files = entry.files
    entry.files = undefined
    if (files !== undefined) await (await files).close()
  }

  #load(hash: BlobHash.BlobHash): Entry {
    let entry = this.#entries.get(hash)
    if (entry === undefined) {
      const record = hash === BlobHash.emptyBlob ? emptyRecord : this.metadata.blob(hash)
      entry = {
        hash,
        bitfield: record?.bitfield ?? Bitfield.empty,
        data: record?.data,
        uses: 0,
        watchers: new Set(),
        files: undefined,
        unsynced: 0,
        lock: Semaphore.makeUnsafe(1)
      }
      this.#entries.set(hash, entry)
    }
    return entry
  }

  #drop(entry: Entry): Effect.Effect<void> {
    if (entry.uses > 0) return Effect.void
    if (entry.watchers.size === 0) this.#entries.delete(entry.hash)
    if (entry.files === undefined) return Effect.void
    return attempt("close a blob", () => this.closeFiles(entry)).pipe(Effect.ignore({ log: true }))
  }
}

const emptyRecord = { bitfield: Bitfield.complete(0), data: new Uint8Array(0) }
