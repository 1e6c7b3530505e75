/** One process of a pair: `child.ts server|client <peer> <scale>`, talking to the process that started it. */
import { measure, usage, type Usage } from "./Measurement.ts"
import type { FromClient, FromServer } from "./Pair.ts"
import type { Listening } from "./Peer.ts"
import { MorePeers, Peers } from "./Peers.ts"

const [role, name = "", scale = "1"] = process.argv.slice(2)

const entry = Peers.get(name) ?? MorePeers.get(name)
if (entry === undefined || process.send === undefined) throw new Error("This program is started by run.ts.")
const tell = (message: FromServer | FromClient) => process.send?.(message)
process.on("disconnect", () => process.exit(0))

if (role === "server") {
  const peer = await entry.load()
  const listening = await peer.server()
  process.on("message", () => tell({ kind: "usage", usage: usage() }))
  tell({ kind: "listening", listening })
} else {
  const listening = Promise.withResolvers<Listening>()
  let answered: (usage: Usage) => void
  process.on("message", (message: FromServer) => {
    if (message.kind === "listening") listening.resolve(message.listening)
    else answered(message.usage)
  })
  const serverUsage = () =>
    new Promise<Usage>((resolve) => {
      answered = resolve
      tell({ kind: "askUsage" })
    })
  const peer = await entry.load()
  const client = await peer.client(await listening.promise)
  const compresses = entry.compresses === true
  const measurement = await measure(client, serverUsage, { compresses, scale: Number(scale) })
  tell({ kind: "done", measurement })
}
