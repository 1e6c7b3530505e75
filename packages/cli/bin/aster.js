#!/usr/bin/env node
// Plain JavaScript that every Node can read, so that an old one gets a sentence and not a syntax error.
const [major, minor] = process.versions.node.split(".").map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `aster needs Node.js 22.19 or newer, and this is ${process.versions.node}: install a newer one, or start it with npx, which takes the project's own.\n`
  )
  process.exit(1)
}

const { main } = await import("@aster-effect/cli/main")
main()
