/**
 * The handshake by which a consumer gets to know a producer's services, and by which it is admitted where a gate is
 * closed (Aster admission, consumer admission handshake).
 *
 * One connection, one bidirectional stream on it, one JSON text each way without frames: the consumer finishes its
 * half after the request, the producer after the reply, and the consumer closes the connection.
 *
 * @since 0.1.0
 */
import * as Json from "@aster-effect/core/Json"
import { MAX_ADMISSION_PAYLOAD_SIZE } from "@aster-effect/core/Limits"
import * as ServiceSummary from "@aster-effect/core/ServiceSummary"
import type { RecvStream, StreamError } from "@aster-effect/iroh/BiStream"
import type { Connection, ConnectionLost } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * What a consumer asks with. `credential` is the JSON text of its credential, empty when it has none.
 *
 * @since 0.1.0
 */
export interface AdmissionRequest {
  readonly credential: string
  readonly iidToken: string
}

/** What a producer answers. Everything in it is the peer's word. @since 0.1.0 */
export interface AdmissionReply {
  readonly admitted: boolean
  readonly attributes: ReadonlyMap<string, string>
  readonly services: ReadonlyArray<ServiceSummary.ServiceSummary>
  /** 64 hex digits, or empty. */
  readonly registryNamespace: string
  /** 64 hex digits, or empty. */
  readonly rootPubkey: string
}

/** A refusal says nothing about its reason on the wire. @since 0.1.0 */
export const denied = (rootPubkey: string): AdmissionReply => ({
  admitted: false,
  attributes: new Map(),
  services: [],
  registryNamespace: "",
  rootPubkey
})

/**
 * The other side does not keep to the handshake.
 *
 * @since 0.1.0
 */
export class HandshakeError extends Schema.TaggedError<HandshakeError>()("HandshakeError", {
  reason: Schema.Literals(["NoAnswer", "TooLarge", "Malformed", "TimedOut"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.1.0 */
export const encodeRequest = (request: AdmissionRequest): Uint8Array =>
  encode({ credential_json: request.credential, iid_token: request.iidToken })

/** Reads a request; undefined when it is not JSON or has no credential text. @since 0.1.0 */
export const decodeRequest = (bytes: Uint8Array): AdmissionRequest | undefined => {
  const json = parsed(bytes)
  if (json === undefined) return undefined
  const { credential_json: credential, iid_token: iidToken } = json
  return typeof credential === "string"
    ? { credential, iidToken: typeof iidToken === "string" ? iidToken : "" }
    : undefined
}

/** @since 0.1.0 */
export const encodeReply = (reply: AdmissionReply): Uint8Array =>
  encode({
    admitted: reply.admitted,
    attributes: Object.fromEntries(reply.attributes),
    services: reply.services.map(ServiceSummary.toJson),
    registry_namespace: reply.registryNamespace,
    root_pubkey: reply.rootPubkey,
    reason: ""
  })

/**
 * Reads a reply; undefined when it is not JSON or does not say whether the consumer is admitted. Other missing and
 * malformed parts count as empty, services that break a rule are dropped.
 *
 * @since 0.1.0
 */
export const decodeReply = (bytes: Uint8Array): AdmissionReply | undefined => {
  const json = parsed(bytes)
  if (json === undefined || typeof json["admitted"] !== "boolean") return undefined
  const attributes = isObject(json["attributes"]) ? Object.entries(json["attributes"]) : []
  return {
    admitted: json["admitted"],
    attributes: new Map(attributes.filter((entry): entry is [string, string] => typeof entry[1] === "string")),
    services: ServiceSummary.listFromJson(json["services"]),
    registryNamespace: hexId(json["registry_namespace"]) || hexId(json["registry_ticket"]),
    rootPubkey: hexId(json["root_pubkey"])
  }
}

const encode = (json: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(json))

const parsed = (bytes: Uint8Array): { readonly [key: string]: unknown } | undefined => {
  try {
    const json = Json.parse(bytes)
    return isObject(json) ? json : undefined
  } catch {
    return undefined
  }
}

const isObject = (json: unknown): json is { readonly [key: string]: unknown } =>
  typeof json === "object" && json !== null && !Array.isArray(json)

const hexId = (value: unknown): string => (typeof value === "string" && /^[0-9a-f]{64}$/.test(value) ? value : "")

/**
 * Serves one admission connection: reads the request, decides, answers, and waits for the consumer to close. Malformed
 * requests are denied; empty and over-long ones get no answer.
 *
 * @param options.requestTimeout from the connection to the complete request, default 10 seconds
 * @param options.closeTimeout for the consumer to close after the reply, default 5 seconds
 * @since 0.1.0
 */
export const serve = Effect.fnUntraced(function* (
  connection: Connection,
  options: {
    readonly decide: (request: AdmissionRequest | undefined, consumer: EndpointId) => Effect.Effect<AdmissionReply>
    readonly requestTimeout?: Duration.Input | undefined
    readonly closeTimeout?: Duration.Input | undefined
  }
): Effect.fn.Return<void, HandshakeError | StreamError | ConnectionLost> {
  const [stream, bytes] = yield* Effect.flatMap(connection.acceptBi, (stream) =>
    Effect.map(readAll(stream.recv), (bytes) => [stream, bytes] as const)
  ).pipe(
    Effect.timeoutOrElse({
      duration: options.requestTimeout ?? "10 seconds",
      orElse: () =>
        Effect.fail(new HandshakeError({ reason: "TimedOut", detail: "no admission request arrived in time" }))
    })
  )
  if (bytes.length === 0) {
    return yield* new HandshakeError({ reason: "NoAnswer", detail: "the admission request is empty" })
  }
  const reply = yield* options.decide(decodeRequest(bytes), connection.remoteId)
  yield* stream.send.write(encodeReply(reply))
  yield* stream.send.finish
  // Closing now could overtake the reply.
  yield* Effect.timeoutOption(connection.closed, options.closeTimeout ?? "5 seconds")
})

/**
 * Asks for admission on a connection of the consumer admission protocol.
 *
 * @param options.timeout for the whole exchange, default 10 seconds
 * @since 0.1.0
 */
export const request = Effect.fnUntraced(function* (
  connection: Connection,
  options: { readonly request: AdmissionRequest; readonly timeout?: Duration.Input | undefined }
): Effect.fn.Return<AdmissionReply, HandshakeError | StreamError | ConnectionLost> {
  const bytes = yield* Effect.flatMap(connection.openBi, (stream) =>
    stream.send
      .write(encodeRequest(options.request))
      .pipe(Effect.andThen(stream.send.finish), Effect.andThen(readAll(stream.recv)))
  ).pipe(
    Effect.timeoutOrElse({
      duration: options.timeout ?? "10 seconds",
      orElse: () =>
        Effect.fail(new HandshakeError({ reason: "TimedOut", detail: "the producer did not answer in time" }))
    })
  )
  if (bytes.length === 0) {
    return yield* new HandshakeError({
      reason: "NoAnswer",
      detail: "the producer gave no answer to the admission request"
    })
  }
  const reply = decodeReply(bytes)
  if (reply !== undefined) return reply
  return yield* new HandshakeError({ reason: "Malformed", detail: "the producer's answer is not an admission reply" })
})

const readAll = Effect.fnUntraced(function* (
  recv: RecvStream
): Effect.fn.Return<Uint8Array, HandshakeError | StreamError> {
  const chunks: Array<Uint8Array> = []
  let size = 0
  for (let chunk = yield* recv.read(); chunk !== undefined; chunk = yield* recv.read()) {
    size += chunk.length
    if (size > MAX_ADMISSION_PAYLOAD_SIZE) {
      return yield* new HandshakeError({
        reason: "TooLarge",
        detail: `an admission message has more than ${MAX_ADMISSION_PAYLOAD_SIZE} bytes`
      })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
})
