import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** Where a reader is. */
interface Cursor {
  next: number
}

/**
 * The last items of a sequence, for readers who each go at their own pace. Who falls behind by more than is kept misses
 * the oldest, and is told how many; the writer and the other readers never wait.
 */
export class Backlog<A> {
  readonly #capacity: number
  readonly #items: Array<A> = []
  readonly #cursors = new Set<Cursor>()
  /** The number of the first item that is kept. */
  #first = 0
  #read = false
  #ended = false
  /** There while a reader waits. */
  #news: Deferred.Deferred<void> | undefined
  #missed = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Items that readers have missed, all together. */
  get missed(): number {
    return this.#missed
  }

  get size(): number {
    return this.#items.length
  }

  push(item: A): void {
    if (this.#ended) return
    this.#items.push(item)
    // Dropping many at a time keeps this cheap.
    if (this.#items.length > this.#capacity + (this.#capacity >> 2)) this.#drop(this.#items.length - this.#capacity)
    this.#wake()
  }

  /** Readers get what is kept, and then their streams end. */
  end(): void {
    this.#ended = true
    this.#wake()
  }

  /**
   * A reader. The first one gets everything that has been kept since the beginning, a later one what comes from now on.
   * `behind` makes of an item one that also says how many were missed before it.
   */
  stream(behind: (item: A, missed: number) => A): Stream.Stream<A> {
    return Stream.unwrap(
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => this.#enter()),
          (cursor) => Effect.sync(() => this.#leave(cursor))
        ),
        (cursor) => Stream.fromPull(Effect.succeed(this.#pull(cursor, behind)))
      )
    )
  }

  #enter(): Cursor {
    const cursor = { next: this.#read ? this.#first + this.#items.length : this.#first }
    this.#read = true
    this.#cursors.add(cursor)
    return cursor
  }

  #leave(cursor: Cursor): void {
    this.#cursors.delete(cursor)
    this.#trim()
  }

  #pull(cursor: Cursor, behind: (item: A, missed: number) => A) {
    const next: Effect.Effect<Arr.NonEmptyReadonlyArray<A>, Cause.Done> = Effect.suspend(() => {
      const missed = Math.max(0, this.#first - cursor.next)
      const from = cursor.next + missed
      const items = this.#items.slice(from - this.#first)
      if (!Arr.isArrayNonEmpty(items)) {
        if (this.#ended) return Cause.done()
        this.#news ??= Deferred.makeUnsafe()
        return Effect.andThen(Deferred.await(this.#news), next)
      }
      cursor.next = from + items.length
      if (missed > 0) {
        this.#missed += missed
        items[0] = behind(items[0], missed)
      }
      this.#trim()
      return Effect.succeed(items)
    })
    return next
  }

  /** Drops what every reader has read. */
  #trim(): void {
    if (this.#cursors.size === 0) return
    let least = Infinity
    for (const { next } of this.#cursors) least = Math.min(least, next)
    if (least > this.#first) this.#drop(Math.min(least - this.#first, this.#items.length))
  }

  #drop(count: number): void {
    this.#items.splice(0, count)
    this.#first += count
  }

  #wake(): void {
    const news = this.#news
    if (news === undefined) return
    this.#news = undefined
    Deferred.doneUnsafe(news, Effect.void)
  }
}
