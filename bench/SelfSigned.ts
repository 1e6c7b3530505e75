import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A certificate for `localhost` and 127.0.0.1 with its key, both PEM. */
export interface SelfSigned {
  readonly certificate: string
  readonly key: string
}

/**
 * Makes a throw-away P-256 certificate, valid for a day, with the `openssl` command: Node can read X.509 but not
 * write it. Throws when `openssl` is not installed.
 */
export const selfSigned = (): SelfSigned => {
  const directory = mkdtempSync(join(tmpdir(), "aster-bench-"))
  const certificate = join(directory, "certificate.pem")
  const key = join(directory, "key.pem")
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
  try {
    execFileSync(
      "openssl",
      ["req", "-x509", ...curve, "-nodes", "-days", "1", ...names, "-keyout", key, "-out", certificate],
      { stdio: "ignore" }
    )
    return { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") }
  } catch (cause) {
    throw new Error("The TLS peers need a certificate: install the openssl command (1.1.1 or newer).", { cause })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
