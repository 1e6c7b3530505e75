/** The transport of @number0/iroh. Its native code takes and gives number arrays and describes failures in prose. */
import { isMainThread } from "node:worker_threads"
import type * as Native from "@number0/iroh/index.js"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { addressesOf, type Binding, confine, type Endpoint } from "../Binding.ts"
import { StreamClosed, StreamError, StreamReset, StreamStopped } from "../BiStream.ts"
import { type CloseReason, ConnectionLost } from "../Connection.ts"
import * as EndpointId from "../EndpointId.ts"
import * as NodeAddr from "../NodeAddr.ts"
import { BindError, type ConnectFailure } from "../NodeError.ts"
import type { IrohNodeOptions } from "../NodeOptions.ts"
import type { RawBi, RawConnection, RawEndpoint, RawRecv, RawSend } from "./binding.ts"
import { type Bytes, probe } from "./bytes.ts"
import { noteClosed, openOn } from "./closedSockets.ts"
import { parseCloseReason } from "./closeReason.ts"
import { endpointOf } from "./connection.ts"

/** The loaded native module and how bytes get into it. */
interface Loaded {
  readonly iroh: typeof Native
  readonly bytes: Bytes
}

/** An endpoint on UDP sockets. */
const bind = (options: IrohNodeOptions): Effect.Effect<Endpoint, BindError> => {
  const given = addressesOf(options)
  const mayCollect = options.collectGarbage ?? true
  const failed = (reason: BindError["reason"]) => (cause: unknown) =>
    new BindError({ reason, addresses: given, detail: firstLine(cause) })
  return Effect.gen(function* () {
    if (!isMainThread && options.workerThread !== true) return yield* failed("WorkerThread")("this is a worker thread")
    const addresses = confine(given)
    if (typeof addresses === "string") return yield* failed("Malformed")(addresses)
    // The package's "main" names a file it does not have; with the file spelled out Node does not warn of that.
    const iroh = yield* Effect.tryPromise({
      try: () => import("@number0/iroh/index.js"),
      catch: failed("Unavailable")
    })
    const binding = { iroh, bytes: probe((bytes) => void iroh.SecretKey.fromBytes(bytes)) }
    const relay = yield* Effect.try({ try: () => relayMode(iroh, options), catch: failed("BadRelayUrl") })
    const open = () => {
      const builder = iroh.Endpoint.builder()
      if (options.relayMode === "disabled") iroh.presetMinimal(builder)
      else iroh.presetN0(builder)
      builder.relayMode(relay)
      builder.alpns((options.alpns ?? []).map((alpn) => encodeText(binding, alpn)))
      if (options.secretKey !== undefined) {
        builder.secretKey(binding.bytes.toNative(Redacted.value(options.secretKey)))
      }
      for (const address of addresses) builder.bindAddr(address)
      return builder.bind()
    }
    const endpoint = yield* Effect.tryPromise({
      try: () => openOn(given, open, mayCollect),
      catch: (cause) => failed(bindFailure(message(cause)))(lastCause(cause))
    })
    return endpointOf(rawEndpoint(binding, endpoint, mayCollect))
  })
}

const relayMode = (iroh: typeof Native, { relayMode: mode = "default" }: IrohNodeOptions): Native.RelayMode => {
  if (typeof mode === "object") return iroh.RelayMode.customFromUrls([...mode.custom])
  if (mode === "disabled") return iroh.RelayMode.disabled()
  if (mode === "staging") return iroh.RelayMode.staging()
  // A typing error in plain JavaScript must not mean the public relays.
  if (mode !== "default") throw new Error(`relayMode: expected "default", "disabled", "staging" or custom URLs`)
  return iroh.RelayMode.defaultMode()
}

/**
 * The one place that refers to a native endpoint: collected too early it takes its connections along, which therefore
 * hold this, and its sockets stay open until it is collected, for which it is let go once closed.
 */
interface Holder {
  endpoint: Native.Endpoint | undefined
  /** Whether closing has begun. */
  closing: boolean
}

const rawEndpoint = (binding: Loaded, endpoint: Native.Endpoint, mayCollect: boolean): RawEndpoint => {
  const { iroh } = binding
  const endpointId = EndpointId.fromBytes(binding.bytes.fromNative(endpoint.id().toBytes()))
  const boundSockets = endpoint.boundSockets()
  const holder: Holder = { endpoint, closing: false }
  let address = NodeAddr.make(endpointId)
  return {
    endpointId,
    boundSockets,
    address: () => {
      const addr = holder.endpoint?.addr()
      if (addr !== undefined) address = NodeAddr.make(endpointId, addr.directAddresses(), addr.relayUrl() ?? undefined)
      return address
    },
    setAlpns: (alpns) => holder.endpoint?.setAlpns(alpns.map((alpn) => encodeText(binding, alpn))),
    connect: async (addr, alpn) => {
      const id = iroh.EndpointId.fromBytes(binding.bytes.toNative(EndpointId.toBytes(addr.endpointId)))
      const remote = new iroh.EndpointAddr(id, addr.relayUrl, [...addr.directAddresses])
      const connection = await holder.endpoint?.connect(remote, encodeText(binding, alpn))
      if (connection === undefined) throw new Error(closedText)
      return rawConnection(binding, holder, connection)
    },
    connectFailure,
    acceptNext: async () => {
      const incoming = await holder.endpoint?.acceptNext()
      if (incoming === undefined || incoming === null) return undefined
      return {
        accept: async () => rawConnection(binding, holder, await (await incoming.accept()).connect()),
        challenge: async () => {
          if (await incoming.remoteAddrValidated()) return false
          await incoming.retry()
          return true
        }
      }
    },
    close: async () => {
      const closing = holder.endpoint
      if (closing === undefined) return
      holder.closing = true
      await closing.close()
      holder.endpoint = undefined
      noteClosed(closing, boundSockets, mayCollect)
    }
  }
}

const rawConnection = (
  binding: Loaded,
  holder: Holder,
  connection: Native.Connection
): RawConnection & { readonly holder: Holder } => {
  const { bytes } = binding
  let local: { readonly code: number; readonly reason: string } | undefined
  const reasonOf = (text: string): CloseReason => {
    const reason = parseCloseReason(text, local)
    // A connection that outlives its endpoint by a moment blames the endpoint; it was still we who closed it.
    return reason._tag === "Transport" && holder.closing ? parseCloseReason("closed", local) : reason
  }
  let known = false
  let watched = false
  const lost = (text: string): CloseReason => {
    known = true
    return reasonOf(text)
  }
  const closeReason = (): CloseReason | undefined => {
    const text = connection.closeReason()
    return text === null ? undefined : lost(text)
  }
  return {
    holder,
    remoteId: EndpointId.fromBytes(bytes.fromNative(connection.remoteId().toBytes())),
    alpn: new TextDecoder().decode(bytes.fromNative(connection.alpn())),
    openBi: () => connection.openBi().then((bi) => rawBi(bytes, bi)),
    acceptBi: () => connection.acceptBi().then((bi) => rawBi(bytes, bi)),
    openUni: () => connection.openUni().then((send) => rawSend(bytes, send)),
    acceptUni: () => connection.acceptUni().then((recv) => rawRecv(bytes, recv)),
    close: (code, reason) => {
      local ??= { code, reason }
      known = true
      connection.close(BigInt(code), encodeText(binding, reason))
    },
    closed: () => connection.closed().then(lost),
    closeReason,
    // Calls ask before every use, and each question to the transport costs 10 us of the thread.
    isClosed: () => {
      if (known || (watched && !holder.closing)) return known
      if (!watched) void connection.closed().then(lost)
      watched = true
      return closeReason() !== undefined
    },
    bytesReceived: () => connection.stats().udpRxBytes,
    failure: (cause) => {
      const reason = streamFailure(firstLine(cause), closeReason)
      known ||= reason._tag === "ConnectionLost"
      return new StreamError({ reason })
    }
  }
}

/** Each read of the getters makes a new native object, so they are read once. */
const rawBi = (bytes: Bytes, bi: Native.BiStream): RawBi => ({
  send: rawSend(bytes, bi.send),
  recv: rawRecv(bytes, bi.recv)
})

const rawSend = (bytes: Bytes, send: Native.SendStream): RawSend => ({
  writeAll: (chunk) => send.writeAll(bytes.toNative(chunk)),
  // An end that comes after the peer's stop is taken and not sent: without a reset the stream stays open, and counts.
  finish: async () => {
    await send.finish()
    const code = await send.stopped()
    if (code !== null) await send.reset(BigInt(code))
  },
  reset: (code) => send.reset(BigInt(code))
})

const rawRecv = (bytes: Bytes, recv: Native.RecvStream): RawRecv => ({
  read: (limit) => recv.read(limit).then(bytes.fromNative),
  stop: (code) => recv.stop(BigInt(code))
})

const streamFailure = (line: string, closeReason: () => CloseReason | undefined): StreamError["reason"] => {
  const [, kind, code] = /^(Reset|Stopped)\((\d+)\)/.exec(line) ?? []
  if (kind === "Reset") return new StreamReset({ code: Number(code) })
  if (kind === "Stopped") return new StreamStopped({ code: Number(code) })
  const reason = closeReason()
  if (reason !== undefined) return new ConnectionLost({ reason })
  return line.startsWith("ConnectionLost")
    ? new ConnectionLost({ reason: { _tag: "Transport", detail: line } })
    : new StreamClosed()
}

const closedText = "Endpoint is closed"

const connectFailure = (cause: unknown): ConnectFailure => {
  const text = message(cause)
  if (text.includes("peer doesn't support any known protocol")) return { _tag: "UnsupportedProtocol" }
  if (text.includes("No addressing information available")) return { _tag: "NoAddress" }
  if (text.includes("Connecting to ourself")) return { _tag: "Self" }
  if (text.includes(closedText)) return { _tag: "NodeClosed" }
  const detail = lastCause(cause)
  if (detail === "timed out") return { _tag: "TimedOut" }
  return text.startsWith("ConnectError") ? { _tag: "Refused", detail } : { _tag: "BadAddress", detail }
}

const bindFailure = (text: string): BindError["reason"] => {
  if (text.includes("Address already in use")) return "AddressInUse"
  if (text.includes("Cannot assign requested address")) return "NotLocal"
  return text.includes("Permission denied") ? "PermissionDenied" : "Unavailable"
}

/** What the native error says, without the back trace that follows when RUST_BACKTRACE is set. */
const message = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : String(cause)).split("\n\nStack backtrace:")[0] ?? ""

const firstLine = (cause: unknown): string => message(cause).split("\n")[0] ?? ""

/** The innermost of the causes listed line by line, without the place in the native sources. */
const lastCause = (cause: unknown): string =>
  (message(cause).trimEnd().split("\n").at(-1) ?? "").trim().replace(/ \([^()]*\.rs:\d+:\d+\)$/, "")

const encodeText = ({ bytes }: Loaded, text: string): Array<number> => bytes.toNative(new TextEncoder().encode(text))

export const numberZero: Binding = { name: "@number0/iroh", bind }
