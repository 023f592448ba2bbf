//! Labels of rows that took a share of another row: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019).

use crate::Seen;

/// Each row's `classes` numbers, with the share of the row that it was mixed with.
pub(super) fn shares<S: Seen>(hot: &[f32], classes: usize, seen: &[S]) -> Vec<f32> {
    let mut shares = hot.to_vec();
    for (row, mixed) in seen.iter().enumerate().filter_map(|(row, seen)| Some((row, seen.mixed()?))) {
        let other = &hot[mixed.other * classes..][..classes];
        for (share, other) in shares[row * classes..][..classes].iter_mut().zip(other) {
            *share = (mixed.own * f64::from(*share) + (1.0 - mixed.own) * f64::from(*other)) as f32;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mixed;

    struct Row(Option<Mixed>);

    impl Seen for Row {
        fn mixed(&self) -> Option<Mixed> {
            self.0
        }
    }

    #[test]
    fn labels_take_the_share_of_their_images() {
        let own = 0.75;
        let seen: Vec<Row> = (0..3).map(|row| Row(Some(Mixed { own, other: (row + 1) % 3 }))).collect();
        assert_eq!(shares(&[0.0, 1.0, 1.0, 0.0, 0.0, 1.0], 2, &seen), [0.25, 0.75, 0.75, 0.25, 0.0, 1.0]);
        assert_eq!(shares(&[0.0, 1.0], 2, &[Row(None)]), [0.0, 1.0]);
    }
}
