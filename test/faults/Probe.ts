/**
 * A service whose handlers never come to an end by themselves, and tell how they ended.
 */
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

export class Item extends Wire.Class<Item>("probe/Item")({ value: Wire.Int }) {}

export const Probe = Service.make("Probe").add(
  Rpc.unary("echo", { request: Item, response: Item }),
  Rpc.unary("hang", { request: Item, response: Item }),
  Rpc.serverStream("drip", { request: Item, response: Item }),
  Rpc.clientStream("collect", { request: Item, response: Item }),
  Rpc.bidi("talk", { request: Item, response: Item })
)

/** What handlers did, in order. */
export interface Watcher {
  /** `started hang`, `received 1`, `input ended`, `interrupted hang`, `ended hang`. */
  readonly next: Effect.Effect<string>
  readonly layer: Layer.Layer<Service.Handlers<"Probe">>
}

export const make: Effect.Effect<Watcher> = Effect.gen(function* () {
  const events = yield* Queue.unbounded<string>()
  const tell = (event: string) => Effect.asVoid(Queue.offer(events, event))
  const told = (method: string, exit: Exit.Exit<unknown, unknown>) =>
    tell(`${Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "ended"} ${method}`)
  const heard = <E>(requests: Stream.Stream<Item, E>) =>
    requests.pipe(
      Stream.tap(({ value }) => tell(`received ${value}`)),
      Stream.onEnd(tell("input ended"))
    )
  const watched = (method: string, body: Effect.Effect<Item, Cause.YieldableError>) =>
    Effect.onExit(Effect.andThen(tell(`started ${method}`), body), (exit) => told(method, exit)) as never
  const streamed = (method: string, body: Stream.Stream<Item, Cause.YieldableError>) =>
    Stream.onExit(Stream.concat(Stream.fromEffectDrain(tell(`started ${method}`)), body), (exit) =>
      told(method, exit)
    ) as never
  return {
    next: Queue.take(events).pipe(
      Effect.timeoutOrElse({ duration: "1 minute", orElse: () => Effect.die(new Error("no handler did anything")) })
    ),
    layer: Probe.toLayer({
      echo: (item) => Effect.succeed(item),
      hang: () => watched("hang", Effect.never),
      drip: (item) => streamed("drip", Stream.concat(Stream.make(item), Stream.never)),
      collect: (items) => watched("collect", Effect.andThen(Stream.runDrain(heard(items)), Effect.never)),
      talk: (items) => streamed("talk", Stream.concat(heard(items), Stream.never))
    })
  }
})
