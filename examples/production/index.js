import "../requireNode.js"

const [, , role] = process.argv
if (role === "produce") await import("./producer.ts")
else if (role === "consume") await import("./consumer.ts")
else throw new Error("usage: node examples/production produce | consume ADDRESS")
