/** The devtools of Effect see the spans of calls: their own server is at the other end of a WebSocket. */
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as DevToolsServer from "effect/devtools/DevToolsServer"
import type * as DevToolsSchema from "effect/devtools/DevToolsSchema"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as SocketServer from "effect/socket/SocketServer"
import { program } from "../../examples/interceptors/devtools.ts"

it.live("a call is one trace in the devtools: what called it, the client's span, and the server's", () =>
  Effect.gen(function* () {
    const ended = yield* Queue.unbounded<DevToolsSchema.Span>()
    yield* Effect.forkScoped(
      DevToolsServer.run(({ queue }) =>
        Effect.forever(
          Effect.flatMap(Queue.take(queue), (message) =>
            message._tag === "Span" && message.status._tag === "Ended" ? Queue.offer(ended, message) : Effect.void
          )
        )
      )
    )
    const { address } = yield* SocketServer.SocketServer
    assert.notStrictEqual(address._tag, "UnixPathAddress")
    yield* program(`ws://127.0.0.1:${"port" in address ? address.port : 0}`)
    const seen = new Map<string, DevToolsSchema.Span>()
    while (seen.size < 3) {
      const span = yield* Queue.take(ended)
      if (span.name === "shopping") seen.set(span.name, span)
      if (span.name === "Orders/place")
        seen.set(span.parent._tag === "Some" && "name" in span.parent.value ? "client" : "server", span)
    }
    const [caller, client, server] = ["shopping", "client", "server"].map((name) => seen.get(name)!)
    assert.strictEqual(Option.getOrThrow(client!.parent).spanId, caller!.spanId)
    assert.strictEqual(Option.getOrThrow(server!.parent).spanId, client!.spanId)
    assert.strictEqual(new Set([caller!.traceId, client!.traceId, server!.traceId]).size, 1)
    assert.strictEqual(server!.attributes.get("rpc.response.status_code"), "OK")
  }).pipe(Effect.scoped, Effect.provide(NodeSocketServer.layerWebSocket({ host: "127.0.0.1", port: 0 })))
)
