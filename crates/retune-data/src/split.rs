//! Cutting a validation set off a training set, evenly over classes and never through a group.
//!
//! A stratum (a class) gives its share of the rows. Strata too small for a share of one row give theirs together: which of
//! them are heard is left to chance, so that many rare classes cost no more than `fraction` of the rows. Where the
//! strata are few, each gives at least one. No stratum loses its last group: training knows every class.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{DataError, Random};

/// Splits rows so that each stratum (class) is divided in the same proportion.
///
/// Returns `(train, validation)`, both ascending. `fraction` is validation's share of all rows; a stratum of one row goes
/// to training, and others give more for it, up to half of their rows. A stratum of two or more rows gives
/// at least one if that takes no more than half of the validation rows.
///
/// # Errors
/// `fraction` outside (0, 1), or no stratum has two rows.
pub fn stratified_split(strata: &[u64], fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    let groups: Vec<u64> = (0..strata.len() as u64).collect();
    stratified_group_split(strata, &groups, fraction, seed)
}

/// As [`stratified_split`], but rows with the same group id (duplicates of a text, frames of one
/// video) stay on one side. A group belongs to the stratum of its first row. Validation misses its share by
/// no more than half of the largest group, as far as groups can be moved at all.
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

    let mut cut = Cut::new(strata, &by_stratum);
    let mut lots = lots(by_stratum, strata.len(), fraction);
    for (number, lot) in (0..).zip(&mut lots) {
        // By first row, so that the result does not depend on the values of the group ids.
        lot.groups.sort_by_key(|rows| rows[0]);
        Random::at(&[seed, number, 0x5eed]).shuffle(&mut lot.groups);
        cut.take(&lot.groups, lot.quota, false);
    }
    // What groups of several rows left open, from wherever they fit.
    let quota: usize = lots.iter().map(|lot| lot.quota).sum();
    let mut all: Vec<&[usize]> = lots.into_iter().flat_map(|lot| lot.groups).collect();
    all.sort_by_key(|rows| rows[0]);
    Random::at(&[seed, 0x5eed]).shuffle(&mut all);
    let open = quota.saturating_sub(cut.validation.len());
    cut.take(&all, open, false);
    let open = quota.saturating_sub(cut.validation.len());
    cut.take(&all, open, true);
    if cut.validation.is_empty()
        && let Some(smallest) = all.iter().filter(|rows| cut.movable(rows)).min_by_key(|rows| rows.len())
    {
        cut.hold(smallest);
    }

    let mut validation = cut.validation;
    if validation.is_empty() {
        let one_class = strata.iter().all(|stratum| *stratum == strata[0]);
        let why = if one_class { "all have the same text or group" } else { "no class has two different rows" };
        return Err(DataError::Split {
            message: format!(
                "cannot cut a validation set off {} rows: {why}; give a validation file (--validation)",
                strata.len()
            ),
        });
    }
    validation.sort_unstable();
    let train = (0..strata.len()).filter(|row| validation.binary_search(row).is_err()).collect();
    Ok((train, validation))
}

/// Strata that give rows together, and how many.
struct Lot<'a> {
    groups: Vec<&'a [usize]>,
    quota: usize,
}

/// Lots with quotas that add up to validation's share.
fn lots(by_stratum: BTreeMap<u64, Vec<&[usize]>>, rows: usize, fraction: f64) -> Vec<Lot<'_>> {
    let total = ((rows as f64 * fraction).round() as usize).clamp(1, rows.saturating_sub(1).max(1));
    // A stratum of one group has nothing to give.
    let strata: Vec<Vec<&[usize]>> = by_stratum.into_values().filter(|groups| groups.len() > 1).collect();
    let few = strata.len() * 2 <= total;
    let (mut lots, mut pooled) = (Vec::new(), Vec::new());
    for groups in strata {
        if few || size(&groups) as f64 * fraction >= 1.0 {
            lots.push(Lot { groups, quota: usize::from(few) });
        } else {
            pooled.extend(groups);
        }
    }
    if !pooled.is_empty() {
        lots.push(Lot { groups: pooled, quota: 0 });
    }

    let sizes: Vec<f64> = lots.iter().map(|lot| size(&lot.groups) as f64).collect();
    let rest = total - lots.iter().map(|lot| lot.quota).sum::<usize>();
    let share = |size: f64, quota: usize| (total as f64 * size / sizes.iter().sum::<f64>() - quota as f64).max(0.0);
    let shares: Vec<f64> = lots.iter().zip(&sizes).map(|(lot, &size)| share(size, lot.quota)).collect();
    let scale = rest as f64 / shares.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let most: Vec<usize> = sizes.iter().map(|size| (size * fraction.max(0.5)) as usize).collect();
    let wanted: Vec<f64> = lots.iter().zip(&shares).map(|(lot, share)| lot.quota as f64 + share * scale).collect();
    for ((lot, wanted), &most) in lots.iter_mut().zip(&wanted).zip(&most) {
        lot.quota = (*wanted as usize).clamp(lot.quota, most.max(lot.quota));
    }
    // Largest remainders: what rounding down left, to the lots that lost most by it, once around and again.
    let mut order: Vec<usize> = (0..lots.len()).collect();
    order.sort_by(|&a, &b| wanted[b].fract().total_cmp(&wanted[a].fract()).then(a.cmp(&b)));
    let mut missing = total.saturating_sub(lots.iter().map(|lot| lot.quota).sum());
    while missing > 0 && order.iter().any(|&lot| lots[lot].quota < most[lot]) {
        for &lot in &order {
            if missing > 0 && lots[lot].quota < most[lot] {
                lots[lot].quota += 1;
                missing -= 1;
            }
        }
    }
    lots
}

fn size(groups: &[&[usize]]) -> usize {
    groups.iter().map(|rows| rows.len()).sum()
}

/// Validation as it grows.
struct Cut<'a> {
    strata: &'a [u64],
    /// Groups with rows of each stratum that are still in training.
    left: HashMap<u64, usize>,
    /// Rows in validation.
    held: Vec<bool>,
    validation: Vec<usize>,
}

impl<'a> Cut<'a> {
    fn new(strata: &'a [u64], by_stratum: &BTreeMap<u64, Vec<&[usize]>>) -> Self {
        let mut cut = Self { strata, left: HashMap::new(), held: vec![false; strata.len()], validation: Vec::new() };
        for rows in by_stratum.values().flatten() {
            for stratum in cut.strata_of(rows) {
                *cut.left.entry(stratum).or_default() += 1;
            }
        }
        cut
    }

    /// The different strata of a group's rows.
    fn strata_of(&self, rows: &[usize]) -> BTreeSet<u64> {
        rows.iter().map(|&row| self.strata[row]).collect()
    }

    /// Whether a group is in training and no stratum would be lost there without it.
    fn movable(&self, rows: &[usize]) -> bool {
        !self.held[rows[0]] && self.strata_of(rows).iter().all(|stratum| self.left[stratum] > 1)
    }

    /// Moves groups that fit into `quota` rows; with `over` also one that is nearer to it than nothing.
    fn take(&mut self, groups: &[&[usize]], quota: usize, over: bool) {
        let mut open = quota;
        for &rows in groups {
            let most = if over { 2 * open } else { open };
            if open > 0 && rows.len() <= most && self.movable(rows) {
                open = open.saturating_sub(rows.len());
                self.hold(rows);
            }
        }
    }

    fn hold(&mut self, rows: &[usize]) {
        for stratum in self.strata_of(rows) {
            self.left.entry(stratum).and_modify(|left| *left -= 1);
        }
        rows.iter().for_each(|&row| self.held[row] = true);
        self.validation.extend_from_slice(rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Checks that both sides together are all rows, in order.
    fn check_partition(train: &[usize], validation: &[usize], rows: usize) {
        let mut all = [train, validation].concat();
        all.sort_unstable();
        assert_eq!(all, (0..rows).collect::<Vec<_>>());
        assert!(train.is_sorted() && validation.is_sorted());
    }

    fn count(rows: &[usize], strata: &[u64], stratum: u64) -> usize {
        rows.iter().filter(|&&row| strata[row] == stratum).count()
    }

    proptest! {
        #[test]
        fn each_class_gives_its_share(
            strata in prop::collection::vec(0u64..6, 60..300), fraction in 0.02f64..0.4, seed: u64,
        ) {
            let (train, validation) = stratified_split(&strata, fraction, seed).unwrap();
            prop_assert_eq!(&(train.clone(), validation.clone()), &stratified_split(&strata, fraction, seed).unwrap());
            check_partition(&train, &validation, strata.len());
            let wanted = strata.len() as f64 * fraction;
            prop_assert_eq!(validation.len(), wanted.round() as usize);
            for class in 0..6 {
                let (kept, held) = (count(&train, &strata, class), count(&validation, &strata, class));
                prop_assert!(kept >= 1 || held == 0);
                prop_assert!(held >= 1 || kept < 2 || wanted < 12.0, "{kept} rows, none of {wanted} validates");
                let apart = (held as f64 - (kept + held) as f64 * fraction).abs();
                prop_assert!(apart <= 2.0 || wanted < 12.0, "{held} beside {kept}");
            }
        }

        #[test]
        fn rare_classes_cost_no_more_than_the_fraction(
            strata in prop::collection::vec(0u64..400, 300..900), fraction in 0.02f64..0.2, seed: u64,
        ) {
            let (train, validation) = stratified_split(&strata, fraction, seed).unwrap();
            check_partition(&train, &validation, strata.len());
            // Some classes have one row here; the others give it.
            let wanted = strata.len() as f64 * fraction;
            prop_assert!((validation.len() as f64 - wanted).abs() <= 1.0, "{} of {wanted}", validation.len());
            prop_assert!(validation.iter().all(|&row| count(&train, &strata, strata[row]) > 0));
        }

        #[test]
        fn groups_stay_whole(
            groups in prop::collection::vec(0u64..40, 60..200), fraction in 0.1f64..0.4, seed: u64,
        ) {
            // Strata that a group holds several of, too.
            let strata: Vec<u64> = groups.iter().enumerate().map(|(row, group)| (group + row as u64 / 50) % 3).collect();
            let (train, validation) = stratified_group_split(&strata, &groups, fraction, seed).unwrap();
            check_partition(&train, &validation, strata.len());
            prop_assert!(train.iter().all(|&a| validation.iter().all(|&b| groups[a] != groups[b])));
            let largest = (0..40).map(|group| groups.iter().filter(|&&it| it == group).count()).max().unwrap();
            let wanted = strata.len() as f64 * fraction;
            prop_assert!((validation.len() as f64 - wanted).abs() <= 1.0 + largest as f64 / 2.0);
            prop_assert!(strata.iter().all(|&stratum| count(&train, &strata, stratum) > 0));
        }
    }

    #[test]
    fn a_thousand_classes_of_three_rows_give_a_tenth() {
        let strata: Vec<u64> = (0..3000).map(|row| row / 3).collect();
        let (train, validation) = stratified_split(&strata, 0.1, 7).unwrap();
        assert_eq!((train.len(), validation.len()), (2700, 300));
        assert!((0..1000).all(|class| count(&train, &strata, class) > 0));
        // Chance decides, not the order of the classes.
        let late = validation.iter().filter(|&&row| row >= 1500).count();
        assert!((100..200).contains(&late), "{late}");
    }

    #[test]
    fn a_rare_class_is_heard_beside_a_frequent_one() {
        let strata: Vec<u64> = (0..1000).map(|row| u64::from(row >= 997)).collect();
        let (train, validation) = stratified_split(&strata, 0.1, 1).unwrap();
        assert_eq!((count(&validation, &strata, 1), validation.len()), (1, 100));
        assert_eq!(count(&train, &strata, 1), 2);
    }

    #[test]
    fn large_groups_are_moved_if_nothing_else_is_there() {
        let groups: Vec<u64> = (0..500).map(|row| row / 100).collect();
        let (train, validation) = stratified_group_split(&[0; 500], &groups, 0.02, 1).unwrap();
        assert_eq!((train.len(), validation.len()), (400, 100));
        // A class that one group alone has stays in training, also where the group begins with another class.
        let strata = [0, 1, 0, 0, 0];
        for seed in 0..20 {
            let (train, _) = stratified_group_split(&strata, &[0, 0, 1, 2, 3], 0.4, seed).unwrap();
            assert!(train.contains(&1));
        }
    }

    #[test]
    fn useless_requests_are_refused() {
        for fraction in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(stratified_split(&[0, 0], fraction, 1).is_err());
        }
        let lonely = stratified_split(&[0, 1, 2], 0.5, 1).unwrap_err().to_string();
        assert!(lonely.contains("--validation"), "{lonely}");
        assert_eq!(stratified_split(&[0, 0], 0.01, 1).unwrap().1.len(), 1);
        assert_eq!(stratified_split(&[0, 0], 0.99, 1).unwrap().1.len(), 1);
    }
}
