//! Lets tests and binaries of this crate find libtorch at run time.
include!("../rpath.rs");
