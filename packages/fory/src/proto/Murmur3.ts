const mask = (1n << 64n) - 1n
const c1 = 0x87c37b91114253d5n
const c2 = 0x4cf5ad432745937fn

const rotl = (x: bigint, n: bigint): bigint => ((x << n) | (x >> (64n - n))) & mask
const mixK1 = (k: bigint): bigint => (rotl((k * c1) & mask, 31n) * c2) & mask
const mixK2 = (k: bigint): bigint => (rotl((k * c2) & mask, 33n) * c1) & mask

const fmix = (k: bigint): bigint => {
  k = ((k ^ (k >> 33n)) * 0xff51afd7ed558ccdn) & mask
  k = ((k ^ (k >> 33n)) * 0xc4ceb9fe1a85ec53n) & mask
  return k ^ (k >> 33n)
}

const littleEndian = (bytes: Uint8Array, start: number, end: number): bigint => {
  let value = 0n
  for (let i = end - 1; i >= start; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0)
  return value
}

/**
 * First half (h1, unsigned) of MurmurHash3-x64-128 with the seed 47 that Fory uses everywhere (Fory XLANG §8.4).
 * Runs when a type is compiled, never per message, hence the plain bigint arithmetic.
 */
export const murmur3 = (bytes: Uint8Array): bigint => {
  const length = bytes.length
  const tail = length - (length % 16)
  let h1 = 47n
  let h2 = 47n
  for (let at = 0; at < tail; at += 16) {
    h1 ^= mixK1(littleEndian(bytes, at, at + 8))
    h1 = ((rotl(h1, 27n) + h2) * 5n + 0x52dce729n) & mask
    h2 ^= mixK2(littleEndian(bytes, at + 8, at + 16))
    h2 = ((rotl(h2, 31n) + h1) * 5n + 0x38495ab5n) & mask
  }
  h2 ^= mixK2(littleEndian(bytes, tail + 8, length))
  h1 ^= mixK1(littleEndian(bytes, tail, Math.min(tail + 8, length)))
  h1 ^= BigInt(length)
  h2 ^= BigInt(length)
  h1 = (h1 + h2) & mask
  h2 = (h2 + h1) & mask
  h1 = fmix(h1)
  h2 = fmix(h2)
  return (h1 + h2) & mask
}
