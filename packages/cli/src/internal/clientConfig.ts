import { AsterConfig, type Resolved } from "@aster-effect/config/AsterConfig"
import type { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as path from "node:path"
import type * as Effect from "effect/Effect"

/**
 * The environment. A credential file counts together with an `.aster-identity` beside it, for the node key; without one no
 * identity file is looked for, or a call from a server's directory would show the server's identity.
 */
export const clientConfig = (credentialFile: string | undefined): Effect.Effect<Resolved, AsterConfigError> =>
  AsterConfig.load(
    credentialFile === undefined ? { identity: false } : { workingDirectory: path.dirname(credentialFile) }
  )
