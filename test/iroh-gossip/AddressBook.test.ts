import { AddressBook, AddressFileError, type AddressBookOptions } from "@aster-effect/iroh-gossip/AddressBook"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const id = (n: number) => EndpointId.parse(n.toString(16).padStart(64, "0"))
const withBook = <A>(options: AddressBookOptions, body: (book: AddressBook["Service"]) => A) =>
  AddressBook.useSync(body).pipe(Effect.provide(AddressBook.layerMemory(options)))

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "addresses-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const elsewhere = [
  "127.0.0.1:1",
  "10.1.2.3:1",
  "172.16.0.1:1",
  "172.31.255.255:1",
  "192.168.1.1:1",
  "169.254.169.254:80",
  "100.64.0.1:1",
  "0.0.0.0:1",
  "224.0.0.1:1",
  "255.255.255.255:1",
  "198.18.0.1:1",
  "8.8.8.8:0",
  "[::1]:1",
  "[::]:1",
  "[fe80::1]:1",
  "[fd00::1]:1",
  "[ff02::1]:1",
  "[::ffff:10.0.0.1]:1",
  "[64:ff9b::a00:1]:1",
  "[2002:a00:1::]:1",
  "[2001::1]:1"
]
const open = ["8.8.8.8:53", "172.32.0.1:1", "100.128.0.1:1", "192.0.1.1:1", "[2606:4700::1111]:443"]

describe("AddressBook", () => {
  it.effect("of what others say, only the public internet is kept", () =>
    withBook({}, (book) => {
      for (const address of elsewhere) book.hint(id(1), { directAddresses: [address] })
      assert.strictEqual(book.size(), 0)
      for (const address of open) book.hint(id(2), { directAddresses: [address, "127.0.0.1:9"] })
      assert.sameMembers([...book.find(id(2)).directAddresses], open)
      for (const relayUrl of [
        "http://relay.example.org/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://0x7f000001/",
        "https://localhost/",
        "https://metadata.google.internal/",
        "https://user:word@relay.example.org/",
        "https://relay.example.org:22/",
        "nonsense"
      ]) {
        book.hint(id(3), { relayUrl, directAddresses: [] })
        assert.isUndefined(book.find(id(3)).relayUrl, relayUrl)
      }
      book.hint(id(3), { relayUrl: "https://relay.example.org/", directAddresses: [] })
      assert.strictEqual(book.find(id(3)).relayUrl, "https://relay.example.org/")
    })
  )

  it.effect("unless all is asked for, or nothing", () =>
    Effect.andThen(
      withBook({ hints: "all" }, (book) => {
        book.hint(id(1), { directAddresses: ["127.0.0.1:1"] })
        assert.deepStrictEqual(book.find(id(1)).directAddresses, ["127.0.0.1:1"])
      }),
      withBook({ hints: "none" }, (book) => {
        book.hint(id(1), { directAddresses: open })
        assert.deepStrictEqual(book.find(id(1)), NodeAddr.make(id(1)))
      })
    )
  )

  it.effect("what the program says comes first, and stays whatever others say", () =>
    withBook({ maxHints: 4 }, (book) => {
      book.add(NodeAddr.make(id(1), ["127.0.0.1:1"]))
      for (let i = 1; i < 100; i++) book.hint(id(i), { directAddresses: [`8.8.8.8:${i}`] })
      assert.strictEqual(book.size(), 4)
      book.hint(id(1), { directAddresses: Array.from({ length: 50 }, (_, i) => `8.8.4.4:${i + 1}`) })
      const { directAddresses } = book.find(id(1))
      assert.strictEqual(directAddresses[0], "127.0.0.1:1")
      assert.lengthOf(directAddresses, 9)
    })
  )

  it.effect("a file is read again, by this policy, and two writers keep what both have learnt", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "deeper", "addresses.json")
      const use = (n: number, options: AddressBookOptions = {}) =>
        Effect.scoped(
          Effect.map(Layer.build(Layer.fresh(AddressBook.layerFile({ path, ...options }))), (context) => {
            const book = Context.get(context, AddressBook)
            const before = book.size()
            book.hint(id(n), { directAddresses: [`8.8.8.8:${n}`, `10.0.0.1:${n}`] })
            return before
          })
        )
      assert.deepStrictEqual(yield* Effect.all([use(1, { hints: "all" }), use(2)], { concurrency: 1 }), [0, 1])
      // The second is opened before the first has written.
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Layer.build(Layer.fresh(AddressBook.layerFile({ path })))
          yield* use(3)
        })
      )
      const written = JSON.parse(readFileSync(path, "utf8")) as { hints: ReadonlyArray<{ directAddresses: unknown }> }
      assert.lengthOf(written.hints, 3)
      assert.strictEqual(yield* use(1), 3)
      assert.deepStrictEqual(
        readdirSync(join(path, "..")).filter((name) => name !== "addresses.json"),
        []
      )
    }).pipe(Effect.scoped)
  )

  it.effect("a file that is none is an error that says what to do, and stays as it is", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "addresses.json")
      for (const bad of [
        "",
        "{}",
        '{"version":1,"hints":[{"endpointId":"x","directAddresses":[],"at":1}]}',
        "\u0000"
      ]) {
        writeFileSync(path, bad)
        const error = yield* Effect.flip(Effect.scoped(Layer.build(AddressBook.layerFile({ path }))))
        assert.instanceOf(error, AddressFileError)
        assert.include(error.message, path)
        assert.strictEqual(readFileSync(path, "utf8"), bad)
      }
    }).pipe(Effect.scoped)
  )
})
