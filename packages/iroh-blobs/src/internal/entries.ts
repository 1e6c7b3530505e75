import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Bitfield from "../Bitfield.ts"
import { BlobStoreError } from "../BlobError.ts"
import * as BlobHash from "../BlobHash.ts"
import type { BlobFiles, BlobPart, OpenBlob } from "./blobFiles.ts"
import type { BlobRecord, Changes, Metadata } from "./metadata.ts"

/** Runs what touches the disk; what it throws becomes the typed error of the operation. */
export const attempt = <A>(operation: string, run: () => A | Promise<A>): Effect.Effect<A, BlobStoreError> =>
  Effect.tryPromise({ try: async () => run(), catch: (cause) => new BlobStoreError({ operation, cause }) })

/** The synchronous form of {@link attempt}. */
export const attemptSync = <A>(operation: string, run: () => A): Effect.Effect<A, BlobStoreError> =>
  Effect.try({ try: run, catch: (cause) => new BlobStoreError({ operation, cause }) })

/** A blob that somebody uses or watches. All of them share it, so that they see one state. */
export interface Entry {
  readonly hash: BlobHash.BlobHash
  /** What can be read now. Of a blob that is being received it may be ahead of the metadata. */
  bitfield: Bitfield.Bitfield
  /** The content of a complete small blob. */
  data: Uint8Array | undefined
  /** Readers, writers and protections. While there are any, the blob is not collected. */
  uses: number
  readonly watchers: Set<Queue.Queue<Bitfield.Bitfield>>
  files: { readonly use: "read" | "write"; readonly open: Promise<OpenBlob> } | undefined
  /** Bytes written to `files` since they were last synced; a change of the size alone counts as one. */
  unsynced: number
  /** Changes when what had been written was lost. */
  losses: number
  /** Whether the files are noted as being without a record. */
  unsettled: boolean
  /** Held while files or metadata of the blob change. */
  readonly lock: Semaphore.Semaphore
}

/** The blobs in use. */
export class Entries {
  readonly metadata: Metadata
  readonly files: BlobFiles
  readonly #lost: Set<BlobHash.BlobHash>
  readonly #entries = new Map<BlobHash.BlobHash, Entry>()

  /** `lost`: blobs of which there is a record, but no file. */
  constructor(metadata: Metadata, files: BlobFiles, lost: Iterable<BlobHash.BlobHash> = []) {
    this.metadata = metadata
    this.files = files
    this.#lost = new Set(lost)
  }

  /** Uses a blob until the scope ends. */
  hold(hash: BlobHash.BlobHash): Effect.Effect<Entry, BlobStoreError, Scope.Scope> {
    const holding = attemptSync("look up a blob", () => this.holdUnsafe(hash))
    return Effect.acquireRelease(
      Effect.suspend(() =>
        this.#lost.has(hash)
          ? Effect.andThen(
              attempt("look up a blob", () => this.#regain(hash)),
              holding
            )
          : holding
      ),
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
    return this.#entries.get(hash)?.bitfield ?? this.#record(hash)?.bitfield ?? Bitfield.empty
  }

  /** Whether somebody uses the blob. */
  inUse(hash: BlobHash.BlobHash): boolean {
    return (this.#entries.get(hash)?.uses ?? 0) > 0
  }

  /**
   * Makes a record of the blob durable, together with other changes; from then on it is what everybody sees. Nobody is
   * told before.
   */
  record(entry: Entry, record: BlobRecord, more: (changes: Changes) => void = () => {}): Promise<void> {
    return this.metadata
      .commit(
        (changes) => {
          changes.putBlob(entry.hash, record)
          more(changes)
        },
        () => {
          this.#lost.delete(entry.hash)
          entry.data = record.data
          entry.unsynced = 0
          this.publish(entry, record.bitfield)
        }
      )
      .then(() => this.#settle(entry))
  }

  /** Has files noted as being without a record, before they are. */
  async unsettle(entry: Entry): Promise<void> {
    if (entry.unsettled) return
    await this.files.unsettled(entry.hash)
    entry.unsettled = true
  }

  async #settle(entry: Entry): Promise<void> {
    if (!entry.unsettled) return
    entry.unsettled = false
    // Left behind it is found to be wrong with the next opening.
    await this.files.settled(entry.hash).catch(() => {})
  }

  /** Removes files of which there never was a record. To be called with the entry's lock held. */
  async abandon(entry: Entry): Promise<void> {
    if (!entry.unsettled || this.metadata.has(entry.hash)) return
    await this.closeFiles(entry)
    await this.files.remove(entry.hash)
    await this.#settle(entry)
  }

  /** Takes note that the blob's file is gone. It may come back, so the record stays. */
  lose(entry: Entry): void {
    this.#lost.add(entry.hash)
    this.publish(entry, Bitfield.empty)
  }

  /** Looks whether a file that was gone is back. */
  async #regain(hash: BlobHash.BlobHash): Promise<void> {
    if (!this.#lost.has(hash) || (await this.files.sizeOf(hash)) === undefined) return
    this.#lost.delete(hash)
    const entry = this.#entries.get(hash)
    if (entry !== undefined) this.publish(entry, this.#record(hash)?.bitfield ?? Bitfield.empty)
  }

  /** Sets the state and tells those who watch it. */
  publish(entry: Entry, bitfield: Bitfield.Bitfield): void {
    if (Bitfield.equal(entry.bitfield, bitfield)) return
    entry.bitfield = bitfield
    for (const watcher of entry.watchers) Queue.offerUnsafe(watcher, bitfield)
  }

  /** Goes back to what is durable, after what was written could not be made so. */
  revert(entry: Entry): void {
    entry.losses++
    entry.unsynced = 0
    const record = this.#record(entry.hash)
    entry.data = record?.data
    this.publish(entry, record?.bitfield ?? Bitfield.empty)
  }

  /** Exactly `length` bytes as they are stored, whether right or wrong. Rejects with `Missing` where there are none. */
  async stored(entry: Entry, part: BlobPart, offset: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
    if (entry.data !== undefined) return entry.data.subarray(offset, offset + length)
    const files = this.#filesFor(entry, "read")
    try {
      return await (await files.open).read(part, offset, length, room)
    } catch (error) {
      // Closed by somebody who replaced them in between.
      if (entry.files === files || !isClosed(error)) throw error
      return this.stored(entry, part, offset, length, room)
    }
  }

  /** The blob's files for writing, opened at first need and shared. */
  async openFiles(entry: Entry): Promise<OpenBlob> {
    if (!this.metadata.has(entry.hash)) await this.unsettle(entry)
    if (entry.files?.use === "read") await this.closeFiles(entry)
    return this.#filesFor(entry, "write").open
  }

  #filesFor(entry: Entry, use: "read" | "write"): NonNullable<Entry["files"]> {
    if (entry.files === undefined) {
      const files = { use, open: this.files.open(entry.hash, use) }
      entry.files = files
      files.open.catch(() => {
        if (entry.files === files) entry.files = undefined
      })
    }
    return entry.files
  }

  /** Closes the blob's files if they are open, once their running reads are done. */
  async closeFiles(entry: Entry): Promise<void> {
    const files = entry.files
    entry.files = undefined
    if (files !== undefined) await (await files.open).close()
  }

  #record(hash: BlobHash.BlobHash): BlobRecord | undefined {
    if (hash === BlobHash.emptyBlob) return emptyRecord
    return this.#lost.has(hash) ? undefined : this.metadata.blob(hash)
  }

  #load(hash: BlobHash.BlobHash): Entry {
    let entry = this.#entries.get(hash)
    if (entry === undefined) {
      const record = this.#record(hash)
      entry = {
        hash,
        bitfield: record?.bitfield ?? Bitfield.empty,
        data: record?.data,
        uses: 0,
        watchers: new Set(),
        files: undefined,
        unsynced: 0,
        losses: 0,
        unsettled: false,
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

const isClosed = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "EBADF"

const emptyRecord = { bitfield: Bitfield.complete(0), data: new Uint8Array(0) }
