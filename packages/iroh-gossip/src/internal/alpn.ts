export const ALPN = "/iroh-gossip/1"
