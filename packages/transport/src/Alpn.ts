/**
 * The protocols of an Aster node, by their ALPN (Aster RPC wire, ALPNs).
 *
 * @since 0.1.0
 */

/** Calls. @since 0.1.0 */
export const RPC = "aster/1"

/** The handshake that admits consumers and tells them the services. @since 0.1.0 */
export const CONSUMER_ADMISSION = "aster.consumer_admission"

/** The handshake that admits other producers. @since 0.1.0 */
export const PRODUCER_ADMISSION = "aster.producer_admission"
