/** What the client process of a pair measures, phase by phase, on one connection. */
import type { Client, Connection } from "./Peer.ts"
import { incompressible, jsonLike, Size } from "./Payload.ts"
import { median, quantile } from "./Statistics.ts"

/** Messages of `Size.small` bytes in a measured server stream. */
export const STREAM_MESSAGES = 10_000

/** What a process has used so far. */
export interface Usage {
  /** User and system CPU seconds since it started, native threads included. */
  readonly cpuSeconds: number
  /** Resident memory now, in bytes. */
  readonly rss: number
}

/** The usage of this process. */
export const usage = (): Usage => {
  const { system, user } = process.cpuUsage()
  return { cpuSeconds: (user + system) / 1e6, rss: process.memoryUsage.rss() }
}

/** The results of one pair of processes. MB are 10^6 bytes, one way; an echo brings the same amount back. */
export interface Measurement {
  /** Milliseconds for a new connection in a warm process up to its first answer, median. */
  readonly connectMs: number
  /** 100 B unary calls, one at a time: latency in microseconds. */
  readonly p50Us: number
  readonly p99Us: number
  /** 100 B unary calls, 64 at a time. */
  readonly callsPerSecond: number
  /** 64 KiB incompressible echo, 8 at a time. */
  readonly mediumMBs: number
  /** 1 MiB incompressible echo, 4 at a time. */
  readonly largeMBs: number
  /** 64 KiB JSON-like echo, 8 at a time; only for peers that compress. */
  readonly jsonMBs?: number | undefined
  /** 100 B messages of one server stream. */
  readonly messagesPerSecond: number
  /** CPU seconds per 10,000 calls of the x64 phase. */
  readonly serverCpu: number
  readonly clientCpu: number
  /** At the end, after all phases. */
  readonly server: Usage
  readonly client: Usage
}

interface Loop {
  readonly concurrency: number
  readonly seconds: number
}

interface LoopResult {
  readonly calls: number
  readonly seconds: number
  readonly latenciesUs: ReadonlyArray<number>
}

/** Closed loop: each of `concurrency` workers sends its next call when its last one was answered. */
const repeat = async (call: () => Promise<void>, { concurrency, seconds }: Loop): Promise<LoopResult> => {
  const latenciesUs: Array<number> = []
  const start = performance.now()
  const end = start + seconds * 1000
  const worker = async () => {
    for (let before = performance.now(); before < end;) {
      await call()
      const after = performance.now()
      latenciesUs.push((after - before) * 1000)
      before = after
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return { calls: latenciesUs.length, seconds: (performance.now() - start) / 1000, latenciesUs }
}

/** A unary call that fails unless the payload comes back: every byte the first time, its length from then on. */
const checkedEcho = async (connection: Connection, payload: Uint8Array) => {
  const first = await connection.echo(payload)
  if (Buffer.compare(first, payload) !== 0) throw new Error(`An echo of ${payload.length} bytes came back changed.`)
  return async () => {
    const { length } = await connection.echo(payload)
    if (length !== payload.length) throw new Error(`An echo of ${payload.length} bytes came back with ${length}.`)
  }
}

const connectMs = async (client: Client) => {
  const payload = incompressible(Size.small)
  const samples: Array<number> = []
  for (let i = 0; i < 40; i++) {
    const start = performance.now()
    const connection = await client.connect()
    await connection.echo(payload)
    samples.push(performance.now() - start)
    await connection.close()
  }
  return median(samples.slice(20))
}

const megabytesPerSecond = async (connection: Connection, payload: Uint8Array, loop: Loop) => {
  const echo = await checkedEcho(connection, payload)
  await repeat(echo, { ...loop, seconds: loop.seconds / 6 })
  const { calls, seconds } = await repeat(echo, loop)
  return (calls * payload.length) / seconds / 1e6
}

const messagesPerSecond = async (connection: Connection) => {
  const rates: Array<number> = []
  for (let i = 0; i < 4; i++) {
    const start = performance.now()
    const received = await connection.stream(STREAM_MESSAGES, Size.small)
    if (received !== STREAM_MESSAGES) throw new Error(`A stream of ${STREAM_MESSAGES} messages brought ${received}.`)
    rates.push((received / (performance.now() - start)) * 1000)
  }
  return median(rates.slice(1))
}

/**
 * Runs all phases, each after a warm-up of its own. `scale` stretches the time they take (1 is about 17 seconds in
 * all); `serverUsage` asks the other process. Rejects when a call fails or brings something else than was asked for.
 */
export const measure = async (
  client: Client,
  serverUsage: () => Promise<Usage>,
  { compresses, scale }: { readonly compresses: boolean; readonly scale: number }
): Promise<Measurement> => {
  const connectedMs = await connectMs(client)
  const connection = await client.connect()
  const echo = await checkedEcho(connection, incompressible(Size.small))

  // Until the compiler has settled: layers of JavaScript take longer for that than a bare binding.
  await repeat(echo, { concurrency: 16, seconds: 1.5 * scale })
  await repeat(echo, { concurrency: 1, seconds: scale })
  const { latenciesUs } = await repeat(echo, { concurrency: 1, seconds: 2 * scale })

  await repeat(echo, { concurrency: 64, seconds: 0.5 * scale })
  const [serverBefore, clientBefore] = [await serverUsage(), usage()]
  const concurrent = await repeat(echo, { concurrency: 64, seconds: 2.5 * scale })
  const [serverAfter, clientAfter] = [await serverUsage(), usage()]
  const per10k = (before: Usage, after: Usage) => ((after.cpuSeconds - before.cpuSeconds) / concurrent.calls) * 10_000

  const medium = { concurrency: 8, seconds: 2 * scale }
  const result = {
    connectMs: connectedMs,
    p50Us: quantile(latenciesUs, 0.5),
    p99Us: quantile(latenciesUs, 0.99),
    callsPerSecond: concurrent.calls / concurrent.seconds,
    serverCpu: per10k(serverBefore, serverAfter),
    clientCpu: per10k(clientBefore, clientAfter),
    mediumMBs: await megabytesPerSecond(connection, incompressible(Size.medium), medium),
    jsonMBs: compresses ? await megabytesPerSecond(connection, jsonLike(Size.medium), medium) : undefined,
    largeMBs: await megabytesPerSecond(connection, incompressible(Size.large), {
      concurrency: 4,
      seconds: 2.5 * scale
    }),
    messagesPerSecond: await messagesPerSecond(connection)
  }
  return { ...result, server: await serverUsage(), client: usage() }
}
