/**
 * Root keys in the operating system's keyring, shared with the reference. This needs a Secret Service that can be started:
 * `dbus-run-session` and `gnome-keyring-daemon`.
 */
import * as CredentialFile from "@aster-effect/trust/CredentialFile"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { directory } from "../admission/Deployment.ts"
import { PythonReference } from "./PythonReference.ts"

const bin = fileURLToPath(new URL("../../packages/cli/bin/aster.js", import.meta.url))

const available = ["dbus-run-session", "gnome-keyring-daemon"].every(
  (name) => spawnSync(name, ["--version"]).status === 0
)

/** A session bus with an unlocked keyring; what is in it stays in the home directory. */
const session = [
  "--",
  "sh",
  "-c",
  'printf pw | gnome-keyring-daemon --unlock --components=secrets --control-directory="$XDG_RUNTIME_DIR" >/dev/null && "$@"',
  "sh"
]

/** Both commands in one home directory, and its keyring. */
const withKeyring = Effect.gen(function* () {
  const { asterCommand } = yield* PythonReference
  const home = yield* directory
  const runtime = path.join(home, "run")
  mkdirSync(runtime, { mode: 0o700 })
  const run = (command: ReadonlyArray<string>) => (line: string) => {
    const { status, stderr, stdout } = spawnSync("dbus-run-session", [...session, ...command, ...line.split(" ")], {
      cwd: home,
      env: { PATH: process.env["PATH"], HOME: home, XDG_RUNTIME_DIR: runtime, PYTHONDONTWRITEBYTECODE: "1" },
      encoding: "utf8",
      timeout: 60_000
    })
    assert.strictEqual(status, 0, `${line}\n${stdout}${stderr}`)
    return stdout
  }
  return {
    file: (name: string) => path.join(home, name),
    ours: run([process.execPath, "--conditions=@aster-effect/source", bin]),
    theirs: run(asterCommand)
  }
})

const enrol = (profile: string) =>
  `enroll node --role consumer --name x --profile ${profile} --capabilities a --out ${profile}.cred`

describe.skipIf(!available)("the keyring", () => {
  layer(PythonReference.layer, { timeout: "5 minutes", excludeTestServices: true })((it) => {
    it.effect("root keys of either command sign for the other, and are gone for both", () =>
      Effect.gen(function* () {
        const { file, ours, theirs } = yield* withKeyring
        ours("keygen root --profile ours")
        theirs(`keygen root --profile theirs --out ${file("unused.key")}`)
        for (const [profile, other] of [
          ["ours", theirs],
          ["theirs", ours]
        ] as const) {
          other(enrol(profile))
          const shown = /root_pubkey: ([0-9a-f]{64})/.exec(ours(`profile show ${profile}`))?.[1]
          assert.strictEqual((yield* CredentialFile.read(file(`${profile}.cred`))).rootPubkey, shown)
        }
        assert.include(theirs("profile show ours"), "keyring")
        ours("profile delete theirs --yes")
        theirs("profile delete ours --yes")
        theirs("profile create theirs")
        ours("profile create ours")
        assert.include(ours("profile show ours"), "root_privkey: <not set>")
        assert.include(ours("profile show theirs"), "root_privkey: <not set>")
      })
    )
  })
})
