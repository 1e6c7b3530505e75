/** A code that QUIC can carry and a number can hold: an integer from 0 to 2^53 - 1, the nearest one to `code`. */
export const errorCode = (code: number): number => Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.trunc(code) || 0))
