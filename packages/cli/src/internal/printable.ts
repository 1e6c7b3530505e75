/** What commands print of files and peers may have lines. */
export { lines as printable } from "@aster-effect/iroh/Printable"
