/** The machine a run took place on, and how much of it was ours. */
import { readFileSync } from "node:fs"
import { findPackageJSON } from "node:module"
import { cpus, release, totalmem, type } from "node:os"

/** Processor, memory, operating system and Node, in one line. */
export const description = (): string => {
  const processors = cpus()
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  return `${processors.length} x ${processors[0]?.model ?? "unknown CPU"}, ${memory}, ${type()} ${release()}, Node ${process.versions.node}`
}

/** The installed version of a package, as the bench sees it. */
export const versionOf = (name: string): string => {
  const path = findPackageJSON(name, import.meta.url)
  const manifest: unknown = path === undefined ? undefined : JSON.parse(readFileSync(path, "utf8"))
  const version = typeof manifest === "object" && manifest !== null && "version" in manifest && manifest.version
  return typeof version === "string" ? version : "unknown"
}

/**
 * Starts a watch over all cores. The function it answers gives the share of them (0 to 1) that was taken since by
 * anyone but us, the hypervisor included, when we used `ownCpuSeconds`.
 */
export const watchForeignShare = (): ((ownCpuSeconds: number) => number) => {
  const idleSeconds = () => cpus().reduce((sum, { times }) => sum + times.idle, 0) / 1000
  const start = performance.now()
  const idleBefore = idleSeconds()
  return (ownCpuSeconds) => {
    const available = ((performance.now() - start) / 1000) * cpus().length
    return Math.max(0, (available - (idleSeconds() - idleBefore) - ownCpuSeconds) / available)
  }
}
