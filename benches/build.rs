//! Lets the suites find libtorch at run time.
include!("../crates/rpath.rs");
