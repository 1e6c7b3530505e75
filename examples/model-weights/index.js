import "../requireNode.js"

const [, , role] = process.argv
if (role === "produce") await import("./producer.ts")
else if (role === "consume") await import("./consumer.ts")
else throw new Error("usage: node examples/model-weights produce [IDENTITY] | consume ADDRESS HASH [IDENTITY]")
