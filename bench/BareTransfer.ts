/** The least that moving bytes through @number0/iroh costs: number arrays in and out, and nothing else. */
import * as iroh from "@number0/iroh/index.js"

const alpn = [...new TextEncoder().encode("floor")]
/** As its own figures have it, writes of this size keep up with any other, and reads of that size are the fastest. */
const WRITE = 16 * 1024
const READ = 64 * 1024
/** A collected endpoint takes its connections along. */
const held: Array<unknown> = []

/** Where a provider can be dialled. */
export interface Address {
  readonly id: string
  readonly sockets: ReadonlyArray<string>
}

const bind = async () => {
  const builder = iroh.Endpoint.builder()
  iroh.presetMinimal(builder)
  builder.relayMode(iroh.RelayMode.disabled())
  builder.alpns([alpn])
  builder.bindAddr("127.0.0.1:0")
  const endpoint = await builder.bind()
  held.push(endpoint)
  return endpoint
}

/** Sends `bytes` on every stream that is opened to it. */
export const provide = async (bytes: Uint8Array): Promise<Address> => {
  const endpoint = await bind()
  const serve = async () => {
    const connection = await (await (await endpoint.acceptNext())!.accept()).connect()
    held.push(connection)
    while (true) {
      const { recv, send } = await connection.acceptBi()
      await recv.read(1)
      for (let at = 0; at < bytes.length; at += WRITE) {
        const end = Math.min(WRITE, bytes.length - at)
        const array = Array<number>(end)
        for (let i = 0; i < end; i++) array[i] = bytes[at + i]!
        await send.writeAll(array)
      }
      await send.finish()
    }
  }
  // Ends with the process.
  void serve().catch(() => {})
  const sockets = endpoint.boundSockets().filter((socket) => socket.startsWith("127."))
  return { id: endpoint.id().toString(), sockets }
}

/** Connects; the answer fetches all that the provider sends, and answers it. */
export const get = async ({ id, sockets }: Address, size: number): Promise<() => Promise<Uint8Array>> => {
  const endpoint = await bind()
  const address = new iroh.EndpointAddr(iroh.EndpointId.fromString(id), null, [...sockets])
  const connection = await endpoint.connect(address, alpn)
  held.push(connection)
  return async () => {
    const bi = await connection.openBi()
    const { recv, send } = bi
    await send.writeAll([1])
    await send.finish()
    const target = new Uint8Array(size)
    for (let at = 0; ;) {
      const array = await recv.read(READ)
      if (array.length === 0) return target.subarray(0, at)
      for (let i = 0; i < array.length; i++) target[at + i] = array[i]!
      at += array.length
    }
  }
}
