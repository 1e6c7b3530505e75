import "../requireNode.js"

await import("../task-runner/consumer.ts")
