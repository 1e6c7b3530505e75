/**
 * A topic whose broadcasts are values of a schema, written as JSON.
 *
 * @since 0.1.0
 */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { MessageTooLarge, TopicClosed } from "./GossipError.ts"
import type { Topic } from "./Topic.ts"

/** A value that reached this member. */
export interface ReceivedValue<A> {
  readonly value: A
  /** The neighbour that handed it on; not necessarily the author. */
  readonly from: EndpointId
  /** How many broadcasts before this one were dropped because this reader was too slow. */
  readonly missed: number
}

/** Values instead of bytes. */
export interface TypedTopic<A> {
  /** Values of others. What cannot be read as one is left out and counted. */
  readonly messages: Stream.Stream<ReceivedValue<A>>
  /** How many contents could not be read as a value, by all readers of `messages` together. */
  readonly unreadable: Effect.Effect<number>
  /** Sends a value to all members. One that the schema does not allow is an error of the program, and a defect. */
  readonly broadcast: (value: A) => Effect.Effect<void, MessageTooLarge | TopicClosed>
}

/** Settings of a typed topic, which have to be the same at all members. */
export interface TypedTopicOptions {
  /**
   * Whether equal values are different messages. Without it, a value that was broadcast within the last 90 seconds reaches
   * nobody again. With it, each is sent as `{"nonce":...,"value":...}`. Default: false.
   */
  readonly unique?: boolean | undefined
}

/** Reads and writes the topic's contents by a schema. */
export const make = <A, I>(
  topic: Topic,
  schema: Schema.Codec<A, I>,
  { unique = false }: TypedTopicOptions = {}
): TypedTopic<A> => {
  const json = Schema.fromJsonString(Schema.toCodecJson(schema))
  const wrapped = Schema.fromJsonString(Schema.Struct({ nonce: Schema.String, value: Schema.toCodecJson(schema) }))
  const read = unique
    ? (text: string) => Result.map(Schema.decodeResult(wrapped)(text), ({ value }) => value)
    : Schema.decodeResult(json)
  const write = unique ? (value: A) => Schema.encodeSync(wrapped)({ nonce: nonce(), value }) : Schema.encodeSync(json)
  let unreadable = 0
  return {
    messages: Stream.suspend(() => {
      let missed = 0
      return topic.messages.pipe(
        Stream.map((message): ReceivedValue<A> | undefined => {
          missed += message.missed
          const value = Result.flatMap(textOf(message.content), read)
          if (Result.isFailure(value)) {
            unreadable++
            return undefined
          }
          const received = { value: value.success, from: message.from, missed }
          missed = 0
          return received
        }),
        Stream.filter((received) => received !== undefined)
      )
    }),
    unreadable: Effect.sync(() => unreadable),
    broadcast: (value) => Effect.suspend(() => topic.broadcast(new TextEncoder().encode(write(value))))
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

const textOf = (content: Uint8Array): Result.Result<string, unknown> => Result.try(() => utf8.decode(content))

const nonce = (): string => Buffer.from(SecureRandom.randomBytesUnsafe(9)).toString("base64url")
