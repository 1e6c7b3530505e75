import "../requireNode.js"

await import("./chat.ts")
