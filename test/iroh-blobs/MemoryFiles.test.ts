import { assert, describe, it } from "@effect/vitest"
import type { BlobHash } from "@aster-effect/iroh-blobs/BlobHash"
import * as Effect from "effect/Effect"
import { Missing, type OpenBlob } from "../../packages/iroh-blobs/src/internal/blobFiles.ts"
import { memoryFiles } from "../../packages/iroh-blobs/src/internal/memoryFiles.ts"
import { givePage, PAGE_SIZE, takePage } from "../../packages/iroh-blobs/src/internal/pages.ts"
import { Random } from "../Random.ts"

const hashOf = (number: number) => String(number).padStart(64, "0") as BlobHash
const filled = (length: number, byte: number) => new Uint8Array(length).fill(byte)

const test = (title: string, body: () => Promise<void>) => it.live(title, () => Effect.promise(body))

const add = async (files: ReturnType<typeof memoryFiles>, hash: BlobHash, content: Uint8Array) => {
  const blob = await files.create()
  await blob.append(content)
  await blob.install(hash, content.subarray(0, 64))
  await blob.discard()
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => assert.fail("it was there"),
    (error: unknown) => error
  )

describe("blobs in memory", () => {
  test("use the memory of those that are gone, and show nothing of it", async () => {
    const files = memoryFiles()
    await add(files, hashOf(1), filled(4 * PAGE_SIZE, 7))
    await files.remove(hashOf(1))
    const reused = takePage(true)
    assert.isTrue(reused.includes(7), "a page of the blob that was removed")
    givePage(reused)
    const open = await files.open(hashOf(2), "write")
    for (let page = 0; page < 4; page++) await open.write("data", page * PAGE_SIZE + 100, [filled(10, 9)])
    const content = await open.read("data", 0, 4 * PAGE_SIZE)
    assert.isFalse(content.includes(7))
    assert.strictEqual(content.filter((byte) => byte === 9).length, 40)
    await open.close()
    files.close()
  })

  test("are read to the end by those who have them open, and then are closed", async () => {
    const files = memoryFiles()
    const [first, second] = [filled(PAGE_SIZE, 1), filled(PAGE_SIZE, 2)]
    await add(files, hashOf(1), first)
    const open = await files.open(hashOf(1), "read")
    await files.remove(hashOf(1))
    await add(files, hashOf(2), second)
    assert.deepStrictEqual(await open.read("data", 0, PAGE_SIZE), first)
    await open.close()
    await open.close()
    assert.propertyVal(await rejection(open.read("data", 0, 1)), "code", "EBADF")
    assert.propertyVal(await rejection(open.write("data", 0, [first])), "code", "EBADF")
    const again = await files.open(hashOf(1), "read")
    assert.instanceOf(await rejection(again.read("data", 0, 1)), Missing)
    files.close()
    const none = await files.open(hashOf(2), "read")
    assert.instanceOf(await rejection(none.read("data", 0, 1)), Missing)
  })

  test("have no more than 64 MiB that is not collected", async () => {
    const pages = Array.from({ length: 1100 }, () => takePage(false))
    assert.strictEqual(new Set(pages.map((page) => page.buffer)).size, 1100)
    assert.strictEqual(pages.filter((page) => page.buffer instanceof SharedArrayBuffer).length, 1024)
    for (const page of pages) givePage(page)
    const again = Array.from({ length: 1100 }, () => takePage(true))
    assert.strictEqual(again.filter((page) => pages.includes(page)).length, 1024)
    for (const page of again) givePage(page)
  })

  test("hold what was written to them, through any order of adding, opening, closing and removing", async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const { below } = new Random(seed)
      const stores = [memoryFiles(), memoryFiles()]
      const contents = new Map<string, Uint8Array>()
      const opened: Array<{ readonly open: OpenBlob; readonly content: Uint8Array }> = []
      for (let step = 0; step < 200; step++) {
        const store = below(2)
        const hash = hashOf(below(4))
        const key = `${store} ${hash}`
        const content = contents.get(key)
        const action = below(5)
        if (action === 0) {
          const next = filled(PAGE_SIZE + below(3 * PAGE_SIZE), 1 + below(255))
          await add(stores[store]!, hash, next)
          contents.set(key, next)
        } else if (action === 1) {
          await stores[store]!.remove(hash)
          contents.delete(key)
        } else if (action === 2 && content !== undefined) {
          opened.push({ open: await stores[store]!.open(hash, "read"), content })
        } else if (action === 3 && opened.length > 0) {
          await opened.splice(below(opened.length), 1)[0]!.open.close()
        } else if (action === 4) {
          const unfinished = await stores[store]!.create()
          await unfinished.append(filled(2 * PAGE_SIZE, 0))
          await unfinished.discard()
        }
        for (const { content, open } of opened) {
          const read = await open.read("data", 0, content.length)
          assert.isTrue(Buffer.from(read).equals(content), `seed ${seed}, step ${step}`)
        }
      }
      for (const { open } of opened) await open.close()
      for (const files of stores) files.close()
    }
  })
})
