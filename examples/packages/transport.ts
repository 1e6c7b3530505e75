import { pair } from "@aster-effect/transport/LocalTransport"
import * as Effect from "effect/Effect"

// What a call goes through, on a network or here: bytes in, bytes out, and an end.
const [client, server] = pair()

const program = Effect.gen(function* () {
  yield* client.send(new TextEncoder().encode("request"))
  yield* client.finish
  console.log(new TextDecoder().decode(yield* server.receive))
  console.log(yield* server.receive)
})

await Effect.runPromise(program)
