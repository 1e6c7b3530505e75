/** What this node says on a document's topic. */
import * as Effect from "effect/Effect"
import * as LiveMessage from "../proto/LiveMessage.ts"
import type { OpenDocument } from "./replica.ts"

/** Tells the document's topic something, when it is joined. Whoever misses it hears of it in a session. */
export const tell = (
  { topic }: OpenDocument,
  to: "everybody" | "neighbors",
  message: LiveMessage.LiveMessage
): Effect.Effect<void> => {
  if (topic === undefined) return Effect.void
  const content = LiveMessage.encode(message, topic.maxContent)
  return Effect.ignore(to === "everybody" ? topic.broadcast(content) : topic.broadcastNeighbors(content))
}
