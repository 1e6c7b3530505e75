/**
 * A process of root that makes stores in the folder given, gives them up to nobody but itself, and goes on as another
 * user. Tells in JSON what each store then says.
 */
import * as AtomicFile from "@aster-effect/config/AtomicFile"
import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { Docs } from "@aster-effect/iroh-docs/Docs"
import { ProducerMesh } from "@aster-effect/mesh/ProducerMesh"
import { NonceStore } from "@aster-effect/trust/NonceStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import { blobOf } from "../iroh-blobs/Vectors.ts"
import { publicKey } from "./mesh/Keys.ts"

const [folder = "", user = ""] = process.argv.slice(2)

const content = blobOf(40_000, 7)
const hash = BlobHash.of(content)
const at = (...names: ReadonlyArray<string>) => path.join(folder, ...names)

const add = BlobStore.use((store) =>
  Effect.flatMap(store.create, (writer) => Effect.andThen(writer.write(content), writer.finish({ tag: "t" })))
).pipe(Effect.scoped)

const read = Blobs.use((blobs) => Effect.map(blobs.read(hash), (bytes) => `${bytes.length} bytes`))

const list = BlobStore.use((store) =>
  Effect.map(Stream.runCollect(store.list), (blobs) => blobs.map(({ status }) => status._tag).join())
)

const node = IrohNode.layerMemory().pipe(Layer.provide(MemoryNetwork.layer()))

const inStore = <A, E>(name: string, body: Effect.Effect<A, E, BlobStore | Blobs>, readOnly = false) =>
  Effect.provide(
    body,
    Blobs.layer.pipe(Layer.provideMerge(BlobStore.layerDirectory(at(name), { readOnly })), Layer.provide(node))
  )

const inDocs = (name: string) =>
  Effect.provide(
    Docs.use((docs) => Effect.asVoid(docs.create)),
    Docs.layer({ directory: at(name) }).pipe(
      Layer.provide(Blobs.layer),
      Layer.provide(BlobStore.layerMemory()),
      Layer.provide(node)
    )
  )

const root = Result.getOrThrow(RootPublicKey.fromHex(publicKey()))
const self = EndpointId.parse(publicKey())
const inMesh = (name: string) =>
  Effect.provide(
    ProducerMesh.use((mesh) => Effect.asVoid(mesh.accept(EndpointId.parse(publicKey())))),
    ProducerMesh.layerDirectory(at(name), { root, self })
  )

const nonce = (name: string, digit: string) =>
  Effect.provide(
    NonceStore.use((store) => store.consume({ nonce: digit.repeat(64), expiresAt: 4_102_444_800n })),
    NonceStore.layerFile(at(name, "nonces.json"))
  )

/** Folders of root: closed to others, open for reading, open for writing though the files in it are not. */
const modes = { closed: 0o700, readable: 0o755, shared: 0o777 }

const eachFile = (directory: string, change: (file: string, isFolder: boolean) => void): void => {
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const file = path.join(directory, entry.name)
    change(file, entry.isDirectory())
    if (entry.isDirectory()) eachFile(file, change)
  }
}

for (const [kind, mode] of Object.entries(modes)) {
  await Effect.runPromise(inStore(`blobs-${kind}`, add))
  await Effect.runPromise(inDocs(`docs-${kind}`))
  await Effect.runPromise(inMesh(`mesh-${kind}`))
  await Effect.runPromise(nonce(`trust-${kind}`, "1"))
  for (const name of [`blobs-${kind}`, `docs-${kind}`, `mesh-${kind}`, `trust-${kind}`]) {
    if (kind === "readable") eachFile(at(name), (file, isFolder) => fs.chmodSync(file, isFolder ? 0o755 : 0o644))
    if (kind === "shared") eachFile(at(name), (file, isFolder) => isFolder && fs.chmodSync(file, 0o777))
    fs.chmodSync(at(name), mode)
  }
}
// One of the other user's own, but for a file that root has left there and one that nobody else may read.
await Effect.runPromise(inStore("blobs-mixed", add))
eachFile(at("blobs-mixed"), (file) => fs.chownSync(file, Number(user), Number(user)))
fs.chownSync(at("blobs-mixed"), Number(user), Number(user))
for (const suffix of ["data", "obao4"]) {
  const file = at("blobs-mixed", "data", `${hash}.${suffix}`)
  fs.chownSync(file, 0, 0)
  fs.chmodSync(file, 0o600)
}
fs.chmodSync(folder, 0o755)
process.stdout.write("made\n")
await new Promise<void>((resolve) => process.stdin.once("data", () => resolve()))

process.setgroups!([])
process.setgid!(Number(user))
process.setuid!(Number(user))

const outcomes: Record<string, string> = {}
const attempt = async <A>(name: string, effect: Effect.Effect<A, unknown>) => {
  const exit = await Effect.runPromiseExit(effect)
  if (exit._tag === "Success") return void (outcomes[name] = `done ${exit.value ?? ""}`.trim())
  const reason = exit.cause.reasons[0]
  outcomes[name] =
    reason?._tag === "Fail" && reason.error instanceof Error
      ? `${reason.error.name}: ${reason.error.message}`
      : `not a typed error: ${exit.cause}`
}

for (const kind of Object.keys(modes)) {
  await attempt(`blobs ${kind} list`, inStore(`blobs-${kind}`, list, true))
  await attempt(`blobs ${kind} read`, inStore(`blobs-${kind}`, read, true))
  await attempt(`blobs ${kind} write`, inStore(`blobs-${kind}`, add))
  await attempt(`docs ${kind}`, inDocs(`docs-${kind}`))
  await attempt(`mesh ${kind}`, inMesh(`mesh-${kind}`))
  await attempt(`tokens ${kind}`, nonce(`trust-${kind}`, "2"))
  await attempt(`file ${kind}`, AtomicFile.write(at(`mesh-${kind}`, "mesh_state.json"), "text"))
}
await attempt("blobs mixed read", inStore("blobs-mixed", read))
await attempt("blobs mixed again", inStore("blobs-mixed", list))
process.stdout.write(`${JSON.stringify(outcomes, undefined, 1)}\n`)
process.exit(0)
