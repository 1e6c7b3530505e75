export declare const crate: string
/** Outside of the sources, so that a fresh clone builds only what has changed. */
export declare const cache: string
/** Rust's names of platforms in Node's. */
export declare const platforms: Readonly<Record<string, string>>
//# sourceMappingURL=cargo.d.ts.map
