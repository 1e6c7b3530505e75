/** One consumer, two producers: one of them goes, and no call is lost. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

class Ticker extends Wire.Class<Ticker>("quotes/Ticker")({ symbol: Wire.String }) {}
class Quote extends Wire.Class<Quote>("quotes/Quote")({ cents: Wire.Int, by: Wire.String }) {}

// Asking twice does no harm: that is what lets a call be repeated at another producer.
const Quotes = Service.make("Quotes").add(Rpc.unary("latest", { request: Ticker, response: Quote, idempotent: true }))

const producer = (name: string) =>
  AsterServer.layer({ node: loopback }).pipe(
    Layer.provide(Quotes.toLayer({ latest: () => Effect.succeed(new Quote({ cents: 4200, by: name })) })),
    Layer.fresh,
    Layer.build,
    Effect.map(Context.get(AsterServer))
  )

const program = Effect.gen(function* () {
  const [one, two] = [yield* producer("one"), yield* producer("two")]
  const consumer = AsterClient.layer({ producers: [one.address, two.address], node: loopback })
  const aster = Context.get(yield* Layer.build(consumer), AsterClient)
  const quotes = yield* aster.client(Quotes)

  const ask = Effect.map(quotes.latest(new Ticker({ symbol: "ACME" }), { timeout: "10 seconds" }), ({ by }) => by)
  const askedOften = Effect.map(Effect.all(Array.from({ length: 20 }, () => ask)), (names) => new Set(names))
  // Calls go to whoever has let us in by now; the second producer may need a moment longer.
  yield* Effect.repeat(askedOften, { until: (names) => names.size === 2 })
  console.log("both answer")

  yield* one.close
  console.log("one is gone, and 20 calls are answered by", ...(yield* askedOften))
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Logger.layer([]))))
