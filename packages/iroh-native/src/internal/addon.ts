/** The native half: what it exports, and where it is found. */
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import type { Subtree } from "@aster-effect/iroh/Blake3"

/** What an endpoint is made of. */
export interface EndpointOptions {
  readonly addresses: ReadonlyArray<string>
  readonly alpns: ReadonlyArray<string>
  readonly secretKey?: Uint8Array | undefined
  readonly relay: "default" | "staging" | "disabled" | "custom"
  readonly relays: ReadonlyArray<string>
  readonly mapPorts: boolean
  readonly threaded: boolean
  /** Microseconds. */
  readonly spin: number
  /** Unread bytes that a stream may have on both sides of the binding. */
  readonly window: number
}

/**
 * An endpoint. Connections, streams, attempts and requests are numbers; all calls return at once, and what comes of
 * them is told by events (`events.ts`).
 */
export interface NativeEndpoint {
  /** Why it runs on a thread of its own although that was not asked for. */
  readonly fallback: string | null
  /** The relay's URL, or nothing, and then the direct addresses. */
  addr(): ReadonlyArray<string>
  setAlpns(alpns: ReadonlyArray<string>): void
  connect(id: Uint8Array, relay: string | null, addresses: ReadonlyArray<string>, alpn: string): number
  acceptIncoming(credits: number): void
  takeIncoming(attempt: number): void
  challengeIncoming(attempt: number): boolean
  /** A stream, or 0: then an event brings it. */
  open(connection: number, bi: boolean): number
  acceptStreams(connection: number, bi: boolean, credits: number): void
  closeConnection(connection: number, code: number, reason: Uint8Array): void
  bytesReceived(connection: number): number
  /** How many bytes are queued now; -1 when nobody will send them. */
  write(stream: number, bytes: Uint8Array): number
  finish(stream: number): void
  reset(stream: number, code: number): void
  stop(stream: number, code: number): void
  discard(stream: number): void
  /** From now on the stream's bytes are not told as data but wait to be taken. The first addons did not have it: they go on. */
  keep?(stream: number): void
  /** Moves bytes that wait to `room` and answers how many those are. */
  take(stream: number, room: Uint8Array): number
  consumed(stream: number, bytes: number): void
  flush(): void
  close(): void
  /** Connections, streams and attempts that there are. */
  alive(): ReadonlyArray<number>
}

export interface Addon {
  readonly NativeEndpoint: {
    /** `meta` has 8 numbers for each event of a call of `onEvents`. */
    readonly bind: (
      options: EndpointOptions,
      meta: Int32Array,
      onEvents: (count: number, bytes: Uint8Array) => void
    ) => NativeEndpoint
  }
  readonly blake3Subtree: Subtree
  readonly interfaceVersion: () => number
}

/** Goes up with every change of what is above or in `events.ts` that the other side has to know; `lib.rs` has the same. */
const interfaceVersion = 2

const require = createRequire(import.meta.url)

/** This platform in the names of files and packages, as in "linux-x64-gnu". */
export const target = (): string => {
  const { arch, platform } = process
  if (platform === "win32") return `${platform}-${arch}-msvc`
  if (platform !== "linux") return `${platform}-${arch}`
  return `${platform}-${arch}-${isGlibc() ? "gnu" : "musl"}`
}

const isGlibc = (): boolean => {
  const report: unknown = process.report.getReport()
  if (typeof report !== "object" || report === null || !("header" in report)) return false
  const { header } = report
  return typeof header === "object" && header !== null && "glibcVersionRuntime" in header
}

/** One that was built here goes before one that was installed. */
const find = (): string | undefined => {
  const built = fileURLToPath(new URL(`../../native/iroh-native.${target()}.node`, import.meta.url))
  if (existsSync(built)) return built
  try {
    return require.resolve(`@aster-effect/iroh-native-${target()}`)
  } catch {
    return undefined
  }
}

let loaded: Addon | undefined

/** The addon; undefined where there is none. Throws when there is one that cannot be used. */
export const loadAddon = (): Addon | undefined => {
  if (loaded !== undefined) return loaded
  const path = find()
  if (path === undefined) return undefined
  const addon: Partial<Addon> = require(path)
  if (addon.interfaceVersion?.() !== interfaceVersion) throw new Error(`${path} belongs to another version`)
  loaded = addon as Addon
  return loaded
}
