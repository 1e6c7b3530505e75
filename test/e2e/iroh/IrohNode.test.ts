import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { BindError } from "@aster-effect/iroh/NodeError"
import type { IrohNodeOptions } from "@aster-effect/iroh/NodeOptions"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { execFile, spawn } from "node:child_process"
import { createSocket } from "node:dgram"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { networkInterfaces } from "node:os"
import { promisify } from "node:util"
import { probe } from "../../../packages/iroh/src/internal/bytes.ts"
import { contract } from "../../iroh/contract.ts"

/** What the project of these tests has chosen. */
const native = process.env["ASTER_IROH_BINDING"] === "native"

contract(
  "QUIC",
  (options) => IrohNode.layer({ ...options, bindAddress: "127.0.0.1:0", relayMode: "disabled" }),
  MemoryNetwork.layer(),
  { direct: native, opensAtOnce: native }
)

const bind = (options: IrohNodeOptions): Effect.Effect<IrohNode["Service"], BindError, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(IrohNode.layer({ relayMode: "disabled", ...options }))), (context) =>
    Context.get(context, IrohNode)
  )

const programPath = (name: string) => new URL(`./programs/${name}.ts`, import.meta.url).pathname

/** Runs a program of this folder on the sources and answers what it printed. */
const run = (name: string, ...flags: ReadonlyArray<string>) =>
  promisify(execFile)(process.execPath, ["--conditions=@aster-effect/source", ...flags, programPath(name)], {
    timeout: 30_000
  })

describe("IrohNode.layer: bound sockets", () => {
  const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ family }) => family === "IPv6"))

  /** The addresses of this process's UDP sockets, as the system sees them. */
  const udpSockets = (): ReadonlyArray<string> => {
    const own = readdirSync("/proc/self/fd").flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? []
      } catch {
        return [] // closed meanwhile
      }
    })
    return ["udp", "udp6"].flatMap((table) =>
      readFileSync(`/proc/self/net/${table}`, "utf8")
        .split("\n")
        .map((line) => line.trim().split(/\s+/))
        .filter((columns) => own.includes(columns[9] ?? ""))
        .flatMap((columns) => columns[1] ?? [])
    )
  }
  const opened = Effect.fnUntraced(function* (options: IrohNodeOptions) {
    const before = new Set(udpSockets())
    const node = yield* bind(options)
    // For about a second iroh asks the local router for a port mapping, from a socket that takes no connections.
    yield* Effect.sleep("2 seconds")
    const sockets = yield* Effect.repeat(
      Effect.sync(() => udpSockets().filter((socket) => !before.has(socket))),
      {
        until: (sockets) => sockets.length <= node.boundSockets.length,
        schedule: Schedule.spaced("100 millis"),
        times: 200
      }
    )
    return { node, sockets }
  })
  const isLoopback = (socket: string) =>
    socket.startsWith("0100007F:") || socket.startsWith("00000000000000000000000001000000:")

  for (const bindAddress of ["127.0.0.1:0", "[::1]:0", ["127.0.0.1:0", "[::1]:0"]]) {
    it.live(`${String(bindAddress)} stays on the loopback interface`, () =>
      Effect.gen(function* () {
        const { node, sockets } = yield* opened({ bindAddress })
        assert.isAtLeast(sockets.length, hasIpv6 ? 2 : 1)
        for (const socket of sockets) assert.isTrue(isLoopback(socket), socket)
        for (const socket of node.boundSockets) assert.match(socket, /^(127\.0\.0\.1|\[::1\]):[1-9]\d*$/)
        assert.lengthOf(node.boundSockets, sockets.length)
        assert.deepStrictEqual([...(yield* node.address).directAddresses].sort(), [...node.boundSockets].sort())
      })
    )
  }

  it.live("an address of one interface keeps the other family off the network", () =>
    Effect.gen(function* () {
      const outer = Object.values(networkInterfaces())
        .flatMap((all) => all ?? [])
        .find(({ family, internal }) => family === "IPv4" && !internal)
      const address = outer?.address ?? "127.0.0.2"
      const { node } = yield* opened({ bindAddress: `${address}:0` })
      for (const socket of node.boundSockets) {
        assert.isTrue(socket.startsWith(`${address}:`) || socket.startsWith("[::1]:"), socket)
      }
    })
  )

  it.live("a wildcard opens both families, with the given port on its own", () =>
    Effect.gen(function* () {
      const { node } = yield* opened({ bindAddress: "0.0.0.0:0" })
      assert.isTrue(node.boundSockets.some((socket) => socket.startsWith("0.0.0.0:")))
      if (hasIpv6) assert.isTrue(node.boundSockets.some((socket) => socket.startsWith("[::]:")))
    })
  )

  it.live("the port of a closed node can be bound again at once", () =>
    Effect.gen(function* () {
      const held: Array<unknown> = []
      let bindAddress = "127.0.0.1:0"
      for (let i = 0; i < 5; i++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const node = yield* bind({ alpns: ["test/1"], bindAddress })
            bindAddress = node.boundSockets.find((socket) => socket.startsWith("127.")) ?? ""
            const peer = yield* bind({ bindAddress: "127.0.0.1:0" })
            const accepting = yield* Effect.forkChild(node.accept)
            const connection = yield* peer.connect(yield* node.address, "test/1")
            yield* (yield* Fiber.join(accepting)).openBi
            yield* connection.openBi
            held.push(node)
          })
        )
      }
      assert.lengthOf(held, 5)
    })
  )
})

describe("IrohNode.layer: addresses that cannot be bound", () => {
  const failure = (bindAddress: string | ReadonlyArray<string>) => Effect.scoped(Effect.flip(bind({ bindAddress })))

  it.live("in use", () =>
    Effect.gen(function* () {
      const node = yield* bind({ bindAddress: "127.0.0.1:0" })
      const taken = node.boundSockets.find((socket) => socket.startsWith("127.")) ?? ""
      const error = yield* failure(taken)
      assert.strictEqual(error.reason, "AddressInUse")
      assert.include(error.message, taken)
      assert.include(error.message, "choose another one")
    })
  )

  it.live("not of this machine", () =>
    Effect.gen(function* () {
      const error = yield* failure("203.0.113.77:0")
      assert.strictEqual(error.reason, "NotLocal")
      assert.notInclude(error.message, ".rs:")
    })
  )

  it.live("malformed", () =>
    Effect.gen(function* () {
      for (const text of ["", "127.0.0.1", "localhost:80", "127.0.0.1:99999", "::1:80", "127.0.0.1:0\n"]) {
        assert.strictEqual((yield* failure(text)).reason, "Malformed")
      }
      assert.strictEqual((yield* failure(["127.0.0.1:0", "nonsense"])).reason, "Malformed")
      assert.strictEqual((yield* failure(["127.0.0.1:0", "127.0.0.1:0"])).reason, "Malformed")
    })
  )

  it.live("a relay that is no URL", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(bind({ bindAddress: "127.0.0.1:0", relayMode: { custom: ["not a url"] } }))
      assert.strictEqual(error.reason, "BadRelayUrl")
    })
  )
})

describe("IrohNode.layer: relays", () => {
  it.live("an unreachable relay does not delay the start or the use of direct addresses", () =>
    Effect.gen(function* () {
      const relayMode = { custom: ["http://127.0.0.1:9"] }
      const begun = Date.now()
      const a = yield* bind({ alpns: ["test/1"], bindAddress: "127.0.0.1:0", relayMode })
      assert.isBelow(Date.now() - begun, 30_000)
      const b = yield* bind({ bindAddress: "127.0.0.1:0" })
      yield* Effect.forkChild(a.accept)
      yield* b.connect(NodeAddr.make(a.endpointId, a.boundSockets), "test/1")
      assert.isBelow(Date.now() - begun, 30_000)
    })
  )
})

describe("IrohNode.layer: connecting to bad addresses", () => {
  it.live("says what is wrong", () =>
    Effect.gen(function* () {
      const a = yield* bind({ bindAddress: "127.0.0.1:0" })
      const b = yield* bind({ bindAddress: "127.0.0.1:0" })
      const attempt = (addr: NodeAddr.NodeAddr) =>
        Effect.map(Effect.flip(a.connect(addr, "test/1", { timeout: "5 seconds" })), ({ reason }) => reason._tag)
      assert.strictEqual(yield* attempt(NodeAddr.make(b.endpointId)), "NoAddress")
      assert.strictEqual(yield* attempt(NodeAddr.make(b.endpointId, ["localhost:80"])), "BadAddress")
      assert.strictEqual(yield* attempt(NodeAddr.make(b.endpointId, [], "not a url")), "BadAddress")
      const notAPoint = NodeAddr.parse("02".padEnd(64, "0"))
      assert.strictEqual(yield* attempt({ ...notAPoint, directAddresses: b.boundSockets }), "BadAddress")
    })
  )
})

describe("IrohNode.layer: noise at the door", () => {
  it.live("stray packets disturb nobody", () =>
    Effect.gen(function* () {
      const a = yield* bind({ alpns: ["test/1"], bindAddress: "127.0.0.1:0" })
      const port = Number(a.boundSockets.find((socket) => socket.startsWith("127."))?.split(":")[1])
      const socket = createSocket("udp4")
      yield* Effect.addFinalizer(() => Effect.sync(() => socket.close()))
      for (let i = 0; i < 500; i++) {
        const packet = new Uint8Array(1200).map((_, j) => (i * 31 + j * 17) & 0xff)
        packet[0] = 0xc0 | (i & 0x3f) // looks like the beginning of a handshake
        packet.set([0, 0, 0, 1], 1)
        yield* Effect.promise(() => new Promise<void>((done) => socket.send(packet, port, "127.0.0.1", () => done())))
      }
      const b = yield* bind({ bindAddress: "127.0.0.1:0" })
      const accepting = yield* Effect.forkChild(a.accept)
      yield* b.connect(yield* a.address, "test/1")
      assert.strictEqual((yield* Fiber.join(accepting)).remoteId, b.endpointId)
    })
  )
})

describe("IrohNode.layer: a peer that dies", () => {
  it.live("is noticed", () =>
    Effect.gen(function* () {
      const peer = spawn(process.execPath, ["--conditions=@aster-effect/source", programPath("peer")], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => peer.kill("SIGKILL")))
      const ticket = yield* Effect.promise(
        () => new Promise<string>((resolve) => peer.stdout.once("data", (line) => resolve(String(line).trim())))
      )
      const node = yield* bind({ bindAddress: "127.0.0.1:0" })
      const connection = yield* node.connect(NodeAddr.parse(ticket), "peer/1")
      const { recv, send } = yield* connection.openBi
      yield* send.write(Uint8Array.of(7))
      assert.deepStrictEqual(yield* recv.read(), Uint8Array.of(7))
      const reading = yield* Effect.forkChild(Effect.flip(recv.read()), { startImmediately: true })
      peer.kill("SIGKILL")
      const error = yield* Fiber.join(reading)
      assert.deepStrictEqual(error.reason._tag === "ConnectionLost" && error.reason.reason, { _tag: "TimedOut" })
      assert.deepStrictEqual(yield* connection.closed, { _tag: "TimedOut" })
    })
  )
})

describe("IrohNode.layer: the process", () => {
  it("ends by itself after close, with nothing on stderr", async () => {
    const { stderr, stdout } = await run("exit", "--pending-deprecation")
    assert.strictEqual(stdout, "closed\n")
    assert.strictEqual(stderr, "") // no deprecation warning for the binding's "main" above all
  })

  it("releases a closed node's port when it is wanted again, and leaves that to the process if told to", async () => {
    const { stdout } = await run("reopen")
    // The native binding needs no collector: its sockets are free when close has come back.
    assert.strictEqual(stdout, `by itself: ${native ? "bound" : "AddressInUse"}\nfirst: bound\nagain: bound\n`)
  })

  it("makes no node in a worker thread unless it is asked to", async () => {
    const { stdout } = await run("worker")
    assert.deepStrictEqual(stdout.split("\n"), [
      native
        ? "bound and closed"
        : "Cannot bind 127.0.0.1:0: this is a worker thread. A worker thread that is terminated while its node is in traffic aborts the process: make nodes in the main thread, or set workerThread and close the node before its thread ends.",
      "bound and closed",
      ""
    ])
  })

  it("keeps what a stream needs from being collected", async () => {
    const { stdout } = await run("collect", "--expose-gc")
    assert.strictEqual(stdout, "alive\n")
  })
})

describe("internal/bytes", () => {
  it("passes byte arrays through where the binding takes them", () => {
    const bytes = probe(() => {})
    const sample = Uint8Array.of(1, 255)
    assert.strictEqual<unknown>(bytes.toNative(sample), sample)
    assert.strictEqual(bytes.fromNative(sample), sample)
  })

  it("converts where it does not", () => {
    const bytes = probe((given) => {
      if (!Array.isArray(given)) throw new Error("Failed to get Array length")
    })
    assert.deepStrictEqual(bytes.toNative(Uint8Array.of(1, 255)), [1, 255])
    assert.deepStrictEqual(bytes.fromNative([1, 255]), Uint8Array.of(1, 255))
  })
})
