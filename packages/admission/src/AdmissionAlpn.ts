/**
 * The protocols that admit peers, by their ALPN (Aster admission, ALPNs).
 *
 * @since 0.1.0
 */

/** The handshake that admits consumers and tells them the services. @since 0.1.0 */
export const CONSUMER = "aster.consumer_admission"

/** The handshake that admits other producers. @since 0.1.0 */
export const PRODUCER = "aster.producer_admission"
