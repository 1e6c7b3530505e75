/** Puts the files that pages show into them: `npm run docs:snippets`. A test holds pages and files together. */
import { globSync, readFileSync, writeFileSync } from "node:fs"
import * as path from "node:path"

const root = path.resolve(import.meta.dirname, "../..")

for (const page of globSync(["README.md", "docs/**/*.md", "packages/*/README.md"], { cwd: root })) {
  const text = readFileSync(path.join(root, page), "utf8")
  const shown = text.replace(
    /^(```\w+ file=(\S+)\n)[^]*?^```$/gm,
    (_block, opening: string, file: string) => `${opening}${readFileSync(path.join(root, file), "utf8")}\`\`\``
  )
  if (shown !== text) writeFileSync(path.join(root, page), shown)
}
