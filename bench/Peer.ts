/**
 * What a stack must offer to be measured. A peer runs in two processes: one listens, one dials, and all they share
 * is a `Listening` value.
 */

/** Where a server of a peer can be reached. */
export interface Listening {
  /** In the peer's own notation: host and port, endpoint id and socket, ticket. */
  readonly address: string
  /** The PEM certificate the client has to trust, when the peer runs over TLS. */
  readonly certificate?: string | undefined
}

/** One open connection. */
export interface Connection {
  /** A unary call carrying `payload`; answers what came back. */
  readonly echo: (payload: Uint8Array) => Promise<Uint8Array>
  /** One server stream of `count` messages of `size` bytes; answers how many messages arrived. */
  readonly stream: (count: number, size: number) => Promise<number>
  /** Gives the connection back; nothing may be called after it. */
  readonly close: () => Promise<void>
}

/** The dialling side. */
export interface Client {
  /** Opens a new connection, including whatever handshakes the stack needs before a first call. */
  readonly connect: () => Promise<Connection>
}

/** Both sides of a stack. */
export interface Peer {
  /** Starts listening on 127.0.0.1; serves until the process ends. */
  readonly server: () => Promise<Listening>
  readonly client: (listening: Listening) => Promise<Client>
}
