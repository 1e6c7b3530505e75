import { CodecError } from "@aster-effect/core/message/CodecError"
import * as Control from "@aster-effect/core/wire/Control"
import * as Frame from "@aster-effect/core/wire/Frame"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import { assert, describe, it } from "@effect/vitest"

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const bytes = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"))

const hello: Control.StreamHeader = {
  service: "Hello",
  method: "sayHello",
  version: 1,
  callId: "",
  deadlineEpochMs: 0,
  serializationMode: 3,
  metadataKeys: [],
  metadataValues: []
}

describe("Control", () => {
  // Frames of release 0.1.2 (Aster RPC wire, worked byte examples).
  it("writes the header frames that the reference writes", () => {
    assert.strictEqual(
      hex(Frame.encode(Control.encodeHeader(hello, "json"), Frame.HEADER)),
      "90000000047b2273657276696365223a2248656c6c6f222c226d6574686f64223a2273617948656c6c6f222c2276657273696f6e223a312c2263616c6c4964223a22222c22646561646c696e6545706f63684d73223a302c2273657269616c697a6174696f6e4d6f6465223a332c226d657461646174614b657973223a5b5d2c226d6574616461746156616c756573223a5b5d7d"
    )
    assert.strictEqual(
      hex(Frame.encode(Control.encodeHeader({ ...hello, serializationMode: 0 }, "xlang"), Frame.HEADER)),
      hex(
        bytes(
          "2e000000 04 02ff1d08016c129922120476538900ce9c801922a40518de 00 00 02 00 20 73617948656c6c6f 14 48656c6c6f 00 00"
        )
      )
    )
  })

  it("writes the trailers that the reference writes", () => {
    assert.strictEqual(
      hex(Frame.encode(Control.encodeStatus(Control.OK, "json"), Frame.TRAILER)),
      "3a000000027b22636f6465223a302c226d657373616765223a22222c2264657461696c4b657973223a5b5d2c2264657461696c56616c756573223a5b5d7d"
    )
    assert.strictEqual(
      hex(Frame.encode(Control.encodeStatus(Control.OK, "xlang"), Frame.TRAILER)),
      hex(bytes("1b000000 02 02ff1d08016c1299220e0256785626026a245353ca9f 00 00 00 00"))
    )
  })

  it("reads headers and statuses in both encodings", () => {
    for (const encoding of ["json", "xlang"] as const) {
      const header = {
        ...hello,
        callId: "ü",
        deadlineEpochMs: 1_900_000_000_000,
        metadataKeys: ["k"],
        metadataValues: ["v"]
      }
      assert.deepStrictEqual({ ...Control.decodeHeader(Control.encodeHeader(header, encoding)) }, header)
      const status = { code: 5, message: "no", detailKeys: ["a"], detailValues: ["b"] }
      assert.deepStrictEqual({ ...Control.decodeStatus(Control.encodeStatus(status, encoding)) }, status)
    }
  })

  it("tolerates JSON headers with missing, extra and fractional parts", () => {
    const header = Control.decodeHeader(new TextEncoder().encode('{"service":"S","deadlineEpochMs":1.5,"x":[1]}'))
    assert.deepStrictEqual([header.service, header.method, header.version, header.deadlineEpochMs], ["S", "", 0, 1.5])
    assert.deepStrictEqual(header.metadataKeys, [])
  })

  it.each(["{", '{"service":1}', '{"metadataKeys":[1]}', '{"metadataKeys":{}}', '{"version":"1"}', "[]", " {}", ""])(
    "refuses the header %s",
    (text) => {
      assert.throws(() => Control.decodeHeader(new TextEncoder().encode(text)), CodecError)
    }
  )

  it("takes off the prefix that TypeScript servers put before a message", () => {
    const status = { ...Control.OK, code: 5, message: "[NOT_FOUND] [NOT_FOUND] x" }
    assert.strictEqual(Control.errorOf(status).message, "[NOT_FOUND] x")
    assert.strictEqual(Control.errorOf({ ...status, message: "[INTERNAL] x" }).message, "[INTERNAL] x")
  })

  it.each([1.5, 1e308, -1, NaN, 2 ** 31, 2 ** 53])("a status of %d is an error like any other", (code) => {
    const error = Control.errorOf({ code, message: "x", detailKeys: ["k"], detailValues: ["v"] })
    assert.deepStrictEqual([error.status, error.details], ["UNKNOWN", { k: "v" }])
    assert.include(error.message, "which is no status code")
  })

  it("an error cannot say that all is well", () => {
    assert.throws(() => new RpcError({ code: 0, message: "fine" }))
    const forged = { ...RpcError.of("INTERNAL", "x"), _tag: "RpcError", code: 0, message: "fine", details: {} } as never
    assert.strictEqual(Control.statusOf(forged).code, 2)
  })

  it("mends what is no text, so that a status can always be written", () => {
    const cut = "nothing called abcd😀".slice(0, -1)
    for (const encoding of ["xlang", "json"] as const) {
      const error = RpcError.of("NOT_FOUND", cut, { [cut]: cut })
      const read = Control.decodeStatus(Control.encodeStatus(Control.statusOf(error), encoding))
      assert.deepStrictEqual(
        [read.code, read.message, read.detailKeys[0], read.detailValues[0]],
        [5, cut.toWellFormed(), cut.toWellFormed(), cut.toWellFormed()]
      )
      const long = Control.statusOf(RpcError.of("NOT_FOUND", `x${"😀".repeat(3000)}`))
      assert.isTrue(Control.decodeStatus(Control.encodeStatus(long, encoding)).message.isWellFormed())
    }
  })

  it("cuts what an error may carry", () => {
    const details = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, "v"]))
    const status = Control.statusOf(new RpcError({ code: 3, message: "m".repeat(5000), details }))
    assert.deepStrictEqual([status.message.length, status.detailKeys.length], [4099, 32])
  })

  it("pairs metadata, the last of equal keys winning", () => {
    const metadata = Control.metadataOf({
      ...hello,
      metadataKeys: ["a", "b", "a", "c"],
      metadataValues: ["1", "2", "3"]
    })
    assert.deepStrictEqual(
      [...metadata],
      [
        ["a", "3"],
        ["b", "2"],
        ["c", ""]
      ]
    )
    const many = Array.from({ length: 65 }, () => "same")
    assert.throws(() => Control.metadataOf({ ...hello, metadataKeys: many }), /65 entries/)
  })
})
