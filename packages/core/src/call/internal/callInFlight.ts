import type { Call } from "../../interceptor/CallContext.ts"
import type { CallChannel, ChannelError } from "../../wire/CallChannel.ts"
import { RpcError, type FailureName } from "../../wire/RpcError.ts"
import type { FrameReader } from "../../wire/FrameReader.ts"
import { FrameWriter } from "../../wire/FrameWriter.ts"
import type { Encoding } from "../../message/MessageCodec.ts"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { PeerBudget } from "../DecodeBudget.ts"
import type { CompiledMethod } from "./compiledService.ts"
import type { Handlers } from "./handlers.ts"

/** Time limits of a server's calls, in milliseconds, and what ends their handlers. */
export interface CallLimits {
  readonly handlers: Handlers

  /** From the header to the request of a single-request call. */
  readonly requestTimeout: number
  /** Longest run of a handler. */
  readonly handlerTimeout: number
  /** How long a peer may take to accept the end of an answer. */
  readonly answerTimeout: number
}

/** A call at a server, from its header on. */
export class CallInFlight {
  readonly limits: CallLimits
  readonly channel: CallChannel
  readonly reader: FrameReader
  readonly frames: FrameWriter
  readonly method: CompiledMethod
  /** As the caller sent it; interceptors may go on with another. */
  readonly call: Call
  /** The caller gave up or is lost: there is nobody to answer. */
  gone = false
  /** The handler, from when it first waits until it has ended. */
  handler: Fiber.Fiber<unknown, unknown> | undefined
  /** The one request, where somebody has begun to take it already. */
  request: Effect.Effect<unknown, RpcError | ChannelError> | undefined
  /** Within a session a single response stands without a trailer. */
  inSession = false
  readonly budget: PeerBudget
  /** What the requests that are held take. */
  #held = 0
  /** What the request that was decoded last takes. */
  weight = 0
  /** Response metadata, once the call has ended well. */
  metadata: ReadonlyMap<string, string> = NO_METADATA

  constructor(
    limits: CallLimits,
    channel: CallChannel,
    reader: FrameReader,
    frames: FrameWriter,
    method: CompiledMethod,
    call: Call,
    budget: PeerBudget
  ) {
    this.limits = limits
    this.channel = channel
    this.reader = reader
    this.frames = frames
    this.method = method
    this.call = call
    this.budget = budget
  }

  /** A request is held. */
  hold(weight: number): void {
    this.weight = weight
    this.#held += weight
    this.budget.take(weight)
  }

  /** A request is held no more: by default, none is. */
  release(weight = this.#held): void {
    this.#held -= weight
    this.budget.give(weight)
  }
}

/** The call that a header asks for, of a stream or within a session. */
export const inFlight = (
  header: { readonly callId: string; readonly deadlineEpochMs: number },
  {
    budget,
    channel,
    encoding,
    limits,
    metadata,
    method,
    peer,
    reader
  }: {
    readonly limits: CallLimits
    readonly channel: CallChannel
    readonly reader: FrameReader
    readonly encoding: Encoding
    readonly method: CompiledMethod
    readonly metadata: ReadonlyMap<string, string>
    readonly peer: { readonly id: string; readonly attributes: ReadonlyMap<string, string> }
    readonly budget: PeerBudget
  }
): CallInFlight => {
  // JSON clients of release 0.1.2 cannot read compressed answers unless they say they can.
  const compresses = encoding === "xlang" || metadata.get("accept-encoding")?.includes("zstd") === true
  const call = {
    ...method.called,
    callId: header.callId,
    peer: peer.id,
    metadata,
    attributes: peer.attributes,
    deadline: header.deadlineEpochMs > 0 ? header.deadlineEpochMs : undefined
  }
  return new CallInFlight(limits, channel, reader, new FrameWriter(encoding, compresses), method, call, budget)
}

const NO_METADATA: ReadonlyMap<string, string> = new Map()

export const fail = (status: FailureName, message: string): Effect.Effect<never, RpcError> =>
  Effect.fail(RpcError.of(status, message))
