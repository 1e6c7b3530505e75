import * as AsterClient from "@aster-effect/client/AsterClient"
import type { Resolved } from "@aster-effect/config/AsterConfig"
import * as NodeConfig from "@aster-effect/config/NodeConfig"
import type { Blobs, Downloaded } from "@aster-effect/iroh-blobs/Blobs"
import type { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as BlobTicket from "@aster-effect/iroh-blobs/BlobTicket"
import type { DownloadFailed } from "@aster-effect/iroh-blobs/TransferError"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { TicketError } from "@aster-effect/iroh/Ticket"
import * as ClientTrust from "@aster-effect/trust/ClientTrust"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as nodePath from "node:path"
import { misused, refused } from "../../CliFailure.ts"
import { Locations, resolve } from "../../Locations.ts"
import * as Progress from "../../Progress.ts"
import { byteText } from "../byteText.ts"
import { clientConfig } from "../clientConfig.ts"
import { filesText, printJson, printTable } from "./output.ts"
import { blobsOffline, blobsOn, contentOf, directoryOf, keep, openStore, parse, realPath, statOf } from "./store.ts"

/** What to download, from whom, and where it goes. */
export interface Get {
  /** A ticket or a hash. */
  readonly name: string
  /** Addresses of further peers. */
  readonly from: ReadonlyArray<string>
  /** A path, or "-" for standard output. */
  readonly output: string | undefined
  /** Whether files that are there may be replaced. */
  readonly force: boolean
  /** A credential file. */
  readonly credential: string | undefined
  readonly timeoutSeconds: number
  readonly store: string | undefined
  readonly tag: string | undefined
  readonly json: boolean
}

/** Who has it, besides a ticket's peer: addresses as for calls. */
const parseAddress = (text: string) =>
  Effect.try({
    try: () => NodeAddr.parse(text.trim()),
    catch: (cause) => (cause instanceof TicketError ? cause : new TicketError({ problem: String(cause) }))
  })

/** A node with the key that the credential, if any, was issued to. */
const bind = Effect.fnUntraced(function* (config: Resolved, credential: string | undefined) {
  const { secretKey } = yield* ClientTrust.resolve(config, { enrollmentCredentialFile: credential }).pipe(
    // What there is to say is said when the credential is shown, which may never be.
    Effect.provideService(References.MinimumLogLevel, "None")
  )
  const settings = yield* NodeConfig.nodeOptions(config, secretKey)
  return Context.get(yield* Layer.build(IrohNode.layer(settings)), IrohNode)
})

const ASK_FOR_ONE =
  "it lets in enrolled consumers only: show a credential with --rcan PATH, made with aster enroll node or aster authorize"

/**
 * Downloads from the peers, and asks those for admission that let in admitted peers only: a credential is shown to
 * nobody else.
 */
const download = Effect.fnUntraced(function* (
  blobs: Blobs["Service"],
  node: IrohNode["Service"],
  config: Resolved,
  content: BlobHash.HashAndFormat,
  peers: ReadonlyArray<NodeAddr.NodeAddr>,
  options: Get
) {
  const timeout = Duration.seconds(options.timeoutSeconds)
  const fetch = Progress.measured("Downloading", (report) =>
    blobs.download(content, {
      from: peers,
      tag: false,
      stallTimeout: timeout,
      onProgress: ({ blob, done, total }) => report({ done, total, part: blob })
    })
  )
  const admit = (peer: NodeAddr.NodeAddr) =>
    AsterClient.make({
      address: NodeAddr.toBase64(peer),
      config,
      enrollmentCredentialFile: options.credential,
      connectTimeout: Duration.min(timeout, Duration.seconds(10))
    }).pipe(
      Effect.provideService(IrohNode, node),
      Effect.mapError((error) =>
        error._tag === "AdmissionDenied" && error.credential === undefined
          ? refused(`producer ${peer.endpointId} did not admit this consumer: ${ASK_FOR_ONE}`)
          : error
      )
    )
  const asked = new Set<string>()
  while (true) {
    const result = yield* Effect.result(fetch)
    if (result._tag === "Success") return result.success
    const failure = result.failure
    const refusing = failure._tag === "DownloadFailed" ? refusedBy(failure, peers, asked) : []
    if (refusing.length === 0) return yield* failure._tag === "DownloadFailed" ? resumable(failure) : failure
    for (const { endpointId } of refusing) asked.add(endpointId)
    const admissions = yield* Progress.during(
      "Asking for admission",
      Effect.forEach(refusing, (peer) => Effect.result(admit(peer)))
    )
    if (admissions.some(({ _tag }) => _tag === "Success")) continue
    const [first] = admissions
    return yield* first?._tag === "Failure" ? first.failure : failure
  }
})

const resumable = ({ message }: DownloadFailed) =>
  refused(`${message}\nWhat was received is kept: run the command again to go on, or name further peers with --from`)

/** The peers that closed the door and were not asked for admission before. */
const refusedBy = (
  { failures }: DownloadFailed,
  peers: ReadonlyArray<NodeAddr.NodeAddr>,
  asked: ReadonlySet<string>
): ReadonlyArray<NodeAddr.NodeAddr> =>
  peers.filter(
    ({ endpointId }) =>
      !asked.has(endpointId) &&
      failures.some(({ peer, reason }) => peer === endpointId && reason._tag === "NotAdmitted")
  )

/** What is to be had, and from whom. */
const wantedBy = Effect.fnUntraced(function* (store: BlobStore["Service"], { from, name }: Get) {
  const others = yield* Effect.forEach(from, parseAddress)
  const text = name.trim()
  if (!text.startsWith("blob")) return { content: yield* contentOf(store, text), peers: others }
  const { addr, format, hash } = yield* parse(() => BlobTicket.decode(text))
  return { content: { hash, format }, peers: [addr, ...others] }
})

/** Where a download is written to. */
interface Output {
  readonly path: string
  readonly isStdout: boolean
}

/** Names by which Aster finds identities and settings: nobody else is to put them there. */
const TRUSTED = new Set([".aster-identity", "aster.toml", ".aster.toml"])

/** Refuses what could not be written before anything is fetched. */
const checkOutput = Effect.fnUntraced(function* (
  { isStdout, path }: Output,
  { format }: BlobHash.HashAndFormat,
  storeDirectory: string,
  options: Get
) {
  if (isStdout) {
    if (format === "hashSeq") return yield* refused("a collection has many files: name a folder with --output")
    if (options.json) return yield* misused("--json and --output - both are for standard output: leave one out")
    return
  }
  const own = yield* realPath(storeDirectory)
  const target = nodePath.join(yield* realPath(nodePath.dirname(path)), nodePath.basename(path))
  if (!nodePath.relative(own, target).startsWith("..")) {
    return yield* refused(`${path} is in the blob store: write somewhere else`)
  }
  const stat = yield* statOf(path)
  if (format === "hashSeq") {
    return stat?.isDirectory() === false
      ? yield* refused(`${path} is a file, and a collection needs a folder`)
      : undefined
  }
  if (stat?.isDirectory() === true) return yield* refused(`${path} is a folder: name the file to write`)
  if (stat?.isFile() === false) {
    return yield* refused(`${path} is a device, a socket or a pipe: write to standard output with --output -`)
  }
  if (stat !== undefined && !options.force) {
    return yield* refused(`${path} exists already: name another file, or replace it with --force`)
  }
})

/** Writes to standard output; somebody who reads no further has what they want. */
export const toStdout = (blobs: Blobs["Service"], hash: BlobHash.BlobHash) =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Stream.run(blobs.stream(hash), stdio.stdout({ endOnDone: false }))).pipe(
    Effect.catchIf(
      (error) => error._tag === "PlatformError" && String(error.cause ?? error.message).includes("EPIPE"),
      () => Effect.void
    )
  )

/** A stranger's collection is not to bring what this user's programs would trust. */
const checkNames = (files: ReadonlyArray<{ readonly name: string }>, { force }: Get) => {
  const trusted = files.find(({ name }) => TRUSTED.has(name.split("/").at(-1)!.toLowerCase()))
  return trusted === undefined || force
    ? Effect.void
    : refused(
        `the collection holds ${trusted.name}, which would decide what this user's programs trust: look at it with ` +
          `aster blobs ls HASH, and write it with --force if it is to be there`
      )
}

/** Downloads what is missing, and writes it out if wanted. */
export const get = Effect.fnUntraced(function* (options: Get) {
  const locations = yield* Locations
  const output: Output | undefined =
    options.output === undefined
      ? undefined
      : { path: resolve(locations, options.output), isStdout: options.output === "-" }
  const credential = options.credential === undefined ? undefined : resolve(locations, options.credential)
  const directory = yield* directoryOf(options.store)
  const store = yield* openStore(options.store, "write")
  const { content, peers } = yield* wantedBy(store, options)
  if (output !== undefined) yield* checkOutput(output, content, directory, options)
  yield* store.protect(content)
  const offline = yield* blobsOffline(store)
  const here = yield* Effect.result(offline.download(content, { tag: false }))
  let downloaded: Downloaded
  if (here._tag === "Success") downloaded = here.success
  else {
    if (here.failure._tag !== "DownloadFailed") return yield* here.failure
    if (peers.length === 0) {
      return yield* refused(
        `blob ${content.hash} is not in the store: use a ticket, or say with --from ADDRESS who has it`
      )
    }
    const settings = yield* clientConfig(credential)
    // A ticket can come from anybody: what the environment has is not for whoever asks for it.
    const config = credential === undefined ? { ...settings, enrollmentCredentialFile: undefined } : settings
    const node = yield* bind(config, credential)
    const blobs = yield* blobsOn(store, node)
    downloaded = yield* download(blobs, node, config, content, peers, { ...options, credential })
  }
  for (const failure of downloaded.failures) yield* Effect.logWarning(failure.message)
  yield* keep(store, content, options.tag)

  // Only writing it out needs names.
  const files =
    content.format === "raw"
      ? undefined
      : yield* offline
          .collection(content.hash)
          .pipe(Effect.catchTag("MalformedBlob", (error) => (output === undefined ? Effect.succeed(undefined) : error)))
  const sizes = yield* Effect.forEach(files ?? [content], ({ hash }) => store.bitfield(hash))
  const size = sizes.reduce((sum, blob) => sum + blob.size, 0)
  if (output?.isStdout === true) return yield* toStdout(offline, content.hash)
  if (output !== undefined) {
    yield* checkNames(files ?? [], options)
    yield* Progress.measured("Writing", (onProgress) =>
      files === undefined
        ? offline.export(content.hash, output.path, { onProgress, overwrite: options.force })
        : offline.exportCollection(content.hash, output.path, { onProgress, overwrite: options.force })
    )
  }
  if (options.json) {
    const failures = downloaded.failures.map(({ message, peer }) => ({ peer, message }))
    const { received } = downloaded
    return yield* printJson({
      ...content,
      size,
      files: files?.length,
      received,
      output: output?.path ?? null,
      failures
    })
  }
  yield* printTable([
    ["Hash", BlobHash.format(content)],
    ["Size", byteText(size)],
    ...(files === undefined ? [] : [["Kind", `collection, ${filesText(files.length)}`] as const]),
    ["Received", byteText(downloaded.received)],
    ...(output === undefined ? [] : [["Output", output.path] as const])
  ])
}, Effect.scoped)
