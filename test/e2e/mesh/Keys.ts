import { generateKeyPairSync } from "node:crypto"

/** A new Ed25519 public key, as hex digits. */
export const publicKey = (): string => {
  const { x } = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" })
  return Buffer.from(x!, "base64url").toString("hex")
}
