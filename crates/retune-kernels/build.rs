//! Compiles the C++ shim against the same libtorch headers as `torch-sys`, and lets tests find libtorch at run time.
//!
//! The archives stand in a folder of the profile that is named by all they are made of: clippy and tests run this script
//! apart from each other, and the second finds what the first compiled.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs};

const AVX512_BF16: &[&str] = &["-march=x86-64-v4", "-mprefer-vector-width=512", "-mavx512bf16"];

/// The shim itself, and the vectorised loops once per instruction set; `shim/kernels.cpp` chooses when the program starts.
/// Linkers read archives in order: first what refers to the others.
struct Archive {
    name: String,
    build: cc::Build,
}

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-env-changed=CXX");
    println!("cargo::rerun-if-env-changed=CXXFLAGS");
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-changed=build.rs");
    let libtorch = env::var("LIBTORCH").unwrap_or_default();
    let Ok(libtorch) = fs::canonicalize(&libtorch) else {
        panic!(
            "no libtorch at `{libtorch}`: run `cargo xtask setup` once, or set LIBTORCH to a libtorch 2.11.0 folder"
        );
    };
    let lib = libtorch.join("lib");
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    let archives: Vec<Archive> = std::iter::once(shim(&libtorch)).chain(tables()).chain(tiles()).collect();
    let folder = compiled(&out, archives.as_slice());
    println!("cargo::rustc-link-search=native={}", folder.display());
    for archive in &archives {
        println!("cargo::rustc-link-lib=static={}", archive.name);
    }
    let apple = env::var("CARGO_CFG_TARGET_VENDOR").is_ok_and(|vendor| vendor == "apple");
    println!("cargo::rustc-link-lib={}", if apple { "c++" } else { "stdc++" });
    println!("cargo::rustc-link-search=native={}", lib.display());
    println!("cargo::rustc-link-lib=dylib=torch_cpu");
    println!("cargo::rustc-link-lib=dylib=c10");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    println!("cargo::metadata=libtorch_lib={}", lib.display());

    // Cargo puts link folders below its own output folder on the library path of `cargo test`, doc tests included,
    // where no rpath can be given.
    let link = out.join("libtorch");
    let _ = fs::remove_file(&link);
    #[cfg(unix)]
    if std::os::unix::fs::symlink(&lib, &link).is_ok() {
        println!("cargo::rustc-link-search=native={}", link.display());
    }
}

/// The folder with the compiled archives, which are compiled unless they are there.
fn compiled(out: &Path, archives: &[Archive]) -> PathBuf {
    let mut hash = DefaultHasher::new();
    for archive in archives {
        let compiler = archive.build.get_compiler();
        (&archive.name, compiler.path(), compiler.args()).hash(&mut hash);
    }
    let mut files = Vec::new();
    list(Path::new("shim"), &mut files);
    files.sort();
    for file in &files {
        (file, fs::read(file).expect("a readable shim folder")).hash(&mut hash);
    }
    // target/PROFILE/build/retune-kernels-HASH/out
    let all = out.ancestors().nth(3).expect("cargo's folders").join("retune-shim");
    let folder = all.join(format!("{:016x}", hash.finish()));
    let finished = folder.join("finished");
    if finished.exists() {
        return folder;
    }
    let _ = fs::remove_dir_all(&all);
    fs::create_dir_all(&folder).expect("a writable target folder");
    for Archive { name, build } in archives {
        build.clone().out_dir(&folder).cargo_metadata(false).compile(name);
    }
    fs::write(finished, "").expect("a writable target folder");
    folder
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the shim folder is part of the crate") {
        let path = entry.expect("a readable shim folder").path();
        if path.is_dir() { list(&path, files) } else { files.push(path) }
    }
}

fn shim(libtorch: &Path) -> Archive {
    let mut build = compiler();
    build.include(libtorch.join("include")).include(libtorch.join("include/torch/csrc/api/include"));
    let mut files: Vec<PathBuf> = Vec::new();
    list(Path::new("shim"), &mut files);
    files.sort();
    let top = |file: &PathBuf| {
        file.parent() == Some(Path::new("shim")) && !["table.cpp", "amx.cpp"].iter().any(|other| file.ends_with(other))
    };
    build.files(files.into_iter().filter(top).filter(|file| file.extension().is_some_and(|it| it == "cpp")));
    if x86() {
        build.define("RETUNE_X86", None);
    }
    Archive { name: "retune_shim".to_owned(), build }
}

fn tables() -> impl Iterator<Item = Archive> {
    let sets: &[(&str, &[&str])] = if x86() {
        &[
            ("avx512bf16", AVX512_BF16),
            ("avx512", &["-march=x86-64-v4", "-mprefer-vector-width=512"]),
            ("avx2", &["-march=x86-64-v3"]),
            ("baseline", &[]),
        ]
    } else {
        &[("baseline", &[])]
    };
    sets.iter().map(|(name, flags)| {
        let mut build = compiler();
        build.define("RETUNE_ISA", *name).file("shim/table.cpp");
        for flag in *flags {
            build.flag(flag);
        }
        Archive { name: format!("retune_{name}"), build }
    })
}

/// Attention in matrix registers; a compiler that does not know them makes vectors of it.
fn tiles() -> Option<Archive> {
    let mut build = compiler();
    build.file("shim/amx.cpp");
    for flag in AVX512_BF16 {
        build.flag(flag);
    }
    build.flag_if_supported("-mamx-tile").flag_if_supported("-mamx-bf16");
    x86().then(|| Archive { name: "retune_amx".to_owned(), build })
}

fn x86() -> bool {
    env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64")
}

fn compiler() -> cc::Build {
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
