import * as TopicId from "@aster-effect/iroh-gossip/TopicId"

console.log(TopicId.fromName("weather"))
