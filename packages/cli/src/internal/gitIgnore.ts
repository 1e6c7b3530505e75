import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

const exists = (file: string): Promise<boolean> =>
  fs.stat(file).then(
    () => true,
    () => false
  )

/** The directory above (or at) `directory` that holds `.git`, which is a file in a linked work tree. */
const workTreeOf = async (directory: string): Promise<string | undefined> => {
  if (await exists(path.join(directory, ".git"))) return directory
  const parent = path.dirname(directory)
  return parent === directory ? undefined : workTreeOf(parent)
}

const escaped = (name: string): string => name.replaceAll(/[\\*?[\]#!]| $/g, "\\$&")

const append = async (file: string): Promise<string | undefined> => {
  const root = await workTreeOf(path.dirname(file))
  const pattern = escaped(path.basename(file))
  if (root === undefined || /[\r\n]/.test(pattern)) return undefined
  const target = path.join(root, ".gitignore")
  const text = await fs.readFile(target, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return ""
    throw cause
  })
  if (text.split(/\r?\n/).some((line) => line === pattern || line === `/${pattern}`)) return undefined
  await fs.appendFile(
    target,
    `${text === "" || text.endsWith("\n") ? "" : "\n"}# Aster node identity (secret)\n${pattern}\n`
  )
  return target
}

/**
 * Adds a secret file's name to the `.gitignore` of the work tree it is in, unless it is there already. Answers the path
 * of a `.gitignore` that was changed. Failing to do so is a warning, since the secret itself is safely written.
 */
export const addTo = (file: string): Effect.Effect<Option.Option<string>> =>
  Effect.tryPromise(() => append(file)).pipe(
    Effect.map(Option.fromUndefinedOr),
    Effect.catch((error) =>
      Effect.as(Effect.logWarning(`cannot add ${file} to .gitignore: ${String(error.cause)}`), Option.none())
    )
  )
