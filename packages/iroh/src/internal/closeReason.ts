import type { CloseReason } from "../Connection.ts"

/** Reads what the QUIC library says about a closed connection. `local` is what we closed it with, if we did. */
export const parseCloseReason = (
  text: string,
  local: { readonly code: number; readonly reason: string } = { code: 0, reason: "" }
): CloseReason => {
  if (text === "closed") return { _tag: "Local", ...local }
  if (text === "timed out") return { _tag: "TimedOut" }
  const [, reason, code, bare] = /^closed by peer: (?:([^]*) \(code (\d+)\)|(\d+))$/.exec(text) ?? []
  if (code !== undefined) return { _tag: "Peer", code: Number(code), reason: reason ?? "" }
  if (bare !== undefined) return { _tag: "Peer", code: Number(bare), reason: "" }
  return { _tag: "Transport", detail: text }
}
