import { open } from "node:fs/promises"

/** Makes the names in a directory durable. It is synced through a handle; some systems refuse, and have no need for it. */
export const syncDirectory = async (path: string): Promise<void> => {
  if (process.platform === "win32") return
  const handle = await open(path)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
