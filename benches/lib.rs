//! Criterion benchmarks of the hot pieces.
