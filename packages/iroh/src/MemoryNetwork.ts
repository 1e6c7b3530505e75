/**
 * A network inside the process, for tests and for programs whose parts talk to each other without sockets.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type { EndpointId } from "./EndpointId.ts"
import { Fabric } from "./internal/memory.ts"

/** How the network behaves. */
export interface MemoryNetworkOptions {
  /** Time that anything takes from one node to another. Default: 0. */
  readonly latency?: Duration.Input | undefined
  /** Bytes that the sender of a stream may be ahead of its reader. Default: 64 KiB. */
  readonly window?: number | undefined
  /** Streams of a kind that one side of a connection may have open. Default: 100. */
  readonly maxStreams?: number | undefined
  /** How long after its loss a peer's connections are given up. Default: 30 seconds. */
  readonly idleTimeout?: Duration.Input | undefined
}

/** The network that nodes made with `IrohNode.layerMemory` share. Time is the `Clock` of whoever builds the layer. */
export class MemoryNetwork extends Context.Service<
  MemoryNetwork,
  {
    /** Where nodes plug in; of use to `IrohNode.layerMemory` only. */
    readonly fabric: Fabric
    /**
     * Unplugs a node without a goodbye: nothing reaches it or comes from it any more, and its connections end with
     * `TimedOut` on both sides after the idle timeout.
     */
    readonly lose: (id: EndpointId) => Effect.Effect<void>
    /** Changes the time that anything takes from one node to another; what is under way keeps its own. */
    readonly setLatency: (latency: Duration.Input) => Effect.Effect<void>
  }
>()("@aster-effect/iroh/MemoryNetwork") {
  /** A new network. Build it once and give it to all the nodes that should meet. */
  static readonly layer = (options: MemoryNetworkOptions = {}): Layer.Layer<MemoryNetwork> =>
    Layer.effect(
      MemoryNetwork,
      Effect.gen(function* () {
        const run = yield* FiberSet.makeRuntime<never, void, never>()
        let latency = Duration.fromInputUnsafe(options.latency ?? 0)
        const idleTimeout = Duration.fromInputUnsafe(options.idleTimeout ?? "30 seconds")
        const after = (delayNow: () => Duration.Duration) => (task: () => void) => {
          const delay = delayNow()
          if (Duration.isZero(delay)) queueMicrotask(task)
          else run(Effect.andThen(Effect.sleep(delay), Effect.sync(task)))
        }
        const fabric = new Fabric(
          after(() => latency),
          after(() => idleTimeout),
          {
            window: options.window ?? 64 * 1024,
            streams: options.maxStreams ?? 100
          }
        )
        return {
          fabric,
          lose: (id) => Effect.sync(() => fabric.lose(id)),
          setLatency: (changed) =>
            Effect.sync(() => {
              latency = Duration.fromInputUnsafe(changed)
            })
        }
      })
    )
}
