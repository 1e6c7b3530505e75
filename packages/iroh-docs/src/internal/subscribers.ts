/** Who listens to a document: each at its own pace, and told what it missed. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { DocEvent } from "../DocEvent.ts"

interface Subscriber {
  readonly queue: Queue.Queue<DocEvent, Cause.Done>
  missed: number
}

/** The subscribers of one document. */
export class Subscribers {
  readonly #all = new Set<Subscriber>()

  get size(): number {
    return this.#all.size
  }

  /** Tells everybody. Never waits. */
  publish(event: DocEvent): void {
    for (const subscriber of this.#all) {
      if (subscriber.missed > 0) {
        if (!Queue.offerUnsafe(subscriber.queue, { _tag: "Lagged", missed: subscriber.missed })) {
          subscriber.missed++
          continue
        }
        subscriber.missed = 0
      }
      if (!Queue.offerUnsafe(subscriber.queue, event)) subscriber.missed++
    }
  }

  /** Events from now on. */
  listen(capacity: number): Effect.Effect<Stream.Stream<DocEvent>, never, Scope.Scope> {
    return Effect.map(
      Effect.acquireRelease(
        Effect.map(Queue.dropping<DocEvent, Cause.Done>(capacity), (queue) => {
          const subscriber: Subscriber = { queue, missed: 0 }
          this.#all.add(subscriber)
          return subscriber
        }),
        (subscriber) => {
          this.#all.delete(subscriber)
          return Queue.shutdown(subscriber.queue)
        }
      ),
      ({ queue }) => Stream.fromQueue(queue)
    )
  }

  /** Ends the streams of everybody, after what was published. */
  end(): void {
    for (const { queue } of this.#all) Queue.endUnsafe(queue)
    this.#all.clear()
  }
}
