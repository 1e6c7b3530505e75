/** Links to several producers: admitted at each, opened again after they were lost, and the choice among them. */
import type { AdmissionReply } from "@aster-effect/admission/ConsumerAdmission"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { supervise } from "@aster-effect/iroh/Supervisor"
import type { Producers } from "@aster-effect/transport/Producers"
import type * as RpcDialer from "@aster-effect/transport/RpcDialer"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import { identity } from "effect/Function"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ProducerPool, type Strategy } from "../proto/ProducerPool.ts"

/** Producers that a client is linked with at a time. More would cost connections and spread nothing any better. */
const MAX_LINKS = 16
const MIN_BACKOFF = 200
const MAX_BACKOFF = 10_000
/** Between attempts at a producer that does not let us in. */
const DENIED_BACKOFF = 30_000
/** Between looks whether a producer that has calls to answer is there. */
const WATCH = "1 second"
/** For a sign of life before its calls are given up, those that can be made elsewhere. */
const SILENCE = "2 seconds"

/** For a producer that was linked before: it may come back while an attempt waits for it, unheard. */
const AGAIN = "3 seconds"

/** A client has nobody to tell that a loop was given up, so none is. */
const always = { maxFailures: Infinity }

const absent = RpcError.of("UNAVAILABLE", "it does not answer")

/** A producer that let us in, and the connections for calls to it. */
export interface Link {
  readonly producer: NodeAddr.NodeAddr
  readonly reply: AdmissionReply
  readonly dialer: RpcDialer.RpcDialer
  /** Fails once the producer gives no sign of life. What can be done elsewhere need not wait for it. */
  readonly silent: Deferred.Deferred<never, RpcError>
  /** Calls that run on it. */
  running: number
  /** No further calls: it closes when those that run are over. */
  ended: boolean
  readonly scope: Scope.Closeable
}

export interface LinkOptions<E> {
  readonly producers: Producers
  readonly strategy: Strategy
  /** Asks a producer for admission. */
  readonly admit: (producer: NodeAddr.NodeAddr) => Effect.Effect<AdmissionReply, E>
  /** Whether asking again soon can change the outcome. */
  readonly isFinal: (error: E) => boolean
  readonly dial: (lost: () => void) => Effect.Effect<RpcDialer.RpcDialer, never, Scope.Scope>
  readonly addressOf: (reply: AdmissionReply, producer: NodeAddr.NodeAddr) => NodeAddr.NodeAddr
}

export class ProducerLinks<E> {
  readonly #options: LinkOptions<E>
  readonly #pool: ProducerPool
  readonly #run: (effect: Effect.Effect<void>) => unknown
  /** All links are made in it. */
  readonly #scope: Scope.Scope
  readonly #links = new Map<EndpointId, Link>()
  /** What the producers that were linked at any time have said last, as far as they are listed. */
  readonly #replies = new Map<EndpointId, AdmissionReply>()
  readonly #failures = new Map<EndpointId, E | RpcError>()
  #changed = Deferred.makeUnsafe<void>()

  private constructor(
    options: LinkOptions<E>,
    pool: ProducerPool,
    scope: Scope.Scope,
    run: (effect: Effect.Effect<void>) => unknown
  ) {
    this.#options = options
    this.#pool = pool
    this.#scope = scope
    this.#run = run
  }

  /** Follows the source and keeps the links for as long as the scope is open. */
  static make<E>(options: LinkOptions<E>, random: () => number): Effect.Effect<ProducerLinks<E>, never, Scope.Scope> {
    return Effect.gen(function* () {
      const pool = new ProducerPool({
        strategy: options.strategy,
        maxLinks: MAX_LINKS,
        minBackoff: MIN_BACKOFF,
        maxBackoff: MAX_BACKOFF,
        random
      })
      const fork = yield* FiberSet.makeRuntime<never, void>()
      const run = (effect: Effect.Effect<void>) =>
        fork(Effect.catchDefect(effect, (defect) => Effect.logError("A task of a client's links failed", defect)))
      const links = new ProducerLinks(options, pool, yield* Effect.scope, run)
      yield* Effect.forkScoped(supervise("a client's list of producers", links.#follow, always))
      yield* Effect.forkScoped(supervise("the links of a client", links.#tend, always))
      return links
    })
  }

  /** Links that take calls. */
  get open(): ReadonlyArray<Link> {
    return [...this.#links.values()]
  }

  /** What the listed producers offered when they let us in last. */
  get replies(): ReadonlyArray<AdmissionReply> {
    return [...this.#replies.values()]
  }

  /** Why producers are not linked. */
  get failures(): ReadonlyMap<EndpointId, E | RpcError> {
    return this.#failures
  }

  /** Whether every producer that is listed is linked, or has been found not to be reachable at least once. */
  get settled(): boolean {
    const { linked, listed } = this.#pool.counts
    return listed > 0 && linked + this.#failures.size >= Math.min(listed, MAX_LINKS)
  }

  /** Whether there is nobody to wait for: every producer that is listed is linked. */
  get complete(): boolean {
    const { linked, listed } = this.#pool.counts
    return linked === Math.min(listed, MAX_LINKS)
  }

  /** Completes when anything has changed since this was read. */
  get changed(): Effect.Effect<void> {
    return Deferred.await(this.#changed)
  }

  /** The link for a call, of those that fit; undefined when there is none now. */
  choose(fits: (link: Link) => boolean): Link | undefined {
    const id = this.#pool.choose((id) => {
      const link = this.#links.get(id)
      return link !== undefined && fits(link)
    })
    return id === undefined ? undefined : this.#links.get(id)
  }

  /** Counts a call on a link for as long as it runs. */
  on<A, E2, R>(link: Link, call: Effect.Effect<A, E2, R>): Effect.Effect<A, E2, R> {
    return Effect.suspend(() => {
      this.enter(link)
      return Effect.ensuring(call, this.leave(link))
    })
  }

  enter(link: Link): void {
    link.running++
    this.#pool.called(link.producer.endpointId)
  }

  leave(link: Link): Effect.Effect<void> {
    return Effect.suspend(() => {
      link.running--
      this.#pool.answered(link.producer.endpointId)
      return this.#closeIfIdle(link)
    })
  }

  /** The producer takes no more calls on this link; another one is tried to be made. */
  end(link: Link, error: RpcError): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const { endpointId } = link.producer
      if (link.ended) return Effect.void
      link.ended = true
      if (this.#links.get(endpointId) === link) {
        this.#links.delete(endpointId)
        this.#failures.set(endpointId, error)
        this.#pool.failed(endpointId, now)
      }
      this.#notify()
      return Effect.andThen(
        this.#closeIfIdle(link),
        Effect.logDebug(`calls go to producer ${endpointId} no more: ${error.message}`)
      )
    })
  }

  #notify(): void {
    const changed = this.#changed
    this.#changed = Deferred.makeUnsafe()
    Deferred.doneUnsafe(changed, Effect.void)
  }

  readonly #follow: Effect.Effect<void> = Effect.suspend(() =>
    Stream.runForEach(this.#options.producers.changes, (producers) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const gone = this.#pool.list(producers, now)
        for (const id of gone) {
          this.#replies.delete(id)
          this.#failures.delete(id)
        }
        const links = gone.flatMap((id) => this.#links.get(id) ?? [])
        this.#notify()
        return Effect.forEach(
          links,
          (link) => {
            this.#links.delete(link.producer.endpointId)
            return this.end(link, RpcError.of("UNAVAILABLE", "it is listed no more"))
          },
          { discard: true }
        )
      })
    )
  )

  /** Makes links where they are wanted, whenever something has changed or it is time. */
  readonly #tend: Effect.Effect<never> = Effect.forever(
    Effect.gen({ self: this }, function* () {
      const { changed } = this
      const now = yield* Clock.currentTimeMillis
      for (const { address } of this.#pool.begin(now)) this.#run(this.#link(address))
      const { nextAt } = this.#pool
      yield* nextAt === undefined
        ? changed
        : Effect.raceFirst(changed, Effect.sleep(Duration.millis(Math.max(1, nextAt - now))))
    })
  )

  #link(producer: NodeAddr.NodeAddr): Effect.Effect<void> {
    const { addressOf, admit, dial, isFinal } = this.#options
    const { endpointId } = producer
    const attempt = Effect.gen({ self: this }, function* () {
      const scope = yield* Scope.fork(this.#scope)
      const linking = Effect.gen({ self: this }, function* () {
        const reply = yield* admit(producer)
        let lost = () => {}
        const dialer = yield* dial(() => lost())
        // So that calls find a connection, and not the time it takes to find out that there is none.
        yield* dialer.connect(addressOf(reply, producer))
        const silent = Deferred.makeUnsafe<never, RpcError>()
        const link: Link = { producer, reply, dialer, silent, running: 0, ended: false, scope }
        lost = () => this.#run(this.end(link, RpcError.of("UNAVAILABLE", "its connection is lost")))
        yield* Effect.forkScoped(
          Effect.catchDefect(this.#watch(link), (defect) =>
            Effect.andThen(
              Effect.logError(`The watch on producer ${endpointId} failed, and its link is given up`, defect),
              this.end(link, RpcError.of("UNAVAILABLE", "the watch on it failed"))
            )
          )
        )
        return link
      })
      const link = yield* linking.pipe(
        this.#replies.has(endpointId)
          ? Effect.timeoutOrElse({ duration: AGAIN, orElse: () => Effect.fail(absent) })
          : identity,
        Scope.provide(scope),
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
      )
      if (!this.#pool.linked(endpointId))
        return yield* this.end(link, RpcError.of("UNAVAILABLE", "it is listed no more"))
      this.#links.set(endpointId, link)
      this.#replies.set(endpointId, link.reply)
      this.#failures.delete(endpointId)
      this.#notify()
      yield* Effect.logDebug(`calls go to producer ${endpointId}`)
    })
    const unforeseen = (defect: unknown) =>
      Effect.andThen(
        Effect.logError(`Linking with producer ${endpointId} failed, and is tried again`, defect),
        Effect.fail(RpcError.of("INTERNAL", "the client failed to link with it; its log says why"))
      )
    return Effect.catch(Effect.catchDefect(attempt, unforeseen), (error) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const final = !(error instanceof RpcError) && isFinal(error)
        if (this.#pool.isListed(endpointId)) this.#failures.set(endpointId, error)
        this.#pool.failed(endpointId, now, final ? DENIED_BACKOFF : undefined)
        this.#notify()
        return Effect.logDebug(`producer ${endpointId} is not linked`, error)
      })
    )
  }

  /** A peer that died is noticed by QUIC only after half a minute. */
  #watch(link: Link): Effect.Effect<void> {
    const look = Effect.suspend(() =>
      link.running === 0 ? Effect.succeed(true) : link.dialer.isAlive(link.producer.endpointId, SILENCE)
    )
    return Effect.repeat(Effect.delay(look, WATCH), { until: (alive) => !alive }).pipe(
      Effect.andThen(
        Effect.suspend(() => {
          const error = RpcError.of("UNAVAILABLE", `producer ${link.producer.endpointId} gives no sign of life`)
          Deferred.doneUnsafe(link.silent, Effect.fail(error))
          return this.end(link, error)
        })
      )
    )
  }

  #closeIfIdle(link: Link): Effect.Effect<void> {
    if (!link.ended || link.running > 0) return Effect.void
    // The link's own fibers may be what ends it.
    return Effect.sync(() => this.#run(Scope.close(link.scope, Exit.void)))
  }
}
