/** The state of a producer's mesh, read from its file, for people and for scripts. */
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as MeshState from "@aster-effect/mesh/MeshState"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as path from "node:path"
import { refused } from "../../CliFailure.ts"
import { Locations, resolve } from "../../Locations.ts"
import { clientConfig } from "../clientConfig.ts"
import { jsonText } from "../jsonText.ts"
import { printable } from "../printable.ts"

/** Where the producer's state is: as it was named, else as a server finds it, else where release 0.1.2 keeps it. */
const directoryOf = Effect.fnUntraced(function* (given: string | undefined) {
  const locations = yield* Locations
  if (given !== undefined) return resolve(locations, given)
  const variable = Option.getOrUndefined(yield* Config.option(Config.String("ASTER_MESH_STATE_DIR")))
  const configured = variable ?? (yield* clientConfig(undefined)).storagePath
  return configured === undefined ? path.join(locations.home, ".aster") : resolve(locations, configured)
})

export const status = Effect.fnUntraced(function* (directory: string | undefined, json: boolean) {
  const file = path.join(yield* directoryOf(directory), "mesh_state.json")
  const { text } = yield* BoundedFile.read(file).pipe(
    Effect.catch(({ code, message }) =>
      Effect.fail(
        refused(
          code === "ENOENT"
            ? `there is no mesh at ${file}: producers keep one there that admit others, with ASTER_ALLOW_ALL_PRODUCERS=false and a storage path; name its directory with --state PATH`
            : message
        )
      )
    )
  )
  const state = MeshState.decode(text)
  if (state === undefined) return yield* refused(`${file} is damaged; restore it, or remove it to found a new mesh`)
  const now = yield* Clock.currentTimeMillis
  const producers = state.accepted_producers.map((id) => ({
    endpoint_id: id,
    expires_at: timeOf(state.producer_expiry[id]),
    expired: (state.producer_expiry[id] ?? Infinity) <= now,
    clock_offset_ms: state.peer_offsets[id] ?? null,
    isolated: state.drift_isolated.includes(id),
    addresses: addressesOf(state.producer_addresses[id])
  }))
  const times = {
    joined_at: timeOf(state.mesh_joined_at_epoch_ms),
    last_heartbeat_at: timeOf(state.last_heartbeat_epoch_ms),
    rotated_at: timeOf(state.rotated_at_epoch_ms)
  }
  if (json) {
    return yield* Console.log(
      jsonText({ file, topic_id: state.topic_id, ...times, producers, removed_producers: state.removed_producers })
    )
  }
  const lines = [
    `topic      ${state.topic_id}`,
    `joined     ${times.joined_at ?? "not yet"}`,
    `heartbeat  ${times.last_heartbeat_at ?? "none yet"}`,
    ...(times.rotated_at === null ? [] : [`rotated    ${times.rotated_at}`]),
    `producers  ${producers.length}`,
    ...producers.map(({ addresses, clock_offset_ms, endpoint_id, expired, expires_at, isolated }) => {
      const notes = [
        expires_at === null ? "listed" : `${expired ? "expired" : "until"} ${expires_at}`,
        ...(clock_offset_ms === null ? [] : [`clock ${-clock_offset_ms} ms`]),
        ...(isolated ? ["isolated"] : []),
        ...addresses
      ]
      return `  ${endpoint_id}  ${notes.join("  ")}`
    }),
    ...state.removed_producers.map((id) => `  ${id}  put out`)
  ]
  yield* Console.log(printable(lines.join("\n")))
})

const timeOf = (millis: number | undefined): string | null =>
  millis === undefined || millis <= 0 || millis > 8.64e15 ? null : new Date(millis).toISOString()

const addressesOf = (text: string | undefined): ReadonlyArray<string> => {
  if (text === undefined) return []
  try {
    const { directAddresses, relayUrl } = NodeAddr.parse(text)
    return relayUrl === undefined ? directAddresses : [...directAddresses, relayUrl]
  } catch {
    return []
  }
}
