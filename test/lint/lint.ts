/** Our linter on a project of planted files. */
import { execFileSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { packages } from "../../tools/lint/layers.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))

/** The lines that a rule refuses, as "file:line", in a project that has our configuration and these files. */
export const lint = (rule: string, files: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlySet<string> => {
  const home = mkdtempSync(path.join(tmpdir(), "layers-"))
  try {
    cpSync(path.join(root, ".oxlintrc.json"), path.join(home, ".oxlintrc.json"))
    cpSync(path.join(root, "tools/lint"), path.join(home, "tools/lint"), { recursive: true })
    symlinkSync(path.join(root, "node_modules"), path.join(home, "node_modules"))
    const write = (file: string, text: string) => {
      mkdirSync(path.dirname(path.join(home, file)), { recursive: true })
      writeFileSync(path.join(home, file), text)
    }
    for (const name of Object.keys(packages)) {
      const own = Object.fromEntries(packages[name]!.map((other) => [`@aster-effect/${other}`, "0.1.0"]))
      const manifest = {
        dependencies: { ...own, declared: "1.0.0" },
        peerDependencies: { "@declared/scoped": "1.0.0" }
      }
      write(`packages/${name}/package.json`, JSON.stringify(manifest))
    }
    for (const [file, lines] of files) write(file, lines.join("\n"))
    const output = execFileSync(
      process.execPath,
      [path.join(root, "node_modules/oxlint/bin/oxlint"), "--format", "json", "--quiet", "."],
      { cwd: home, maxBuffer: 1 << 28, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }
    )
    return refusedLines(rule, output)
  } catch (error) {
    const { stdout, status } = error as { readonly stdout?: string; readonly status?: number }
    if (status !== 1 || stdout === undefined) throw error
    return refusedLines(rule, stdout)
  } finally {
    rmSync(home, { recursive: true })
  }
}

const refusedLines = (rule: string, output: string): ReadonlySet<string> => {
  const { diagnostics } = JSON.parse(output) as {
    readonly diagnostics: ReadonlyArray<{
      readonly code: string
      readonly filename: string
      readonly labels: ReadonlyArray<{ readonly span: { readonly line: number } }>
    }>
  }
  return new Set(
    diagnostics
      .filter(({ code }) => code === `aster(${rule})`)
      .map(({ filename, labels }) => `${filename}:${labels[0]!.span.line}`)
  )
}
