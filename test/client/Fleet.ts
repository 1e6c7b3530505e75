/** Several producers of one service, in memory, that die and come back. */
import type { AsterClientOptions } from "@aster-effect/client/AsterClient"
import { AsterClient, type ConnectFailure } from "@aster-effect/client/AsterClient"
import * as Wire from "@aster-effect/core/message/Wire"
import { CallContext } from "@aster-effect/core/interceptor/CallContext"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import type { AsterServer, AsterServerOptions } from "@aster-effect/server/AsterServer"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { memoryNode, scenario, serve, settings } from "../admission/Deployment.ts"

export class Question extends Wire.Class<Question>("fleet/Question")({
  number: Wire.Float64,
  millis: Wire.Float64,
  note: Wire.String.pipe(Wire.withDefault(""))
}) {}
export class Reply extends Wire.Class<Reply>("fleet/Reply")({ number: Wire.Float64, by: Wire.String }) {}

const messages = { request: Question, response: Reply }

/** `ask` may be repeated, `tell` may not. Both take as long as they are told. */
export const Oracle = Service.make("Oracle").add(
  Rpc.unary("ask", { ...messages, idempotent: true }),
  Rpc.unary("tell", messages),
  Rpc.serverStream("list", messages),
  Rpc.clientStream("gather", messages)
)

/** What the producers have been asked. */
export class Ledger {
  readonly begun = new Map<EndpointId, number>()
  /** Numbers of questions, as often as they were begun with. */
  readonly numbers = new Map<number, number>()

  count(by: EndpointId, number: number): void {
    this.begun.set(by, (this.begun.get(by) ?? 0) + 1)
    this.numbers.set(number, (this.numbers.get(number) ?? 0) + 1)
  }
}

const oracle = (by: EndpointId, ledger: Ledger) => {
  const answer = ({ millis, number }: Question) =>
    CallContext.use(() =>
      Effect.suspend(() => {
        ledger.count(by, number)
        return Effect.as(Effect.sleep(Duration.millis(millis)), new Reply({ number, by }))
      })
    )
  return Oracle.toLayer({
    ask: answer,
    tell: answer,
    list: (question) => Stream.fromEffect(answer(question)).pipe(Stream.concat(Stream.fromEffect(answer(question)))),
    gather: (questions) =>
      Effect.flatMap(
        Stream.runFold(
          questions,
          () => 0,
          (sum, { number }) => sum + number
        ),
        (number) => answer(new Question({ number, millis: 0 }))
      )
  })
}

export interface Member {
  readonly id: EndpointId
  readonly server: AsterServer["Service"]
  /** Ends it as an operator would: what runs may finish. */
  readonly stop: Effect.Effect<void>
  /** Ends it without a word. */
  readonly lose: Effect.Effect<void>
}

/** A producer with the n-th key. What was lost before is back with it. */
export const member = Effect.fnUntraced(function* (
  n: number,
  ledger: Ledger,
  options: AsterServerOptions = {}
): Effect.fn.Return<Member, never, MemoryNetwork | Scope.Scope> {
  const network = yield* MemoryNetwork
  const scope = yield* Scope.fork(yield* Effect.scope)
  const node = yield* memoryNode({ secretKey: SecretKey.fromBytes(new Uint8Array(32).fill(n)) }).pipe(
    Scope.provide(scope)
  )
  const server = yield* serve(
    node,
    { config: settings(), publish: false, ...options },
    oracle(node.endpointId, ledger)
  ).pipe(Effect.orDie, Scope.provide(scope))
  const stop = Scope.close(scope, Exit.void)
  return {
    id: node.endpointId,
    server,
    stop,
    lose: Effect.andThen(network.lose(node.endpointId), Effect.asVoid(Effect.forkDetach(stop)))
  }
})

/** A consumer of several producers. */
export const consumer = Effect.fnUntraced(function* (
  options: AsterClientOptions
): Effect.fn.Return<AsterClient["Service"], ConnectFailure, MemoryNetwork | Scope.Scope> {
  const node = yield* memoryNode()
  const layer = Layer.fresh(AsterClient.layerOnNode({ config: settings(), ...options }))
  return Context.get(yield* Effect.provideService(Layer.build(layer), IrohNode, node), AsterClient)
})

/** Lets time pass, and what is done outside of it, until an effect has ended. */
export const whileTimePasses = Effect.fnUntraced(function* <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  step: Duration.Input = "20 millis"
) {
  const running = yield* Effect.forkChild(effect, { startImmediately: true })
  // Time that is interrupted while it passes stands still for ever.
  while (running.pollUnsafe() === undefined) {
    yield* TestClock.adjust(step)
    yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
  }
  return yield* Fiber.join(running)
})

/** A scenario in whose end time passes too: producers that go down give what runs some of it. */
export const fleet = (title: string, body: () => Effect.Effect<void, unknown, MemoryNetwork | Scope.Scope>): void =>
  scenario(title, () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const exit = yield* Effect.exit(Scope.provide(body(), scope))
      yield* whileTimePasses(Scope.close(scope, exit))
      return yield* exit
    })
  )
