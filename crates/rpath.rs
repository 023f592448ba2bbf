// Included by the build script of each crate whose tests or binaries link libtorch: they find it without
// LD_LIBRARY_PATH, and a missing one is explained.
fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(libtorch) = std::fs::canonicalize(std::env::var("LIBTORCH").unwrap_or_default()) {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", libtorch.join("lib").display());
    }
}
