import "../requireNode.js"

await import("./producer.ts")
