/**
 * Raw `@number0/iroh`, one bidirectional stream per call: what the transport allows, with no RPC in it. Either as a
 * first version would be written, or tuned: four `acceptBi` calls pending, four streams opened ahead of the calls,
 * stream messages gathered into large writes.
 *
 * The binding carries bytes as plain number arrays. Hence loops instead of `Array.from`, few large reads and writes,
 * and one write in flight per stream: writes that are not awaited overtake each other.
 */
// The package's `main` names a file that is not there; Node would find index.js, and warn about it.
import * as binding from "@number0/iroh/index.js"
import type { Client, Connection, Peer } from "../Peer.ts"
import { ECHO, encode, type Frame, frameReader, STREAM, streamRequest } from "../Frame.ts"

const ALPN = [...Buffer.from("bench/1")]
const CHUNK = 64 * 1024
const ACCEPTS = 4
const AHEAD = 4

// A collected Endpoint closes its connections.
const endpoints: Array<binding.Endpoint> = []

const bind = async () => {
  const builder = binding.Endpoint.builder()
  binding.presetMinimal(builder)
  builder.alpns([ALPN])
  builder.relayMode(binding.RelayMode.disabled())
  // Each replaces the default socket of its own family only.
  builder.bindAddr("127.0.0.1:0")
  builder.bindAddr("[::1]:0")
  const endpoint = await builder.bind()
  endpoints.push(endpoint)
  return endpoint
}

const write = async (send: binding.SendStream, bytes: Uint8Array) => {
  for (let start = 0; start < bytes.length; start += CHUNK) {
    const size = Math.min(CHUNK, bytes.length - start)
    // oxlint-disable-next-line unicorn/no-new-array -- a third cheaper than Array.from
    const array = new Array<number>(size)
    for (let i = 0; i < size; i++) array[i] = bytes[start + i]!
    await send.writeAll(array)
  }
}

/** Hands chunks to `onChunk` until it answers true or the stream ends. */
const pull = async (recv: binding.RecvStream, onChunk: (chunk: Buffer) => boolean) => {
  for (;;) {
    const array = await recv.read(CHUNK)
    const size = array.length
    if (size === 0) return
    const chunk = Buffer.allocUnsafe(size)
    for (let i = 0; i < size; i++) chunk[i] = array[i]!
    if (onChunk(chunk)) return
  }
}

const readFrame = async (recv: binding.RecvStream) => {
  let frame: Frame | undefined
  const feed = frameReader((read) => (frame = read))
  await pull(recv, (chunk) => {
    feed(chunk)
    return frame !== undefined
  })
  if (frame === undefined) throw new Error("The stream ended inside a frame.")
  return frame
}

const countFrames = async (recv: binding.RecvStream, count: number) => {
  let received = 0
  const feed = frameReader(() => received++)
  await pull(recv, (chunk) => {
    feed(chunk)
    return received >= count
  })
  return received
}

/** Gathers frames into one write per CHUNK. */
const writeGathered = async (send: binding.SendStream, frame: Buffer, count: number) => {
  const gathered = Buffer.allocUnsafe(Math.max(CHUNK, frame.length))
  let size = 0
  for (let i = 0; i < count; i++) {
    if (size + frame.length > gathered.length) {
      await write(send, gathered.subarray(0, size))
      size = 0
    }
    gathered.set(frame, size)
    size += frame.length
  }
  await write(send, gathered.subarray(0, size))
}

const answer = async (send: binding.SendStream, { body, kind }: Frame, tuned: boolean) => {
  if (kind !== STREAM) return write(send, encode(ECHO, body))
  const count = body.readUInt32LE(0)
  const frame = encode(ECHO, Buffer.alloc(body.readUInt32LE(4), 7))
  if (tuned) return writeGathered(send, frame, count)
  for (let i = 0; i < count; i++) await write(send, frame)
}

/** Streams end in errors when their connection is closed; any other failure is left to end the process. */
const unlessClosed = (connection: binding.Connection) => (error: unknown) => {
  if (connection.closeReason() === null) throw error
}

const serveStream = async ({ recv, send }: binding.BiStream, tuned: boolean) => {
  await answer(send, await readFrame(recv), tuned)
  await send.finish()
  // Takes the peer's end of stream, so that the stream is given back.
  await recv.read(1)
}

const serveConnection = async (incoming: binding.Incoming, tuned: boolean) => {
  const connection = await (await incoming.accept()).connect()
  const acceptLoop = async () => {
    for (;;) void serveStream(await connection.acceptBi(), tuned).catch(unlessClosed(connection))
  }
  await Promise.all(Array.from({ length: tuned ? ACCEPTS : 1 }, acceptLoop)).catch(unlessClosed(connection))
}

const listen = async (tuned: boolean) => {
  const endpoint = await bind()
  const acceptLoop = async () => {
    for (let incoming = await endpoint.acceptNext(); incoming !== null; incoming = await endpoint.acceptNext()) {
      void serveConnection(incoming, tuned)
    }
  }
  void acceptLoop()
  const socket = endpoint.boundSockets().find((bound) => bound.startsWith("127.0.0.1:"))
  return { address: `${endpoint.id().toString()}@${socket}` }
}

const open = (connection: binding.Connection, tuned: boolean): Connection => {
  const ahead = Array.from({ length: tuned ? AHEAD : 0 }, () => connection.openBi())
  const openStream = () => {
    ahead.push(connection.openBi())
    return ahead.shift()!
  }
  const call = async <A>(request: Buffer, read: (recv: binding.RecvStream) => Promise<A>) => {
    const { recv, send } = await openStream()
    const response = read(recv)
    void write(send, request)
      .then(() => send.finish())
      .catch(unlessClosed(connection))
    const value = await response
    void recv.read(1).catch(unlessClosed(connection))
    return value
  }
  return {
    echo: async (payload) => (await call(encode(ECHO, payload), readFrame)).body,
    stream: (count, size) => call(encode(STREAM, streamRequest(count, size)), (recv) => countFrames(recv, count)),
    close: async () => {
      for (const stream of ahead) void stream.catch(unlessClosed(connection))
      connection.close(0n, [])
    }
  }
}

const dial = async (address: string, tuned: boolean): Promise<Client> => {
  const endpoint = await bind()
  const [id = "", socket = ""] = address.split("@")
  return {
    connect: async () => {
      const target = new binding.EndpointAddr(binding.EndpointId.fromString(id), null, [socket])
      return open(await endpoint.connect(target, ALPN), tuned)
    }
  }
}

/** A stream per call on the bare binding, as written at first or tuned. */
export const iroh = ({ tuned }: { readonly tuned: boolean }): Peer => ({
  server: () => listen(tuned),
  client: ({ address }) => dial(address, tuned)
})
