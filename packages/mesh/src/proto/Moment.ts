/** The same moment on two clocks, in milliseconds: since the Unix epoch, and of one that never goes back. */
export interface Moment {
  readonly wall: number
  readonly monotonic: number
}
