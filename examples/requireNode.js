// Plain JavaScript that every Node can read, so that an old one gets a sentence and not a syntax error.
const [major, minor] = process.versions.node.split(".").map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(
    `Aster for Effect needs Node.js 22.19 or newer, and this is ${process.versions.node}: start it with npm (npm start), which brings its own Node.js.`
  )
  process.exit(1)
}
