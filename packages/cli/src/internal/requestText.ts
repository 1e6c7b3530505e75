import { CodecError } from "@aster-effect/core/message/CodecError"
import * as JsonText from "@aster-effect/core/message/JsonText"
import { MAX_FRAME_SIZE } from "@aster-effect/core/Limits"
import type { JsonMessage } from "@aster-effect/client/DynamicClient"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { type CliFailure, refused } from "../CliFailure.ts"

/** A request's fields; integers of 64 bits keep their value. */
const parse = (text: string, place: string): Effect.Effect<JsonMessage, CliFailure> =>
  Effect.try({
    try: () => JsonText.parse(new TextEncoder().encode(text), true),
    catch: (cause) => refused(`${place} is not JSON: ${cause instanceof CodecError ? cause.message : String(cause)}`)
  }).pipe(
    Effect.flatMap((json) =>
      typeof json === "object" && json !== null && !Array.isArray(json)
        ? Effect.succeed(json as JsonMessage)
        : Effect.fail(refused(`${place} must be a JSON object, like {"task_id":"t-1"}`))
    )
  )

const unreadable = (place: string) => (cause: { readonly message: string }) =>
  refused(`${place} cannot be read: ${cause.message}`)

/** More than a request can carry. */
const bounded = (place: string) => (bytes: Stream.Stream<Uint8Array, CliFailure>) => {
  let size = 0
  return Stream.mapEffect(bytes, (chunk) => {
    size += chunk.length
    return size <= MAX_FRAME_SIZE
      ? Effect.succeed(chunk)
      : Effect.fail(refused(`${place} has more than ${MAX_FRAME_SIZE} bytes, which no request can carry`))
  })
}

const textOf = (place: string, bytes: Stream.Stream<Uint8Array, CliFailure>): Effect.Effect<string, CliFailure> =>
  bytes.pipe(
    bounded(place),
    Stream.runCollect,
    Effect.flatMap((chunks) =>
      Effect.try({
        try: () => new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat([...chunks])),
        catch: () => refused(`${place} is not UTF-8 text`)
      })
    )
  )

/** Where a request comes from: `-` is standard input, `@file` a file, anything else the JSON itself. */
interface Source {
  readonly place: string
  readonly bytes: Stream.Stream<Uint8Array, CliFailure>
}

const sourceOf = Effect.fnUntraced(function* (
  argument: string,
  resolve: (file: string) => string
): Effect.fn.Return<Source, never, Stdio.Stdio | FileSystem.FileSystem> {
  if (argument === "-") {
    const { stdin } = yield* Stdio.Stdio
    return { place: "standard input", bytes: Stream.mapError(stdin, unreadable("standard input")) }
  }
  if (!argument.startsWith("@")) {
    return { place: "the request", bytes: Stream.succeed(new TextEncoder().encode(argument)) }
  }
  const place = argument.slice(1)
  const { stream } = yield* FileSystem.FileSystem
  return { place, bytes: Stream.mapError(stream(resolve(place)), unreadable(place)) }
})

const isBlank = (line: string): boolean => line.trim() === ""

/** The requests of a call, as they come: one JSON object a line. */
export const requests = Effect.fnUntraced(function* (
  argument: string,
  resolve: (file: string) => string
): Effect.fn.Return<Stream.Stream<JsonMessage, CliFailure>, never, Stdio.Stdio | FileSystem.FileSystem> {
  const { bytes, place } = yield* sourceOf(argument, resolve)
  let line = 0
  return bytes.pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.map((text) => ({ text, place: `${place}, line ${++line}` })),
    Stream.filter(({ text }) => !isBlank(text)),
    Stream.mapEffect(({ place: at, text }) => parse(text, at))
  )
})

/** A single request, or several when the text has one object a line. */
export const request = Effect.fnUntraced(function* (
  argument: string,
  resolve: (file: string) => string
): Effect.fn.Return<ReadonlyArray<JsonMessage>, CliFailure, Stdio.Stdio | FileSystem.FileSystem> {
  const { bytes, place } = yield* sourceOf(argument, resolve)
  const text = yield* textOf(place, bytes)
  if (isBlank(text)) return [yield* parse(text, place)]
  const whole = yield* Effect.result(parse(text, place))
  if (whole._tag === "Success") return [whole.success]
  const lines = text.split("\n").filter((line) => !isBlank(line))
  // What is no list of objects either is a mistake in one.
  const each = yield* Effect.result(Effect.forEach(lines, (line, i) => parse(line, `${place}, line ${i + 1}`)))
  return lines.length > 1 && each._tag === "Success" ? each.success : yield* whole.failure
})
