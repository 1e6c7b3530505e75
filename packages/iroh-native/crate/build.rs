fn main() {
    napi_build::setup();
    // Node unloads an addon with the worker that loaded it, while threads of the addon may still be ending.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // Tests run without Node, whose functions they do not call. Zig, which links releases, does not know this.
        if !std::env::var("RUSTC_LINKER").is_ok_and(|linker| linker.contains("zig")) {
            println!("cargo::rustc-link-arg=-Wl,--unresolved-symbols=ignore-all");
        }
    }
}
