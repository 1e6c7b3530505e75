/**
 * Why files of a store cannot be used, in words: a system says no more than EACCES, and SQLite "disk I/O error".
 *
 * @since 0.1.0
 */
import * as fs from "node:fs"

/** SQLITE_PERM, SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN. */
const sqliteCodes = new Set([3, 8, 10, 14])

/** Whether a failure may be about what this process may do. */
const mayBeDenial = (cause: unknown): boolean => {
  if (typeof cause !== "object" || cause === null) return false
  if ("errcode" in cause && typeof cause.errcode === "number") return sqliteCodes.has(cause.errcode & 0xff)
  return isDenial(cause)
}

const isDenial = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && (cause.code === "EACCES" || cause.code === "EPERM")

const { R_OK, W_OK, X_OK } = fs.constants

const isDenied = (path: string, mode: number): boolean => {
  try {
    fs.accessSync(path, mode)
    return false
  } catch (cause) {
    return isDenial(cause)
  }
}

const explain = (path: string, use: "read" | "write", user: number): string | undefined => {
  let stats: fs.Stats | undefined
  try {
    stats = fs.statSync(path)
  } catch (cause) {
    return isDenial(cause)
      ? `user ${user}, as whom this process runs, may not look at ${path}; run as its owner, or name another folder`
      : undefined
  }
  const folder = stats.isDirectory() ? X_OK : 0
  if (!isDenied(path, (use === "write" ? R_OK | W_OK : R_OK) | folder)) return undefined
  return stats.uid === user
    ? `the mode of ${path} does not let its owner ${use} it: run chmod u+rw${folder === 0 ? "" : "x"} on it`
    : `${path} belongs to user ${stats.uid}, and user ${user}, as whom this process runs, may not ${use} it; ` +
        "run as that user, or name another folder"
}

/**
 * The cause of a failure, or one that says better what is the matter: the first of `paths` that this process may not use,
 * whom it belongs to and what to do. Nothing is changed. Where there are no users, as on Windows, the cause stays.
 *
 * @since 0.1.0
 */
export const explained = (cause: unknown, paths: ReadonlyArray<string>, use: "read" | "write" = "write"): unknown => {
  const user = process.geteuid?.()
  if (user === undefined || !mayBeDenial(cause)) return cause
  for (const path of paths) {
    const text = explain(path, use, user)
    if (text !== undefined) return new Error(text, { cause })
  }
  return cause
}
