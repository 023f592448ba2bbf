//! From probabilities to answers, in one place, so that what is predicted is what is scored.

/// A label of a multi-label classifier is predicted from this probability on.
pub const THRESHOLD: f32 = 0.5;

/// The first index of the largest value, as NumPy's and torch's `argmax`.
pub fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

/// Whether a label of this probability is predicted.
pub fn is_predicted(probability: f32) -> bool {
    probability >= THRESHOLD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first_class_and_one_half_is_a_yes() {
        assert_eq!(argmax(&[0.2, 0.4, 0.4]), 1);
        assert_eq!(argmax(&[0.5, 0.5]), 0);
        assert!(is_predicted(0.5) && !is_predicted(0.499));
    }
}
