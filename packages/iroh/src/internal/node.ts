import type * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as Binding from "../Binding.ts"
import type { Connection } from "../Connection.ts"
import type { IrohNode } from "../IrohNode.ts"
import type { NodeAddr } from "../NodeAddr.ts"
import { ConnectError, type ConnectFailure, NodeClosed } from "../NodeError.ts"
import type { NodeOptions } from "../NodeOptions.ts"
import { supervise } from "../Supervisor.ts"
import * as SecretKey from "../SecretKey.ts"
import { Dialled } from "./dialled.ts"

const closeTimeout = "3 seconds"

/** A collected endpoint takes its connections along, so each is held here until it is closed. */
const roots = new Set<Binding.Endpoint>()

/** A node on the endpoint that `bind` makes of a key, closed with the scope. */
export const makeNode = Effect.fnUntraced(function* <E, R>(
  bind: (secretKey: SecretKey.SecretKey) => Effect.Effect<Binding.Endpoint, E, R>,
  options: NodeOptions
): Effect.fn.Return<IrohNode["Service"], E, R | Scope.Scope> {
  const secretKey = options.secretKey ?? (yield* SecretKey.generate)
  const incoming = yield* Queue.bounded<Connection, Cause.Done>(options.backlog ?? 64)
  const { close, endpoint } = yield* Effect.acquireRelease(
    Effect.flatMap(bind(secretKey), (endpoint) =>
      Effect.map(closing(endpoint, incoming), (close) => ({ endpoint, close }))
    ),
    ({ close }) => close
  )
  const alpns = new Set(options.alpns)
  const dialled = new Dialled()
  const scope = yield* Effect.scope
  yield* supervise("the accept loop of the node", acceptLoop(endpoint, incoming, options)).pipe(
    Effect.ensuring(Queue.end(incoming)),
    Effect.forkScoped
  )

  return {
    endpointId: endpoint.endpointId,
    binding: endpoint.binding,
    boundSockets: endpoint.boundSockets,
    sign: SecretKey.signer(secretKey),
    address: Effect.sync(() => endpoint.address()),
    advertise: (more) =>
      Effect.sync(() => {
        for (const alpn of more) alpns.add(alpn)
        endpoint.setAlpns([...alpns])
      }),
    connect: (addr, alpn, connectOptions) =>
      Effect.tap(
        dialled.unheld(addr, connect(endpoint, addr, alpn, connectOptions?.timeout ?? "30 seconds")),
        (connection) => Effect.forkIn(dialled.remember(connection, addr), scope, { startImmediately: true })
      ),
    accept: Effect.catchTag(Queue.take(incoming), "Done", () => Effect.fail(new NodeClosed())),
    close
  }
})

/** Holds the endpoint until the answer, an effect that does its work once, has closed it. */
const closing = (
  endpoint: Binding.Endpoint,
  incoming: Queue.Queue<Connection, Cause.Done>
): Effect.Effect<Effect.Effect<void>> => {
  roots.add(endpoint)
  return Queue.end(incoming).pipe(
    // Closing cannot be called back: the wait for it is bounded, not itself.
    Effect.andThen(Effect.forkDetach(Effect.promise(() => endpoint.close()))),
    Effect.flatMap(Fiber.join),
    Effect.timeoutOption(closeTimeout),
    Effect.ignoreCause({ log: true }),
    Effect.andThen(Effect.sync(() => roots.delete(endpoint))),
    Effect.uninterruptible,
    Effect.cached
  )
}

/**
 * Dials, and after a while once more beside that: of the dials that a busy peer asks to prove their address, iroh's transport
 * (1.0 to 1.4) sends one in some hundreds no further, until it gives up after half a minute.
 */
const connect = (
  endpoint: Binding.Endpoint,
  addr: NodeAddr,
  alpn: string,
  timeout: Duration.Input
): Effect.Effect<Connection, ConnectError> => {
  const failed = (reason: ConnectFailure) =>
    Effect.fail(new ConnectError({ reason, endpointId: addr.endpointId, alpn }))
  const dial = settle(() => endpoint.connect(addr, alpn))
  const again = Effect.catch(Effect.delay(dial, AGAIN_AFTER), () => Effect.never)
  return Effect.raceFirst(dial, again).pipe(
    Effect.catch((cause) => failed(endpoint.connectFailure(cause))),
    Effect.timeoutOrElse({ duration: timeout, orElse: () => failed({ _tag: "TimedOut" }) })
  )
}

/** Most dials are answered long before. */
const AGAIN_AFTER = "2 seconds"

/**
 * Takes connections in until the endpoint is closed, `maxHandshakes` at a time. Of these, peers that have not proven
 * their address get half: anybody can begin handshakes from addresses that are not theirs, and leave them.
 */
const acceptLoop = Effect.fnUntraced(function* (
  endpoint: Binding.Endpoint,
  incoming: Queue.Queue<Connection, Cause.Done>,
  options: NodeOptions
) {
  const maxHandshakes = options.maxHandshakes ?? 64
  const handshakes = yield* Semaphore.make(maxHandshakes)
  let running = 0
  const timeout = options.handshakeTimeout ?? "10 seconds"
  while (true) {
    yield* Semaphore.take(handshakes, 1)
    const attempt = yield* Effect.promise(() => endpoint.acceptNext())
    if (attempt === undefined) return
    const handshake = settle(attempt.accept).pipe(
      Effect.timeout(timeout),
      Effect.flatMap((connection) => Queue.offer(incoming, connection))
    )
    const comesAgain = 2 * running++ < maxHandshakes ? Effect.succeed(false) : Effect.promise(attempt.challenge)
    yield* comesAgain.pipe(
      Effect.flatMap((challenged) => (challenged ? Effect.void : handshake)),
      Effect.catchCause((cause) => Effect.logDebug("An incoming handshake failed", cause)),
      Effect.ensuring(
        Effect.suspend(() => {
          running--
          return Semaphore.release(handshakes, 1)
        })
      ),
      Effect.forkChild({ startImmediately: true })
    )
  }
})

/**
 * Waits for a handshake. It cannot be called back: when nobody waits any more, the connection that may still come
 * about is closed.
 */
const settle = (handshake: () => Promise<Connection>): Effect.Effect<Connection, unknown> =>
  Effect.callback((resume) => {
    let left = false
    handshake().then(
      (connection) => {
        if (left) Effect.runSync(connection.close(0, ""))
        else resume(Exit.succeed(connection))
      },
      (cause: unknown) => resume(Exit.fail(cause))
    )
    return Effect.sync(() => {
      left = true
    })
  })
