//! Which rows form which batch: pure functions of the lengths, the seed and the epoch.

use std::ops::Range;

use crate::Random;

/// Batches per block inside which rows are sorted by length: large enough that batches are of
/// near-equal length, small enough that neighbours in time are still a random sample.
const BLOCK_BATCHES: usize = 200;

/// Which rows share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batching {
    /// Any, as they are shuffled.
    Shuffled,
    /// Rows of similar length (less padding), equally many in each.
    Examples,
    /// Rows of similar length, many short ones or few long ones: about as many tokens in each batch, padding counted.
    Tokens,
}

/// How the rows of an epoch become batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamplerOptions {
    /// Rows in a batch, on average where batches are made by tokens; 0 counts as 1.
    pub batch_size: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Which rows share a batch.
    pub batching: Batching,
}

/// The batches of one epoch, each row of `0..n` in exactly one.
///
/// Rows are shuffled by `(seed, epoch)`; unless that is all, they are cut into blocks of 200 batches,
/// sorted by length inside a block, cut into batches, and the batches shuffled. There are always
/// `ceil(n / batch_size)` batches. By tokens none is empty; otherwise at most one is smaller than `batch_size`.
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
    if options.batching == Batching::Shuffled {
        return rows.chunks(batch_size).map(<[usize]>::to_vec).collect();
    }
    let mut batches = Vec::with_capacity(n.div_ceil(batch_size));
    for block in rows.chunks_mut(batch_size.saturating_mul(BLOCK_BATCHES)) {
        // Stable: rows of equal length keep their shuffled order.
        block.sort_by_key(|&row| lengths(row));
        match options.batching {
            Batching::Tokens => by_tokens(block, lengths, block.len().div_ceil(batch_size), &mut batches),
            _ => batches.extend(block.chunks(batch_size).map(<[usize]>::to_vec)),
        }
    }
    random.shuffle(&mut batches);
    batches
}

/// Cuts rows, shortest first, into `count` batches, none empty, so that the largest is as small as can be, padding counted.
fn by_tokens(rows: &[usize], lengths: &dyn Fn(usize) -> usize, count: usize, batches: &mut Vec<Vec<usize>>) {
    let lengths: Vec<usize> = rows.iter().map(|&row| lengths(row).max(1)).collect();
    let longest = lengths.last().copied().unwrap_or(1);
    // The smallest budget that `count` batches suffice for.
    let (mut low, mut high) = (longest, longest.saturating_mul(rows.len()));
    while low < high {
        let middle = low + (high - low) / 2;
        if cut(&lengths, middle).len() <= count { high = middle } else { low = middle + 1 }
    }
    let mut parts = cut(&lengths, high);
    while parts.len() < count {
        let largest = (0..parts.len()).max_by_key(|&i| parts[i].len()).expect("rows make at least one part");
        let Range { start, end } = parts[largest].clone();
        let middle = start.midpoint(end);
        parts.splice(largest..=largest, [start..middle, middle..end]);
    }
    batches.extend(parts.into_iter().map(|part| rows[part].to_vec()));
}

/// Batches of at most `budget` tokens, padding counted, as large as can be; one row may be more.
fn cut(lengths: &[usize], budget: usize) -> Vec<Range<usize>> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    for (i, &length) in lengths.iter().enumerate() {
        if i > begin && length.saturating_mul(i + 1 - begin) > budget {
            parts.push(begin..i);
            begin = i;
        }
    }
    parts.extend((begin < lengths.len()).then_some(begin..lengths.len()));
    parts
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
            batch_size in 0usize..20, seed: u64, epoch in 0u64..4,
            batching in prop::sample::select(vec![Batching::Shuffled, Batching::Examples, Batching::Tokens]),
        ) {
            let options = SamplerOptions { batch_size, seed, batching };
            let length = |row: usize| lengths[row];
            let batches = epoch_batches(&length, lengths.len(), epoch, &options);
            prop_assert_eq!(&batches, &epoch_batches(&length, lengths.len(), epoch, &options));
            let size = batch_size.max(1);
            prop_assert_eq!(batches.len(), lengths.len().div_ceil(size));
            prop_assert!(batches.iter().all(|rows| !rows.is_empty()));
            if batching != Batching::Tokens {
                prop_assert!(batches.iter().filter(|rows| rows.len() != size).count() <= 1);
            }
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
        let of = |seed, epoch, batching| {
            epoch_batches(&|row| lengths[row], 4000, epoch, &SamplerOptions { batch_size: 16, seed, batching })
        };
        use Batching::{Examples, Shuffled, Tokens};
        assert_ne!(of(1, 0, Examples), of(1, 1, Examples));
        assert_ne!(of(1, 0, Examples), of(2, 0, Examples));
        assert!(padding(&of(1, 0, Examples), &lengths) * 10 < padding(&of(1, 0, Shuffled), &lengths));
        // By tokens the largest batch is hardly larger than the mean; by examples it is twice as large.
        let sizes = |batches: &[Vec<usize>]| -> Vec<usize> {
            batches.iter().map(|rows| rows.len() * rows.iter().map(|&row| lengths[row]).max().unwrap()).collect()
        };
        let most = |batching| {
            let sizes = sizes(&of(1, 0, batching));
            *sizes.iter().max().unwrap() as f64 * sizes.len() as f64 / sizes.iter().sum::<usize>() as f64
        };
        assert!(most(Tokens) < 1.25 && most(Examples) > 1.7, "{} {}", most(Tokens), most(Examples));
        // Batches of a block must not come in order of length.
        let longest: Vec<usize> =
            of(1, 0, Examples).iter().map(|rows| rows.iter().map(|&row| lengths[row]).max().unwrap()).collect();
        assert!(longest[..50].windows(2).any(|pair| pair[0] > pair[1]));
    }
}
