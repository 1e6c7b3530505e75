import "../requireNode.js"

const [, , action] = process.argv
if (action === "share") await import("./share.ts")
else if (action === "fetch") await import("./fetch.ts")
else throw new Error("usage: node examples/share-folder share FOLDER [STORE] | fetch TICKET FOLDER [STORE]")
