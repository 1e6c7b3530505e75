/**
 * The limits of the protocol, under the names the Aster RPC wire specification gives them ("Limits").
 *
 * Byte limits are in bytes, lengths in characters, counts in entries. Limits that release 0.1.2 names but does not
 * enforce are meant to be enforced here.
 *
 * @since 0.1.0
 */

/** Largest value of a frame's length field, in bytes: the flags byte plus the payload. @since 0.1.0 */
export const MAX_FRAME_SIZE = 16_777_216

/** Largest payload of a frame, in bytes. @since 0.1.0 */
export const MAX_PAYLOAD_SIZE = MAX_FRAME_SIZE - 1

/** Largest size of a message after decompression, in bytes. @since 0.1.0 */
export const MAX_DECOMPRESSED_SIZE = 16_777_216

/** Messages of at least this many bytes are worth compressing. @since 0.1.0 */
export const COMPRESSION_THRESHOLD = 4_096

/** How long a peer may take to deliver a frame it has begun, in seconds. @since 0.1.0 */
export const DEFAULT_FRAME_READ_TIMEOUT_S = 30

/** Longest run time of a handler, in seconds, whatever deadline the caller asked for. @since 0.1.0 */
export const MAX_HANDLER_TIMEOUT_S = 300

/** Most items a client may send in one client stream. @since 0.1.0 */
export const MAX_CLIENT_STREAM_ITEMS = 100_000

/** Most metadata entries of a call. @since 0.1.0 */
export const MAX_METADATA_ENTRIES = 64

/** Most UTF-8 bytes of all metadata keys and values of a call together. @since 0.1.0 */
export const MAX_METADATA_TOTAL_BYTES = 8_192

/** Longest metadata key, in characters. @since 0.1.0 */
export const MAX_METADATA_KEY_LENGTH = 256

/** Longest metadata value, in characters. @since 0.1.0 */
export const MAX_METADATA_VALUE_LENGTH = 4_096

/** Longest status message, in characters. @since 0.1.0 */
export const MAX_STATUS_MESSAGE_LENGTH = 4_096

/** Most detail entries of a status. @since 0.1.0 */
export const MAX_STATUS_DETAIL_ENTRIES = 32

/** Longest service name, in characters. @since 0.1.0 */
export const MAX_SERVICE_NAME_LENGTH = 256

/** Longest method name, in characters. @since 0.1.0 */
export const MAX_METHOD_NAME_LENGTH = 256

/** Deepest nesting of JSON read from a peer. @since 0.1.0 */
export const MAX_JSON_DEPTH = 50

/** Most service summaries used from one admission response. @since 0.1.0 */
export const MAX_SERVICES_IN_ADMISSION = 10_000

/** Largest admission request or response, in bytes. @since 0.1.0 */
export const MAX_ADMISSION_PAYLOAD_SIZE = 65_536

/** Most channels of one service summary. @since 0.1.0 */
export const MAX_CHANNELS_PER_SERVICE = 100

/** Most methods used from a contract manifest. @since 0.1.0 */
export const MAX_MANIFEST_METHODS = 10_000

/** Most fields used per message of a contract manifest. @since 0.1.0 */
export const MAX_MANIFEST_FIELDS_PER_METHOD = 1_000

/** Most type hashes used from a contract manifest. @since 0.1.0 */
export const MAX_MANIFEST_TYPE_HASHES = 100_000

/** Characters of a root public key, nonce, endpoint id or contract id in hex. @since 0.1.0 */
export const HEX_ID_LENGTH = 64
