/**
 * Puts into the pages what they show: the files of code blocks, and the tables of doors in docs/architecture.md. Run it with
 * `npm run docs:update`; a test holds pages and sources together.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { doorsTable } from "./doors.ts"

const root = path.resolve(import.meta.dirname, "../..")

for (const page of globSync(["README.md", "docs/**/*.md", "packages/*/README.md"], { cwd: root })) {
  const text = readFileSync(path.join(root, page), "utf8")
  const shown = text
    .replace(
      /^(```\w+ file=(\S+)\n)[^]*?^```$/gm,
      (_block, opening: string, file: string) => `${opening}${readFileSync(path.join(root, file), "utf8")}\`\`\``
    )
    .replace(/(<!-- doors -->\n)[^]*?(?=<!-- \/doors -->)/, (_table, opening: string) => opening + doorsTable(root))
  if (shown !== text) writeFileSync(path.join(root, page), shown)
}
