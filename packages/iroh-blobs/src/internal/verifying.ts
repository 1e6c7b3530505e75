/** Reading against the hash, and what follows when something does not match it. */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Bitfield from "../Bitfield.ts"
import { BlobDamaged, type BlobStoreError } from "../BlobError.ts"
import * as BlobHash from "../BlobHash.ts"
import * as ChunkRanges from "../ChunkRanges.ts"
import { BaoChecker, type Verified } from "../proto/BaoChecker.ts"
import type { BaoNeed } from "../proto/BaoEncoder.ts"
import { outboardSize } from "../proto/BaoTree.ts"
import { CHUNK_SIZE, GROUP_SIZE } from "../proto/Blake3.ts"
import { OutboardBuilder } from "../proto/OutboardBuilder.ts"
import { type BlobPart, Missing } from "./blobFiles.ts"
import { attempt, type Entries, type Entry } from "./entries.ts"
import { ReadAhead } from "./readAhead.ts"

/** Bytes that are hashed before others have their turn. */
const TURN = 1_048_576

/** Reads a part of a blob, into the room given if there is any; undefined where the bytes are not there. */
type ReadPart = (part: BlobPart, offset: number, length: number, room?: Uint8Array) => Promise<Uint8Array | undefined>

/** Reads what is stored as it is; missing bytes are no failure of the disk. */
export const partsOf =
  (entries: Entries, entry: Entry): ReadPart =>
  async (part, offset, length, room) => {
    try {
      return await entries.stored(entry, part, offset, length, room)
    } catch (error) {
      if (error instanceof Missing) return undefined
      throw error
    }
  }

/** Reads what a check needs. */
export class CheckedReader {
  readonly checker: BaoChecker
  readonly #read: ReadPart
  readonly #sources = { data: new ReadAhead(262_144), outboard: new ReadAhead(16_384) }
  #turn = 0

  constructor(checker: BaoChecker, read: ReadPart) {
    this.checker = checker
    this.#read = read
  }

  /** The next verified data, undefined when there is no more. Its bytes are good until the next call. */
  async next(): Promise<Verified | undefined> {
    for (let need = this.checker.need; need !== undefined; need = this.checker.need) {
      const verified = this.checker.supply(this.#sources[need.from].ready(need) ?? (await this.#fill(need)))
      this.#turn += need.length
      if (this.#turn >= TURN) {
        this.#turn = 0
        await new Promise((resolve) => setImmediate(resolve))
      }
      if (verified !== undefined) return verified
    }
    return undefined
  }

  async #fill(need: BaoNeed): Promise<Uint8Array | undefined> {
    const source = this.#sources[need.from]
    const length = source.lengthFor(need)
    // Always the same room: what is read is only looked at, and much of it.
    const bytes = await this.#read(need.from, need.offset, length, source.room(length))
    if (bytes !== undefined) return source.fill(need, bytes)
    // Less may be there.
    return length > need.length ? this.#read(need.from, need.offset, need.length) : undefined
  }
}

/** Reads stored bytes of a blob in order, each of them verified. */
export class VerifiedReader {
  readonly #entries: Entries
  readonly #entry: Entry
  readonly #reader: CheckedReader
  readonly #end: number
  #at: number
  /** Verified bytes that were not asked for yet. */
  #left: Uint8Array = new Uint8Array(0)

  /** Of the bytes from `start` to `end`, which are there. */
  constructor(entries: Entries, entry: Entry, start: number, end: number) {
    this.#entries = entries
    this.#entry = entry
    this.#at = start
    this.#end = end
    const checker = new BaoChecker(
      BlobHash.toBytes(entry.hash),
      entry.bitfield.size,
      ChunkRanges.fromBytes(start, Math.max(end, start))
    )
    this.#reader = new CheckedReader(checker, partsOf(entries, entry))
  }

  /** The next bytes, as many as `limit` if there are so many; undefined at the end. */
  next(limit: number): Effect.Effect<Uint8Array | undefined, BlobDamaged | BlobStoreError> {
    return Effect.flatMap(
      attempt("read a blob", () => this.#gather(limit)),
      (bytes) => {
        const damaged = this.#reader.checker.damaged
        if (damaged.length === 0) return Effect.succeed(bytes)
        const { hash } = this.#entry
        return Effect.andThen(
          markDamaged(this.#entries, this.#entry, damaged),
          new BlobDamaged({ hash, offset: damaged[0]! * CHUNK_SIZE })
        )
      }
    )
  }

  async #gather(limit: number): Promise<Uint8Array | undefined> {
    const length = Math.min(limit, this.#end - this.#at)
    if (length <= 0) return undefined
    const out = new Uint8Array(length)
    for (let filled = 0; filled < length;) {
      if (this.#left.length === 0) {
        const verified = await this.#reader.next()
        if (verified === undefined || this.#reader.checker.damaged.length > 0) return undefined
        this.#left = verified.data.subarray(Math.max(0, this.#at - verified.offset))
      }
      const part = this.#left.subarray(0, length - filled)
      out.set(part, filled)
      filled += part.length
      this.#at += part.length
      this.#left = this.#left.subarray(part.length)
    }
    return out
  }

  /** All that is left, in one piece. */
  readonly rest: Effect.Effect<Uint8Array, BlobDamaged | BlobStoreError> = Effect.suspend(() => {
    const out = new Uint8Array(Math.max(0, this.#end - this.#at))
    let at = 0
    const step: Effect.Effect<Uint8Array, BlobDamaged | BlobStoreError> = Effect.flatMap(
      Effect.suspend(() => this.next(TURN)),
      (bytes) => {
        if (bytes === undefined) return Effect.succeed(out)
        out.set(bytes, at)
        at += bytes.length
        return step
      }
    )
    return step
  })
}

/**
 * Counts damaged chunks as missing from now on, in the record too: so they are fetched again, and nobody is served or told
 * that they are there. The bytes stay where they are.
 */
export const markDamaged = (entries: Entries, entry: Entry, damaged: ChunkRanges.ChunkRanges): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { ranges, size, verified } = entry.bitfield
    const left = ChunkRanges.difference(ranges, upToEnd(damaged, size))
    if (ChunkRanges.equal(left, ranges)) return
    if (entry.data === undefined && (yield* isGone(entries, entry))) {
      yield* Effect.logWarning(`Blob ${entry.hash} has no file any more and counts as missing`)
      return entries.lose(entry)
    }
    const proven = verified && ChunkRanges.has(left, Bitfield.chunksOf(size) - 1)
    // Of a blob without anything verified the size may be as wrong as the rest.
    const bitfield = left.length === 0 ? Bitfield.empty : Bitfield.make(size, proven, left)
    yield* Effect.logWarning(
      `Blob ${entry.hash} is damaged in the store from byte ${damaged[0]! * CHUNK_SIZE} on; what is damaged counts as ` +
        `missing: add or download it again`
    )
    yield* Effect.tryPromise(() => entries.record(entry, { bitfield, data: undefined })).pipe(
      Effect.catch(() =>
        // Where nothing can be written it is known at least here.
        Effect.sync(() => {
          entry.data = undefined
          entries.publish(entry, bitfield)
        })
      )
    )
  }).pipe((effect) => Semaphore.withPermit(entry.lock, effect), Effect.uninterruptible)

/** Whether there is no file at all. */
const isGone = (entries: Entries, { hash }: Entry): Effect.Effect<boolean> =>
  Effect.promise(() =>
    entries.files.sizeOf(hash).then(
      (size) => size === undefined,
      () => false
    )
  )

/** Damage at a blob's end, open like the ranges of a blob whose end is there. */
const upToEnd = (damaged: ChunkRanges.ChunkRanges, size: number): ChunkRanges.ChunkRanges =>
  damaged[damaged.length - 1] === Bitfield.chunksOf(size) ? damaged.slice(0, -1) : damaged

/**
 * Reads all that lies there of a blob. An outboard that does not match data that does is made anew; other damage counts as
 * missing from then on, and what counted as missing and is there after all is there again. Answers what is there.
 */
export const verify = Effect.fnUntraced(function* (
  entries: Entries,
  entry: Entry
): Effect.fn.Return<Bitfield.Bitfield, BlobStoreError> {
  if (entry.hash === BlobHash.emptyBlob) return entry.bitfield
  const { ranges, verified } = entry.bitfield
  const size = ranges.length > 0 || verified ? entry.bitfield.size : yield* recordedSize(entries, entry)
  if (size === 0) return entry.bitfield
  const root = BlobHash.toBytes(entry.hash)
  const read = partsOf(entries, entry)
  const reader = new CheckedReader(new BaoChecker(root, size, ChunkRanges.all), read)
  yield* attempt("read a blob", async () => {
    while ((await reader.next()) !== undefined);
  })
  const damaged = reader.checker.damaged
  const chunks = Bitfield.chunksOf(size)
  const held = ChunkRanges.difference([0, chunks], damaged)
  const lost = ChunkRanges.intersection(ChunkRanges.select(ranges, chunks), damaged)
  if (lost.length > 0) {
    const mayRebuild = entry.data === undefined && outboardSize(size) > 0 && Bitfield.isComplete(entry.bitfield)
    const outboard = mayRebuild ? yield* attempt("read a blob", () => rebuilt(root, size, read)) : undefined
    if (outboard === undefined) yield* markDamaged(entries, entry, lost)
    else yield* replaceOutboard(entries, entry, outboard)
  } else if (ChunkRanges.difference(held, ranges).length > 0) {
    yield* Effect.ignore(recordFound(entries, entry, size, held), { log: "Debug" })
  }
  return entry.bitfield
})

/** The length of the data of a blob of which nothing is said to be there; 0 when nothing is known of it. */
const recordedSize = (entries: Entries, { hash }: Entry): Effect.Effect<number, BlobStoreError> =>
  attempt("look up a blob", async () => (entries.metadata.has(hash) ? ((await entries.files.sizeOf(hash)) ?? 0) : 0))

/** Records what was found to be there although it counted as missing. */
const recordFound = (
  entries: Entries,
  entry: Entry,
  size: number,
  held: ChunkRanges.ChunkRanges
): Effect.Effect<void, BlobStoreError> =>
  attempt("record a blob", async () => {
    const open = await entries.openFiles(entry)
    await open.sync()
    const proven = ChunkRanges.has(held, Bitfield.chunksOf(size) - 1)
    const bitfield = Bitfield.extend(entry.bitfield, size, proven, held)
    const data = Bitfield.isComplete(bitfield) && size <= GROUP_SIZE ? await open.read("data", 0, size) : undefined
    await entries.record(entry, { bitfield, data })
  }).pipe((effect) => Semaphore.withPermit(entry.lock, effect), Effect.uninterruptible)

/** The outboard of data that is as its hash says; undefined when it is not. */
export const rebuilt = async (root: Uint8Array, size: number, read: ReadPart): Promise<Uint8Array | undefined> => {
  const builder = new OutboardBuilder()
  for (let at = 0; at < size; at += TURN) {
    const bytes = await read("data", at, Math.min(TURN, size - at))
    if (bytes === undefined) return undefined
    builder.update(bytes)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { hash, outboard } = builder.finish()
  return Buffer.compare(hash, root) === 0 ? outboard : undefined
}

const replaceOutboard = (entries: Entries, entry: Entry, outboard: Uint8Array): Effect.Effect<void, BlobStoreError> =>
  attempt("repair a blob", async () => {
    const files = await entries.openFiles(entry)
    await files.write("outboard", 0, [outboard])
    await files.sync()
  }).pipe((effect) => Semaphore.withPermit(entry.lock, effect), Effect.uninterruptible)
