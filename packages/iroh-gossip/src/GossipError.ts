/**
 * What can go wrong with a topic.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/** The content does not fit in a message. No peer would take it, so it was sent to none. */
export class MessageTooLarge extends Data.TaggedError("MessageTooLarge")<{
  /** Bytes of the content, and how many may be. */
  readonly size: number
  readonly limit: number
}> {
  override get message(): string {
    return `A broadcast of ${this.size} bytes is too large: send at most ${this.limit}, for example the ticket of a blob`
  }
}

/** The topic was left, or the node's gossip has ended. */
export class TopicClosed extends Data.TaggedError("TopicClosed")<{}> {
  override get message(): string {
    return "This topic was left: subscribe to it again, and use it within the scope of the subscription"
  }
}
