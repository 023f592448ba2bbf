//! Weights of classes in the loss.

use anyhow::{Result, bail};

/// scikit-learn's `balanced`: examples / (classes · examples of the class).
pub(super) fn balanced(names: &[String], labels: impl Iterator<Item = Result<u32>>) -> Result<Vec<f32>> {
    let mut counts = vec![0usize; names.len()];
    for label in labels {
        counts[label? as usize] += 1;
    }
    if let Some(empty) = counts.iter().position(|&n| n == 0) {
        bail!("class-weights balanced: no training row has the label `{}`", names[empty]);
    }
    let all: usize = counts.iter().sum();
    Ok(counts.iter().map(|&n| all as f32 / (names.len() as f32 * n as f32)).collect())
}
