/** What both processes of bench/blobs.ts agree on. */
import type { BindingChoice, IrohNodeOptions } from "@aster-effect/iroh/NodeOptions"

/** Bytes of one transfer: on the faster binding as many more as take about as long. */
export const transferOn = (binding: BindingChoice): number => (binding === "native" ? 64 : 4) * 1_048_576

/** The nodes stay on this machine. */
export const loopback: IrohNodeOptions = { bindAddress: "127.0.0.1:0", relayMode: "disabled" }

/** Bytes that follow from their number alone. */
export const content = (size: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >> 11)) & 0xff
  return bytes
}

/** Milliseconds of processor time that this thread has used: other programs do not disturb it. */
export const threadTime = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

/** Milliseconds of processor time that this process has used, native threads included. */
export const processTime = (): number => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1000
}
