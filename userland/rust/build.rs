//! `raw` brings its own entry point, so it is linked without the C library's.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bin=raw=-nostartfiles");
}
