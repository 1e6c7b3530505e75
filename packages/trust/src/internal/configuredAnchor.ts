import type { Resolved } from "@aster-effect/config/AsterConfig"
import { AsterConfigError, describeOrigin } from "@aster-effect/config/AsterConfigError"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import type { Source, SourceKind } from "@aster-effect/config/Settings"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

const strength: Readonly<Record<SourceKind, number>> = { inline: 4, environment: 3, file: 2, identity: 1, default: 0 }

const readRootFile = Effect.fnUntraced(function* (
  path: string,
  { label, origin }: Source
): Effect.fn.Return<RootPublicKey.Anchor, AsterConfigError> {
  const { text, writableByOthers } = yield* BoundedFile.read(path).pipe(
    Effect.mapError(
      ({ message }) =>
        new AsterConfigError({ reason: "Unreadable", origin, detail: `the root public key file: ${message}` })
    )
  )
  if (writableByOthers) {
    yield* Effect.logWarning(`${path}: others can change it, and so decide whom this node trusts; run chmod go-w`)
  }
  const key = RootPublicKey.fromFileText(text)
  return Result.isSuccess(key)
    ? { key: key.success, source: label }
    : yield* new AsterConfigError({
        reason: "InvalidValue",
        origin: { file: path },
        detail: `${key.failure} (the file named by ${describeOrigin(origin)})`
      })
})

/**
 * The root key of the settings: of `root_pubkey` and `root_pubkey_file` the one from the stronger source; when one
 * source sets both, they must agree.
 */
export const configuredAnchor = Effect.fnUntraced(function* (
  config: Resolved
): Effect.fn.Return<RootPublicKey.Anchor | undefined, AsterConfigError> {
  const valueSource = config.source("rootPubkey")
  const fileSource = config.source("rootPubkeyFile")
  const value: RootPublicKey.Anchor | undefined =
    config.rootPubkey === undefined ? undefined : { key: config.rootPubkey, source: valueSource.label }
  if (config.rootPubkeyFile === undefined) return value
  if (value !== undefined && strength[valueSource.kind] > strength[fileSource.kind]) return value
  const file = yield* readRootFile(config.rootPubkeyFile, fileSource)
  if (value !== undefined && valueSource.kind === fileSource.kind && value.key !== file.key) {
    return yield* new AsterConfigError({
      reason: "Conflict",
      origin: valueSource.origin,
      detail: `names another root key than ${describeOrigin(fileSource.origin)}; keep one of the two`
    })
  }
  return file
})
