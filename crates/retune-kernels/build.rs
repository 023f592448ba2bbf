//! Compiles the C++ shim against the same libtorch headers as `torch-sys`, and lets tests find libtorch at run time.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-changed=shim");
    let libtorch = env::var("LIBTORCH").unwrap_or_default();
    let Ok(libtorch) = fs::canonicalize(&libtorch) else {
        panic!(
            "no libtorch at `{libtorch}`: run `cargo xtask setup` once, or set LIBTORCH to a libtorch 2.11.0 folder"
        );
    };
    let lib = libtorch.join("lib");
    let mut build = shim();
    build.include(libtorch.join("include")).include(libtorch.join("include/torch/csrc/api/include"));
    for file in fs::read_dir("shim").expect("the shim folder is part of the crate") {
        let file = file.expect("a readable shim folder").path();
        if file.extension().is_some_and(|e| e == "cpp") && !file.ends_with("table.cpp") {
            build.file(file);
        }
    }
    if x86() {
        build.define("RETUNE_X86", None);
    }
    build.compile("retune_shim");
    compile_tables(); // after what refers to them: linkers read archives in order
    println!("cargo::rustc-link-search=native={}", lib.display());
    println!("cargo::rustc-link-lib=dylib=torch_cpu");
    println!("cargo::rustc-link-lib=dylib=c10");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    println!("cargo::metadata=libtorch_lib={}", lib.display());

    // Cargo puts link folders below its own output folder on the library path of `cargo test`, doc tests included,
    // where no rpath can be given.
    let link = PathBuf::from(env::var("OUT_DIR").expect("set by cargo")).join("libtorch");
    let _ = fs::remove_file(&link);
    #[cfg(unix)]
    if std::os::unix::fs::symlink(&lib, &link).is_ok() {
        println!("cargo::rustc-link-search=native={}", link.display());
    }
}

/// The vectorised loops, once per instruction set; `shim/kernels.cpp` chooses when the program starts.
fn compile_tables() {
    let sets: &[(&str, &[&str])] = if x86() {
        &[
            ("avx512bf16", &["-march=x86-64-v4", "-mprefer-vector-width=512", "-mavx512bf16"]),
            ("avx512", &["-march=x86-64-v4", "-mprefer-vector-width=512"]),
            ("avx2", &["-march=x86-64-v3"]),
            ("baseline", &[]),
        ]
    } else {
        &[("baseline", &[])]
    };
    for (name, flags) in sets {
        let mut build = shim();
        build.define("RETUNE_ISA", *name).file("shim/table.cpp");
        for flag in *flags {
            build.flag(flag);
        }
        build.compile(&format!("retune_{name}"));
    }
}

fn x86() -> bool {
    env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64")
}

fn shim() -> cc::Build {
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .opt_level(3)
        .flag_if_supported("-fno-math-errno")
        .flag_if_supported("-fno-trapping-math")
        .flag_if_supported("-ffp-contract=fast")
        .flag_if_supported("-Wno-psabi")
        .flag_if_supported("-fopenmp");
    build
}
