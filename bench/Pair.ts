/** A server and a client process of one peer, and the messages they exchange through the process that started them. */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Measurement, Usage } from "./Measurement.ts"
import type { Listening } from "./Peer.ts"

/** From the server; passed on to the client. */
export type FromServer =
  | { readonly kind: "listening"; readonly listening: Listening }
  | { readonly kind: "usage"; readonly usage: Usage }

/** From the client; the question is passed on to the server. */
export type FromClient = { readonly kind: "askUsage" } | { readonly kind: "done"; readonly measurement: Measurement }

/** The program both processes run: `child.ts server|client <peer> <scale>`. */
const child = fileURLToPath(new URL("./child.ts", import.meta.url))

/**
 * Measures one peer in two fresh processes, which are killed before the promise settles. Rejects when one of them ends
 * early or when it takes longer than `limitMs`.
 */
export const runPair = (
  peer: string,
  { limitMs, scale }: { readonly limitMs: number; readonly scale: number }
): Promise<Measurement> => {
  const start = (role: "server" | "client") =>
    fork(child, [role, peer, String(scale)], { stdio: ["ignore", "inherit", "inherit", "ipc"] })
  const server = start("server")
  const client = start("client")
  return new Promise<Measurement>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not finished after ${limitMs / 1000} s`)), limitMs)
    const settle = (settled: () => void) => {
      clearTimeout(timer)
      settled()
    }
    server.on("message", (message: FromServer) => client.send(message))
    client.on("message", (message: FromClient) => {
      if (message.kind === "askUsage") server.send(message)
      else settle(() => resolve(message.measurement))
    })
    for (const [role, process] of Object.entries({ server, client })) {
      process.on("error", (error) => settle(() => reject(error)))
      process.on("exit", (code, signal) => settle(() => reject(new Error(`the ${role} ended with ${code ?? signal}`))))
    }
  }).finally(() => {
    client.kill("SIGKILL")
    server.kill("SIGKILL")
  })
}
