/** Packs every package once for all tests of this folder. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import type { TestProject } from "vitest/node"
import { pack, type Tarball } from "../../tools/packages/pack.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly tarballs: ReadonlyArray<Tarball>
  }
}

export default (project: TestProject) => {
  const directory = mkdtempSync(path.join(tmpdir(), "tarballs-"))
  project.provide("tarballs", pack(directory))
  return () => rmSync(directory, { recursive: true })
}
