/** A process of bench/scale.ts: `scaleChild.ts server|client native|number0 [address]`. It does what it is told, and says so. */
import * as AsterClient from "@aster-effect/client/AsterClient"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { type IrohNodeOptions, loopback } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import { setTimeout as sleep } from "node:timers/promises"
import { type Usage, usage } from "./Measurement.ts"
import { incompressible, Size } from "./Payload.ts"
import { Bench, BenchLive, Payload } from "./peers/aster.ts"

/** What a process is asked for. */
export type Order =
  | { readonly kind: "usage" }
  /** Opens as many further nodes, between which `connect` takes turns; without any the process has one. */
  | { readonly kind: "nodes"; readonly count: number }
  /** Opens as many further connections and keeps them; no more once the time is over or one has failed. */
  | { readonly kind: "connect"; readonly count: number; readonly seconds: number }
  /** Makes as many consumers, each with a connection of its own; no more once one has failed. */
  | { readonly kind: "consume"; readonly count: number }
  /** Calls with the first consumer, so many at a time. */
  | { readonly kind: "call"; readonly concurrency: number; readonly seconds: number }
  /** Calls once a second with each consumer. */
  | { readonly kind: "pace"; readonly seconds: number }

/** What it answers. */
export interface Report {
  readonly usage: Usage
  readonly address?: string | undefined
  readonly opened?: number | undefined
  /** Why no more were opened, or the first call that failed. */
  readonly failure?: string | undefined
  readonly calls?: number | undefined
  readonly seconds?: number | undefined
  readonly latenciesUs?: ReadonlyArray<number> | undefined
}

const [role, binding, address = ""] = process.argv.slice(2)
if (binding !== "native" && binding !== "number0") throw new Error("This program is started by scale.ts.")
const node: IrohNodeOptions = { ...loopback, binding }

const measured = (report: Omit<Report, "usage"> = {}): Report => {
  globalThis.gc?.()
  return { ...report, usage: usage() }
}

const serving = async (): Promise<(order: Order) => Promise<Report>> => {
  // Whoever measures how many connections fit must not be kept from opening them.
  const many = { maxConnections: 100_000, maxConnectionsPerPeer: 100_000 }
  const runtime = ManagedRuntime.make(AsterServer.layer({ node, ...many }).pipe(Layer.provide(BenchLive)))
  const served = await runtime.runPromise(AsterServer.useSync(({ address }) => address))
  return () => Promise.resolve(measured({ address: served }))
}

const consuming = async (): Promise<(order: Order) => Promise<Report>> => {
  const runtime = ManagedRuntime.make(IrohNode.layer(node))
  await runtime.runPromise(Effect.void)
  const producer = NodeAddr.parse(address)
  const nodes: Array<IrohNode["Service"]> = []
  const held: Array<unknown> = []
  const echoes: Array<() => Promise<unknown>> = []
  const small = incompressible(Size.small)
  const consumer = Effect.gen(function* () {
    const aster = yield* AsterClient.make({ address, maxConnections: 64 })
    const { echo } = yield* aster.client(Bench)
    // The connection for calls is opened by the first one.
    yield* echo(new Payload({ data: small }))
    return () => runtime.runPromise(echo(new Payload({ data: small })))
  })
  const orders = async (order: Order): Promise<Report> => {
    switch (order.kind) {
      case "usage":
        return measured()
      case "nodes": {
        for (let i = 0; i < order.count; i++) {
          const made = Layer.buildWithScope(Layer.fresh(IrohNode.layer(node)), Scope.makeUnsafe())
          nodes.push(Context.get(await Effect.runPromise(made), IrohNode))
        }
        return measured()
      }
      case "connect": {
        const own = await runtime.runPromise(IrohNode)
        const start = performance.now()
        const end = start + order.seconds * 1000
        let opened = 0
        const open = Effect.fnUntraced(function* (i: number) {
          if (performance.now() > end) return yield* Effect.fail(new Error(`${order.seconds} s are over`))
          held.push(yield* (nodes[i % nodes.length] ?? own).connect(producer, RpcConnection.ALPN))
          opened++
        })
        const all = Effect.forEach(Array.from({ length: order.count }).keys(), open, { concurrency: 16, discard: true })
        const failure = await Effect.runPromise(
          Effect.match(all, { onSuccess: () => undefined, onFailure: ({ message }) => message })
        )
        const seconds = (performance.now() - start) / 1000
        return measured({ opened, failure, seconds })
      }
      case "consume": {
        const make = Effect.map(consumer, (echo) => void echoes.push(echo))
        const all = Effect.forEach(Array.from({ length: order.count }), () => make, { concurrency: 4, discard: true })
        const failure = await runtime.runPromise(
          // They live as long as the process.
          Effect.provideService(all, Scope.Scope, Scope.makeUnsafe()).pipe(
            Effect.match({ onSuccess: () => undefined, onFailure: ({ message }) => message })
          )
        )
        return measured({ opened: echoes.length, failure })
      }
      case "call": {
        const latenciesUs: Array<number> = []
        const echo = echoes[0]!
        const start = performance.now()
        const end = start + order.seconds * 1000
        const worker = async () => {
          for (let before = performance.now(); before < end;) {
            await echo()
            const after = performance.now()
            latenciesUs.push((after - before) * 1000)
            before = after
          }
        }
        await Promise.all(Array.from({ length: order.concurrency }, worker))
        return measured({ calls: latenciesUs.length, seconds: (performance.now() - start) / 1000, latenciesUs })
      }
      case "pace": {
        const latenciesUs: Array<number> = []
        let failure: string | undefined
        const start = performance.now()
        const caller = async (echo: () => Promise<unknown>, i: number) => {
          for (let round = 0; round < order.seconds; round++) {
            const due = start + 1000 * (round + i / echoes.length)
            await sleep(Math.max(0, due - performance.now()))
            const before = performance.now()
            try {
              await echo()
              latenciesUs.push((performance.now() - before) * 1000)
            } catch (error) {
              failure ??= String(error)
            }
          }
        }
        await Promise.all(echoes.map(caller))
        return measured({
          failure,
          calls: latenciesUs.length,
          seconds: (performance.now() - start) / 1000,
          latenciesUs
        })
      }
    }
  }
  return orders
}

const obey = await (role === "server" ? serving() : consuming())
process.on("disconnect", () => process.exit(0))
process.on("message", (order: Order) => {
  void obey(order).then(
    (report) => process.send?.(report),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    }
  )
})
process.send?.(await obey({ kind: "usage" }))
