//! Groups for splitting: rows that must not stand on both sides.

use std::collections::HashMap;

/// One id per row, equal for rows that share their content or their group, directly or through
/// other rows (a patient's image that another patient's folder repeats joins the two patients).
pub(crate) fn joined_groups(contents: &[u64], group: &dyn Fn(usize) -> Option<u64>) -> Vec<u64> {
    let mut parents: Vec<usize> = (0..contents.len()).collect();
    let mut first_of: HashMap<(bool, u64), usize> = HashMap::new();
    for (row, &content) in contents.iter().enumerate() {
        for key in std::iter::once((false, content)).chain(group(row).map(|group| (true, group))) {
            let first = *first_of.entry(key).or_insert(row);
            let (a, b) = (root(&mut parents, first), root(&mut parents, row));
            parents[a.max(b)] = a.min(b);
        }
    }
    (0..contents.len()).map(|row| root(&mut parents, row) as u64).collect()
}

/// Disjoint sets with path halving (Tarjan and van Leeuwen 1984).
fn root(parents: &mut [usize], mut row: usize) -> usize {
    while parents[row] != row {
        parents[row] = parents[parents[row]];
        row = parents[row];
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_and_groups_join_rows() {
        let contents = [10, 11, 10, 12, 13, 11];
        assert_eq!(joined_groups(&contents, &|_| None), [0, 1, 0, 3, 4, 1]);
        // Rows 3 and 0 share a patient, rows 4 and 1 another; the same number as a content is no link.
        let patients = [7, 8, 9, 7, 8, 10];
        assert_eq!(joined_groups(&contents, &|row| Some(patients[row])), [0, 1, 0, 0, 1, 1]);
    }
}
