import * as fs from "node:fs/promises"
import * as nodePath from "node:path"
import * as Effect from "effect/Effect"

/** Files with a key are small. */
const MAX_SIZE = 65_536

/** What identity files, key files and credentials of Aster hold, and the private keys of others. */
const marks = [
  /^\s*secret_key\s*=/m,
  /^\s*signature\s*=/m,
  /"(?:secret_key|private_key)"\s*:/,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/
]

/** Whether a file holds a key, an identity or a credential. A file that cannot be read is asked about elsewhere. */
export const holdsSecret = (file: string): Effect.Effect<boolean> =>
  Effect.promise(async () => {
    if (nodePath.basename(file) === ".aster-identity") return true
    try {
      const found = await fs.lstat(file)
      if (!found.isFile() || found.size > MAX_SIZE) return false
      const text = await fs.readFile(file, "utf8")
      return marks.some((mark) => mark.test(text))
    } catch {
      return false
    }
  })
