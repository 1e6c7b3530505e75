import { Everything, Inner } from "../../examples/kitchen-sink/KitchenSink.ts"

/** A value of every wire kind. */
export const everything = new Everything({
  flag: true,
  count: -5,
  big: -(2n ** 63n),
  ratio: 1.5,
  text: "grüße 日本 😀",
  blob: Uint8Array.of(0, 1, 255),
  tags: ["a", ""],
  numbers: [1n, -1n, 2n ** 63n - 1n],
  matrix: [[1, 2], []],
  names: new Set(["x"]),
  scores: { a: 1, b: -2 },
  index: new Map([
    [7, "seven"],
    [-1, ""]
  ]),
  note: "note",
  color: "blue",
  inner: new Inner({ label: "in", weight: 0.25 }),
  inners: [new Inner({}), new Inner({ label: "2", weight: 2 })],
  by_name: { first: new Inner({ label: "first", weight: 1 }) },
  maybe_inner: new Inner({ label: "maybe", weight: -1 }),
  at: new Date("2024-01-02T03:04:05.678Z"),
  day: new Date("2024-01-02"),
  anything: null
})
