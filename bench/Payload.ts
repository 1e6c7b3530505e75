/** What travels: deterministic, so that every process and every round moves the same bytes. */

/** Payload sizes in bytes. */
export const Size = { small: 100, medium: 64 * 1024, large: 1024 * 1024 } as const

const xorshift = (seed: number) => {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/** `size` bytes no compressor can shorten. */
export const incompressible = (size: number): Uint8Array => {
  const next = xorshift(0x9e3779b9)
  return Uint8Array.from({ length: size }, () => next() & 255)
}

/** `size` bytes of a JSON array of task records, cut off at the end: varied values under repeating keys. */
export const jsonLike = (size: number): Uint8Array => {
  const next = xorshift(0x2545f491)
  const states = ["queued", "running", "completed", "failed"]
  let text = "["
  while (text.length < size) {
    text += `${JSON.stringify({
      taskId: `task-${next() % 1_000_000}`,
      status: states[next() % states.length],
      createdAt: new Date(1_700_000_000_000 + (next() % 1_000_000_000)).toISOString(),
      progress: (next() % 1000) / 1000,
      tags: [`queue-${next() % 8}`, `region-${next() % 4}`]
    })},`
  }
  return Buffer.from(text.slice(0, size), "latin1")
}
