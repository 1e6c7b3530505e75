import * as Effect from "effect/Effect"
import { type AddressInfo, createServer } from "node:net"

/** A TCP port of this machine that was free a moment ago. */
export const free: Effect.Effect<number> = Effect.promise(
  () =>
    new Promise((resolve) => {
      const server = createServer().listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        server.close(() => resolve(port))
      })
    })
)

/** What a request over HTTP is answered. */
export interface Answer {
  readonly status: number
  readonly type: string | null
  readonly text: string
}

/** Fetches a path from a port of this machine. */
export const get = (port: number, path: string, init: RequestInit = {}): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
    return { status: response.status, type: response.headers.get("content-type"), text: await response.text() }
  })
