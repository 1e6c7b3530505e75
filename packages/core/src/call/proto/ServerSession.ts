/**
 * One session at a server, without IO: what frames of the client mean, one call after another on one stream (Aster RPC wire,
 * session-scoped services).
 *
 * Nothing correlates frames with calls but their order, so what a frame means depends on what came before. After a call
 * that was refused, or was over before its input, the rest of its input is passed over; the session goes on.
 *
 * @since 0.1.0
 */
import type { Pattern } from "../../message/WireType.ts"
import * as Frame from "../../wire/Frame.ts"

/**
 * What is to be done about a frame.
 *
 * - `call`: a call begins, with this header; answered by `begin` or `refuse` before the next frame;
 * - `input`: this frame belongs to the running call: a request, or the end of its requests;
 * - `cancel`: the running call is to be interrupted, and answered with CANCELLED;
 * - `cancelled`: there is nothing to cancel, and CANCELLED is the answer;
 * - `wait`: the call before has to be over first; then the frame is to be shown again;
 * - `ignore`: nothing;
 * - `broken`: the client has lost count: the session ends with FAILED_PRECONDITION.
 *
 * @since 0.1.0
 */
export type Action =
  | { readonly _tag: "call"; readonly header: Uint8Array }
  | { readonly _tag: "input"; readonly frame: Frame.Frame }
  | { readonly _tag: "cancel" | "cancelled" | "wait" | "ignore" | "broken" }

const cancel: Action = { _tag: "cancel" }
const cancelled: Action = { _tag: "cancelled" }
const wait: Action = { _tag: "wait" }
const ignore: Action = { _tag: "ignore" }
const broken: Action = { _tag: "broken" }

/** What the client may still send for the call it began last. */
type Input =
  /** Nothing. */
  | "none"
  /** One request. */
  | "one"
  /** Requests up to a trailer. */
  | "many"
  /** Whatever it may be: the call was refused before its pattern was known. */
  | "unknown"

/** @since 0.1.0 */
export class ServerSession {
  #input: Input = "none"
  /** Whether a call runs, or was cancelled and has not ended. */
  #running = false
  #cancelling = false

  /** Whether a call runs. */
  get running(): boolean {
    return this.#running
  }

  /** The call that came last runs. */
  begin(pattern: Pattern): void {
    this.#running = true
    this.#input = pattern === "unary" || pattern === "server_stream" ? "one" : "many"
  }

  /** The call that came last is refused; its pattern, where it is known. */
  refuse(pattern?: Pattern): void {
    this.#input =
      pattern === undefined ? "unknown" : pattern === "unary" || pattern === "server_stream" ? "one" : "many"
  }

  /** The running call has been answered. */
  end(): void {
    this.#running = false
    this.#cancelling = false
  }

  /** What a frame means. */
  receive(frame: Frame.Frame): Action {
    const { flags } = frame
    if ((flags & Frame.CANCEL) !== 0) {
      if (this.#cancelling) return wait
      this.#input = "none"
      if (!this.#running) return cancelled
      this.#cancelling = true
      return cancel
    }
    if ((flags & Frame.CALL) !== 0) {
      if (this.#running) return wait
      return { _tag: "call", header: frame.payload }
    }
    const ends = (flags & Frame.TRAILER) !== 0
    switch (this.#input) {
      case "none":
        return this.#cancelling ? ignore : broken
      case "one":
        this.#input = "none"
        break
      case "many":
        if (ends) this.#input = "none"
        break
      default:
        return ignore
    }
    return this.#running && !this.#cancelling ? { _tag: "input", frame } : ignore
  }
}
