//! Vectors of the texts of an example: dense ones of a model, sparse ones of words.

/// Vectors, one for each text.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::task) enum Vectors {
    /// All places.
    Dense(Vec<Vec<f32>>),
    /// Places and values of what is not 0, ascending, of length 1.
    Sparse(Vec<Vec<(u64, f32)>>),
}

impl Vectors {
    /// The cosine of the angle between two of them; 0 where one has no direction.
    pub(super) fn cosine(&self, one: usize, other: usize) -> f32 {
        match self {
            Self::Dense(all) => {
                let dot =
                    |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
                let (one, other) = (&all[one], &all[other]);
                let lengths = (dot(one, one) * dot(other, other)).sqrt();
                if lengths > 0.0 { (dot(one, other) / lengths) as f32 } else { 0.0 }
            }
            Self::Sparse(all) => product(&all[one], &all[other]),
        }
    }
}

/// The product of two sparse vectors.
fn product(one: &[(u64, f32)], other: &[(u64, f32)]) -> f32 {
    let (mut sum, mut at) = (0.0, 0);
    for (place, value) in one {
        while other.get(at).is_some_and(|it| it.0 < *place) {
            at += 1;
        }
        if let Some(it) = other.get(at).filter(|it| it.0 == *place) {
            sum += value * it.1;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_of_both_kinds() {
        let dense = Vectors::Dense(vec![vec![3.0, 0.0], vec![1.0, 1.0], vec![0.0, 0.0]]);
        assert!((dense.cosine(0, 1) - 0.5f32.sqrt()).abs() < 1e-6);
        assert_eq!(dense.cosine(0, 2), 0.0);
        let sparse = Vectors::Sparse(vec![vec![(1, 0.6), (4, 0.8)], vec![(0, 0.8), (4, 0.6)]]);
        assert!((sparse.cosine(0, 1) - 0.48).abs() < 1e-6);
    }
}
