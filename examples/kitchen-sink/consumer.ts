import { AsterClient } from "@aster-effect/client/AsterClient"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { TaskRequest, TaskRunner } from "../task-runner/TaskRunner.ts"
import { CountRequest, FailRequest, HelloRequest, KitchenSink, Number, SlowRequest } from "./KitchenSink.ts"

/** Calls a producer of these services in all four patterns, and some that fail. */
export const consumer = (address: string) =>
  Effect.gen(function* () {
    const aster = yield* AsterClient
    const kitchen = yield* aster.client(KitchenSink)
    const tasks = yield* aster.client(TaskRunner)
    const show = (call: string, result: unknown) => Console.log(`${call.padEnd(38)} -> ${JSON.stringify(result)}`)

    const task = yield* tasks.run_task(new TaskRequest({ task_id: "t-1", payload: "{}" }))
    yield* show("unary          TaskRunner.run_task", task)

    const counted = yield* Stream.runCollect(kitchen.count(new CountRequest({ to: 5 })))
    yield* show("server stream  KitchenSink.count", counted)

    const sum = yield* kitchen.sum(Stream.map(Stream.range(1, 100), (value) => new Number({ value })))
    yield* show("client stream  KitchenSink.sum", sum)

    const names = Stream.map(Stream.make("Ada", "Grace", "Edsger"), (name) => new HelloRequest({ name }))
    const replies = yield* Stream.runCollect(kitchen.chat(names))
    yield* show("bidi           KitchenSink.chat", replies)

    const failure = yield* Effect.flip(kitchen.fail(new FailRequest({ code: 5, message: "no such dish" })))
    yield* show("application error", `${failure.status}: ${failure.message}`)

    const late = yield* Effect.flip(kitchen.slow(new SlowRequest({ ms: 5_000 }), { timeout: "50 millis" }))
    yield* show("deadline", `${late.status}: ${late.message}`)

    const proxy = yield* aster.proxy("KitchenJson")
    yield* show("JSON proxy     KitchenJson.say_hello", yield* proxy.unary("say_hello", { name: "world" }))
  }).pipe(Effect.provide(AsterClient.layer({ address, node: loopback })))
