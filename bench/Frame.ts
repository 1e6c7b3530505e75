/** The framing of the raw peer: u32 kind, u32 length (both little-endian), body. */

/** The body is to be sent back as it is. */
export const ECHO = 1
/** The body asks for a stream of ECHO frames: u32 count, u32 size. */
export const STREAM = 2

const HEADER = 8

/** A whole frame. */
export interface Frame {
  readonly kind: number
  readonly body: Buffer
}

/** Header and body in one piece. */
export const encode = (kind: number, body: Uint8Array): Buffer => {
  const frame = Buffer.allocUnsafe(HEADER + body.length)
  frame.writeUInt32LE(kind, 0)
  frame.writeUInt32LE(body.length, 4)
  frame.set(body, HEADER)
  return frame
}

/** The body of a STREAM frame. */
export const streamRequest = (count: number, size: number): Buffer => {
  const body = Buffer.allocUnsafe(8)
  body.writeUInt32LE(count, 0)
  body.writeUInt32LE(size, 4)
  return body
}

/** Cuts chunks into frames; bodies are views into what was pushed where a frame came in one piece. */
export const frameReader = (onFrame: (frame: Frame) => void): ((chunk: Buffer) => void) => {
  let pending: Array<Buffer> = []
  let size = 0
  let wanted = HEADER
  return (chunk) => {
    pending.push(chunk)
    size += chunk.length
    if (size < wanted) return
    const bytes = pending.length === 1 ? chunk : Buffer.concat(pending)
    let offset = 0
    wanted = HEADER
    while (bytes.length - offset >= HEADER) {
      const end = offset + HEADER + bytes.readUInt32LE(offset + 4)
      if (end > bytes.length) {
        wanted = end - offset
        break
      }
      onFrame({ kind: bytes.readUInt32LE(offset), body: bytes.subarray(offset + HEADER, end) })
      offset = end
    }
    size = bytes.length - offset
    pending = size > 0 ? [bytes.subarray(offset)] : []
  }
}
