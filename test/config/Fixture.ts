import * as AsterConfig from "@aster-effect/config/AsterConfig"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"

export const rootA = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
export const rootB = "1432d8c123192fbcf4f5e44930dd002476e2d4bd8ced9347f30d10724df4dc01"

/** Two nodes: base64 secret key and endpoint id. */
export const nodeA = {
  secret: "kAz7PiUnRg06q4s0X0ad+VSqk7LrRqk9+KA6vIdzxYo=",
  id: "7631367433e9605d583e8c5fa0709e7c3fbf3dae07cf475e04afa3e7681eb8a1"
}
export const nodeB = {
  secret: "JmRebyxq8JM57S249QkwPhAKcvKaeosSHKyuapzE7co=",
  id: "1e47687aabe4d765879b57b3ff251edecbd1e921bb436aef823ed37580cd5e1d"
}

export interface PeerText {
  readonly name?: string
  readonly role?: "producer" | "consumer"
  readonly root?: string
  readonly endpointId?: string
  readonly expiresAt?: number
}

/** The text of an identity file for node A. */
export const identityText = (...peers: ReadonlyArray<PeerText>): string =>
  [
    `[node]\nsecret_key = "${nodeA.secret}"\nendpoint_id = "${nodeA.id}"`,
    ...peers.map(
      ({ endpointId = nodeA.id, expiresAt = 4_102_444_800, name = "p", role = "producer", root = rootA }) =>
        `[[peers]]\nname = "${name}"\nrole = "${role}"\nroot_pubkey = "${root}"\nendpoint_id = "${endpointId}"\n` +
        `expires_at = ${expiresAt}\nsignature = "${"ab".repeat(64)}"`
    )
  ].join("\n\n")

/** A directory that is gone after the test, with these files (mode 0600) in it. */
export const directory = Effect.fnUntraced(function* (files: Readonly<Record<string, string>> = {}) {
  const made = yield* Effect.acquireRelease(
    Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "aster-config-"))),
    (directory) => Effect.promise(() => fs.rm(directory, { recursive: true }))
  )
  for (const [name, text] of Object.entries(files)) {
    yield* Effect.promise(async () => {
      await fs.mkdir(path.dirname(path.join(made, name)), { recursive: true })
      await fs.writeFile(path.join(made, name), text, { mode: 0o600 })
    })
  }
  return made
})

/** An environment of exactly these variables. */
export const environment = (env: Record<string, string>): ConfigProvider.ConfigProvider =>
  ConfigProvider.fromEnv({ env, preserveEmptyStrings: true })

/** Loads in a directory of its own, with no environment but the given one. */
export const loadIn = (
  workingDirectory: string,
  env: Record<string, string> = {},
  options: AsterConfig.LoadOptions = {}
) => AsterConfig.AsterConfig.load({ workingDirectory, environment: environment(env), ...options })

/** Runs an effect and answers what it logged at any level, beside its result. */
export const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))
    return Effect.map(Effect.provide(effect, Logger.layer([logger])), (value) => ({ value, lines }))
  })
