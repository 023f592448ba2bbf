//! Cutting a validation set off a training set, evenly over classes and never through a group.

use std::collections::BTreeMap;

use crate::{DataError, Random};

/// Splits rows so that each stratum (class) is divided in the same proportion.
///
/// Returns `(train, validation)`, both ascending. Every stratum of two or more rows gives at least
/// one row to each side; a stratum of one row goes to training. `fraction` is validation's share.
///
/// # Errors
/// `fraction` outside (0, 1), or no stratum has two rows.
pub fn stratified_split(strata: &[u64], fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    let groups: Vec<u64> = (0..strata.len() as u64).collect();
    stratified_group_split(strata, &groups, fraction, seed)
}

/// As [`stratified_split`], but rows with the same group id (duplicates of a text, frames of one
/// video) stay on one side. A group belongs to the stratum of its first row; the promise of one
/// row per side then holds for strata of two or more groups.
///
/// # Errors
/// As [`stratified_split`], and when the two slices differ in length.
pub fn stratified_group_split(
    strata: &[u64],
    groups: &[u64],
    fraction: f64,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(DataError::Split {
            message: format!(
                "the validation fraction is {fraction}; give a number between 0 and 1 (--validation-fraction 0.1)"
            ),
        });
    }
    if strata.len() != groups.len() {
        return Err(DataError::Split {
            message: format!("{} strata but {} groups; give one of each per row", strata.len(), groups.len()),
        });
    }

    // Groups as runs of the rows sorted by group: no allocation per group.
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|&row| groups[row]);
    let mut by_stratum: BTreeMap<u64, Vec<&[usize]>> = BTreeMap::new();
    for rows in order.chunk_by(|&a, &b| groups[a] == groups[b]) {
        by_stratum.entry(strata[rows[0]]).or_default().push(rows);
    }

    let quotas = quotas(&by_stratum, fraction);
    let mut validation = Vec::new();
    for ((&stratum, candidates), quota) in by_stratum.iter_mut().zip(quotas) {
        // By first row, so that the result does not depend on the values of the group ids.
        candidates.sort_by_key(|rows| rows[0]);
        Random::at(&[seed, stratum, 0x5eed]).shuffle(candidates);
        let mut taken = 0;
        let mut left = candidates.len();
        for rows in candidates.iter() {
            let fits = taken == 0 || taken + rows.len() <= quota;
            if left > 1 && taken < quota && fits {
                taken += rows.len();
                left -= 1;
                validation.extend_from_slice(rows);
            }
        }
    }
    if validation.is_empty() {
        return Err(DataError::Split {
            message: format!(
                "cannot cut a validation set off {} rows: no class has two different rows; \
                 give a validation file (--validation)",
                strata.len()
            ),
        });
    }
    validation.sort_unstable();
    let train = (0..strata.len()).filter(|row| validation.binary_search(row).is_err()).collect();
    Ok((train, validation))
}

/// Rows each stratum should give to validation: largest remainders, so that the total is right
/// even with many small classes, and at least one where there is a choice.
fn quotas(by_stratum: &BTreeMap<u64, Vec<&[usize]>>, fraction: f64) -> Vec<usize> {
    let exact: Vec<f64> = by_stratum
        .values()
        .map(|groups| groups.iter().map(|rows| rows.len()).sum::<usize>() as f64 * fraction)
        .collect();
    let mut quotas: Vec<usize> = exact.iter().map(|share| share.floor() as usize).collect();
    let total = exact.iter().sum::<f64>().round() as usize;
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()).then(a.cmp(&b)));
    let missing = total.saturating_sub(quotas.iter().sum());
    for &stratum in order.iter().take(missing) {
        quotas[stratum] += 1;
    }
    for (quota, groups) in quotas.iter_mut().zip(by_stratum.values()) {
        *quota = if groups.len() < 2 { 0 } else { (*quota).max(1) };
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn partition_covers_each_class(
            strata in prop::collection::vec(0u64..6, 12..300), fraction in 0.02f64..0.9, seed: u64,
        ) {
            let (train, validation) = stratified_split(&strata, fraction, seed).unwrap();
            prop_assert_eq!(&(train.clone(), validation.clone()), &stratified_split(&strata, fraction, seed).unwrap());
            let mut all = [train.clone(), validation.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..strata.len()).collect::<Vec<_>>());
            prop_assert!(train.is_sorted() && validation.is_sorted());
            for class in 0..6 {
                let count = |rows: &[usize]| rows.iter().filter(|&&row| strata[row] == class).count();
                let (kept, held, n) = (count(&train), count(&validation), count(&(0..strata.len()).collect::<Vec<_>>()));
                if n >= 2 {
                    prop_assert!(kept >= 1 && held >= 1);
                    prop_assert!((held as f64 - n as f64 * fraction).abs() <= 1.0 + 1e-9, "{held} of {n}");
                } else {
                    prop_assert_eq!(held, 0);
                }
            }
        }

        #[test]
        fn groups_stay_whole(groups in prop::collection::vec(0u64..40, 30..200), seed: u64) {
            let strata: Vec<u64> = groups.iter().map(|group| group % 3).collect();
            let (train, validation) = stratified_group_split(&strata, &groups, 0.25, seed).unwrap();
            prop_assert!(train.iter().all(|&a| validation.iter().all(|&b| groups[a] != groups[b])));
            prop_assert!(!train.is_empty() && !validation.is_empty());
        }
    }

    #[test]
    fn useless_requests_are_refused() {
        for fraction in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(stratified_split(&[0, 0], fraction, 1).is_err());
        }
        let lonely = stratified_split(&[0, 1, 2], 0.5, 1).unwrap_err().to_string();
        assert!(lonely.contains("--validation"), "{lonely}");
    }
}
