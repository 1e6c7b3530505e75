import "../requireNode.js"

await import("./main.ts")
