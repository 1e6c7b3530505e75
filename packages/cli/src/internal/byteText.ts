const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]

/** A number of bytes for reading: `0 B`, `1.5 KiB`, `17.0 MiB`. */
export const byteText = (bytes: number): string => {
  let value = bytes
  let unit = 0
  for (; value >= 1023.95 && unit < units.length - 1; unit++) value /= 1024
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}
