/** Memory for the content of blobs, in pieces that go from one blob to the next. */

/** Bytes of a page. */
export const PAGE_SIZE = 65_536

/**
 * Pages that are used again: 64 MiB. V8 counts every buffer outside of its heap and goes through the whole heap after
 * some 15 to 30 MB of new ones, which costs a download into memory more than QUIC does. It does not count shared ones, so there
 * is a fixed number of those, and what is beyond is counted and collected as usual.
 */
const REUSED = 1024

const free: Array<Uint8Array> = []
let made = 0

/** A page of zeros, or with `whole` one that is about to be written from end to end. */
export const takePage = (whole: boolean): Uint8Array => {
  const page = free.pop()
  if (page !== undefined) return whole ? page : page.fill(0)
  if (made === REUSED) return new Uint8Array(PAGE_SIZE)
  made++
  return new Uint8Array(new SharedArrayBuffer(PAGE_SIZE))
}

/** Gives back a page that nobody reads or writes any more. */
export const givePage = (page: Uint8Array): void => {
  if (page.buffer instanceof SharedArrayBuffer) free.push(page)
}
