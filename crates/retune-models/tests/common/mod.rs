//! Shared by the parity tests: fixtures and comparison.

#![allow(dead_code, reason = "each test binary uses its part")]

use retune_kernels::tch::{Kind, Tensor};
use retune_models::Inputs;
use retune_models::checkpoint::read_tensors;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) fn fixture(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(path)
}

pub(crate) fn case(path: &str) -> BTreeMap<String, Tensor> {
    read_tensors(&fixture(path)).unwrap()
}

pub(crate) fn inputs(case: &BTreeMap<String, Tensor>) -> Inputs {
    let named = case.iter().filter_map(|(n, t)| Some((n.strip_prefix("input.")?.to_owned(), t.shallow_clone())));
    named.collect()
}

/// Largest absolute difference, relative to the largest magnitude where that is above 1.
pub(crate) fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    let (a, b) = (a.to_kind(Kind::Double), b.to_kind(Kind::Double));
    let scale = b.abs().max().double_value(&[]).max(1.0);
    (a - b).abs().max().double_value(&[]) / scale
}
