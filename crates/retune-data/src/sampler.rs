//! Which rows form which batch: pure functions of the lengths, the seed and the epoch.

use crate::Random;

/// Batches per block inside which rows are sorted by length: large enough that batches are of
/// near-equal length, small enough that neighbours in time are still a random sample.
const BLOCK_BATCHES: usize = 50;

/// How the rows of an epoch become batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamplerOptions {
    /// Rows in a batch; 0 counts as 1.
    pub batch_size: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Put rows of similar length together (less padding).
    pub bucket: bool,
}

/// The batches of one epoch, each row of `0..n` in exactly one.
///
/// Rows are shuffled by `(seed, epoch)`; with `bucket` they are cut into blocks of 50 batches,
/// sorted by length inside a block, cut into batches, and the batches shuffled. There are always
/// `ceil(n / batch_size)` batches, of which at most one is smaller than `batch_size`.
pub fn epoch_batches(
    lengths: &dyn Fn(usize) -> usize,
    n: usize,
    epoch: u64,
    options: &SamplerOptions,
) -> Vec<Vec<usize>> {
    let batch_size = options.batch_size.max(1);
    let mut random = Random::at(&[options.seed, epoch]);
    let mut rows: Vec<usize> = (0..n).collect();
    random.shuffle(&mut rows);
    if options.bucket {
        for block in rows.chunks_mut(batch_size.saturating_mul(BLOCK_BATCHES)) {
            // Stable: rows of equal length keep their shuffled order.
            block.sort_by_key(|&row| lengths(row));
        }
    }
    let mut batches: Vec<Vec<usize>> = rows.chunks(batch_size).map(<[usize]>::to_vec).collect();
    if options.bucket {
        random.shuffle(&mut batches);
    }
    batches
}

/// Batches for evaluation, the longest rows first, so that running out of memory shows at once.
/// [`crate::Batch::rows`] restores the input order.
pub fn evaluation_batches(lengths: &dyn Fn(usize) -> usize, n: usize, batch_size: usize) -> Vec<Vec<usize>> {
    let mut rows: Vec<usize> = (0..n).collect();
    rows.sort_by_key(|&row| std::cmp::Reverse(lengths(row)));
    rows.chunks(batch_size.max(1)).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn padding(batches: &[Vec<usize>], lengths: &[usize]) -> usize {
        batches
            .iter()
            .map(|rows| {
                let longest = rows.iter().map(|&row| lengths[row]).max().unwrap_or(0);
                rows.iter().map(|&row| longest - lengths[row]).sum::<usize>()
            })
            .sum()
    }

    proptest! {
        #[test]
        fn every_row_once_and_purely(
            lengths in prop::collection::vec(1usize..200, 0..700),
            batch_size in 0usize..20, seed: u64, epoch in 0u64..4, bucket: bool,
        ) {
            let options = SamplerOptions { batch_size, seed, bucket };
            let length = |row: usize| lengths[row];
            let batches = epoch_batches(&length, lengths.len(), epoch, &options);
            prop_assert_eq!(&batches, &epoch_batches(&length, lengths.len(), epoch, &options));
            let size = batch_size.max(1);
            prop_assert_eq!(batches.len(), lengths.len().div_ceil(size));
            prop_assert!(batches.iter().filter(|rows| rows.len() != size).count() <= 1);
            let mut seen: Vec<usize> = batches.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());

            let evaluation = evaluation_batches(&length, lengths.len(), batch_size).concat();
            prop_assert!(evaluation.windows(2).all(|pair| lengths[pair[0]] >= lengths[pair[1]]));
            prop_assert_eq!(evaluation.len(), lengths.len());
        }
    }

    #[test]
    fn epochs_and_seeds_differ_and_buckets_save_padding() {
        let mut random = Random::at(&[3]);
        let lengths: Vec<usize> = (0..4000).map(|_| 5 + random.below(120)).collect();
        let of = |seed, epoch, bucket| {
            epoch_batches(&|row| lengths[row], 4000, epoch, &SamplerOptions { batch_size: 16, seed, bucket })
        };
        assert_ne!(of(1, 0, true), of(1, 1, true));
        assert_ne!(of(1, 0, true), of(2, 0, true));
        assert!(padding(&of(1, 0, true), &lengths) * 10 < padding(&of(1, 0, false), &lengths));
        // Batches of a block must not come in order of length.
        let longest: Vec<usize> =
            of(1, 0, true).iter().map(|rows| rows.iter().map(|&row| lengths[row]).max().unwrap()).collect();
        assert!(longest[..50].windows(2).any(|pair| pair[0] > pair[1]));
    }
}
