//! What can be said of tokens without a model: how frequent each is.

/// Probabilities of tokens, whatever stands around them; each counts once more than it was seen (Laplace), so that none is
/// impossible.
pub(super) struct Frequencies {
    counts: Vec<u64>,
    all: u64,
    /// The most frequent token.
    pub(super) best: u32,
}

impl Frequencies {
    /// Of what `each` calls its argument with.
    ///
    /// # Errors
    /// Those of `each`.
    pub(super) fn of<E>(vocabulary: usize, each: impl FnOnce(&mut dyn FnMut(u32)) -> Result<(), E>) -> Result<Self, E> {
        let mut counts = vec![1u64; vocabulary.max(1)];
        each(&mut |id| {
            if let Some(count) = counts.get_mut(id as usize) {
                *count += 1;
            }
        })?;
        let best = (0..counts.len()).rev().max_by_key(|&id| counts[id]).unwrap_or(0) as u32;
        Ok(Self { all: counts.iter().sum(), counts, best })
    }

    pub(super) fn probability(&self, id: u32) -> f64 {
        self.counts.get(id as usize).map_or(f64::MIN_POSITIVE, |&count| count as f64 / self.all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_tokens_are_likelier_and_none_is_impossible() {
        let seen = [1u32, 2, 2, 1, 2];
        let of = Frequencies::of(3, |each| {
            seen.into_iter().for_each(each);
            Ok::<(), ()>(())
        });
        let frequencies = of.unwrap();
        assert_eq!((frequencies.best, frequencies.probability(0), frequencies.probability(2)), (2, 0.125, 0.5));
    }
}
