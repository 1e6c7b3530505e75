/**
 * Calls with bytes by hand: what a peer sends that does not keep to the rules, and what it gets for it.
 */
import { zstdDecompressSync } from "node:zlib"
import { decodeStatus, encodeHeader, encodingOf, SERIALIZATION_MODE } from "@aster-effect/core/wire/Control"
import type { RpcStatus, StreamHeader } from "@aster-effect/core/wire/Control"
import * as Frame from "@aster-effect/core/wire/Frame"
import * as MessageCodec from "@aster-effect/core/message/MessageCodec"
import type { Encoding } from "@aster-effect/core/message/MessageCodec"
import { Writer } from "@aster-effect/fory"
import type { BiStream, StreamError } from "@aster-effect/iroh/BiStream"
import type { Connection, ConnectionLost } from "@aster-effect/iroh/Connection"
import type * as Duration from "effect/Duration"
import type * as Schema from "effect/Schema"
import * as Effect from "effect/Effect"

/** A header frame of a call of `KitchenSink.say_hello`, but for what is given. */
export const header = (fields: Partial<StreamHeader> = {}, encoding: Encoding = "json"): Uint8Array =>
  Frame.encode(
    encodeHeader(
      {
        service: "KitchenSink",
        method: "say_hello",
        version: 1,
        callId: "",
        deadlineEpochMs: 0,
        serializationMode: SERIALIZATION_MODE[encoding],
        metadataKeys: [],
        metadataValues: [],
        ...fields
      },
      encoding
    ),
    Frame.HEADER
  )

/** A frame of text. */
export const text = (content: string, flags = 0): Uint8Array => Frame.encode(new TextEncoder().encode(content), flags)

/** The bytes of a message. */
export const message = <S extends Schema.Constraint>(schema: S, value: S["Type"], encoding: Encoding): Uint8Array => {
  const [codec] = MessageCodec.compileAll([schema])
  const writer = new Writer()
  codec.write(writer, value, encoding)
  return writer.bytes().slice()
}

/** The message of a data frame. */
export const decoded = <S extends Schema.Constraint>(
  schema: S,
  frame: Frame.Frame | undefined,
  encoding: Encoding
): S["Type"] => {
  const [codec] = MessageCodec.compileAll([schema])
  if (frame === undefined) throw new Error("there is no message")
  const { flags, payload } = frame
  return codec.read((flags & Frame.COMPRESSED) === 0 ? payload : zstdDecompressSync(payload), encoding)
}

/** Everything a server sent on a stream. */
export interface Answer {
  /** Frames before the trailer. */
  readonly messages: ReadonlyArray<Frame.Frame>
  readonly status: RpcStatus | undefined
  /** How the status is encoded. */
  readonly encoding: Encoding | undefined
  /** Whether the server finished its half or gave it up. */
  readonly end: "finished" | "reset"
}

/** Reads to the end of a stream. Anything behind a trailer is a defect. */
export const answerOn = Effect.fnUntraced(function* (
  { recv }: BiStream,
  patience: Duration.Input = "1 minute"
): Effect.fn.Return<Answer, StreamError> {
  const decoder = new Frame.FrameDecoder()
  const messages: Array<Frame.Frame> = []
  let trailer: Frame.Frame | undefined
  const end = yield* Effect.gen(function* () {
    for (let bytes = yield* recv.read(); bytes !== undefined; bytes = yield* recv.read()) {
      decoder.push(bytes)
      for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
        if (trailer !== undefined) throw new Error("the server sent a frame after its trailer")
        if ((frame.flags & Frame.TRAILER) === 0) messages.push(frame)
        else trailer = frame
      }
    }
    decoder.end()
    return "finished" as const
  }).pipe(
    Effect.catchIf(
      (error) => error.reason._tag === "StreamReset",
      () => Effect.succeed("reset" as const)
    ),
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () => Effect.die(new Error("the server neither finished nor reset the stream in time"))
    })
  )
  return {
    messages,
    status: trailer === undefined ? undefined : decodeStatus(trailer.payload),
    encoding: trailer === undefined ? undefined : encodingOf(trailer.payload),
    end
  }
})

/** What is written at once, and whether the half is finished behind it. */
export interface Outgoing {
  readonly bytes: ReadonlyArray<Uint8Array>
  readonly finish?: boolean | undefined
}

/** Opens a stream and sends what was given; completes when the transport has taken it. */
export const send = Effect.fnUntraced(function* (
  connection: Connection,
  { bytes, finish }: Outgoing
): Effect.fn.Return<BiStream, StreamError | ConnectionLost> {
  const stream = yield* connection.openBi
  yield* stream.send.write(Buffer.concat(bytes))
  if (finish === true) yield* stream.send.finish
  return stream
})

/** A whole call on a stream of its own, which is given back. The server need not listen to the end. */
export const exchange = Effect.fnUntraced(function* (
  connection: Connection,
  { bytes, finish }: Outgoing
): Effect.fn.Return<Answer, StreamError | ConnectionLost> {
  const stream = yield* connection.openBi
  const sent = stream.send.write(Buffer.concat(bytes)).pipe(
    Effect.andThen(finish === true ? stream.send.finish : Effect.void),
    Effect.catchIf(
      (error) => error.reason._tag === "StreamStopped",
      () => Effect.void
    )
  )
  const [answer] = yield* Effect.all([answerOn(stream), sent], { concurrency: 2 }).pipe(
    Effect.ensuring(stream.send.reset(0))
  )
  return answer
})
