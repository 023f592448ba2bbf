//! Which block of a forward pass is the first to return values that are not finite.

use retune_kernels::tch::Tensor;
use std::cell::Cell;

#[derive(Clone, Copy, PartialEq)]
enum Search {
    Off,
    /// All blocks so far returned finite values.
    Finite,
    /// The block of this depth did not.
    Found(usize),
}

thread_local! {
    static SEARCH: Cell<Search> = const { Cell::new(Search::Off) };
}

/// What a block returns.
pub trait BlockOutput {
    /// Whether its activations are all finite.
    fn is_finite(&self) -> bool;
}

impl BlockOutput for Tensor {
    fn is_finite(&self) -> bool {
        self.isfinite().all().int64_value(&[]) == 1
    }
}

impl BlockOutput for crate::State {
    fn is_finite(&self) -> bool {
        self.hidden.is_finite()
    }
}

impl BlockOutput for crate::Tensors {
    fn is_finite(&self) -> bool {
        self.iter().all(|(_, tensor)| tensor.is_finite())
    }
}

/// A block that refuses its inputs has computed nothing.
impl<T: BlockOutput> BlockOutput for Result<T, crate::ModelError> {
    fn is_finite(&self) -> bool {
        self.as_ref().map_or(true, BlockOutput::is_finite)
    }
}

/// The depth of the first block that returns a value that is not finite while `forward` runs on this thread.
pub fn first_not_finite(forward: impl FnOnce()) -> Option<usize> {
    SEARCH.set(Search::Finite);
    forward();
    match SEARCH.replace(Search::Off) {
        Search::Found(depth) => Some(depth),
        _ => None,
    }
}

/// Looks at the output of block `depth`; free unless someone is looking.
pub(crate) fn look(depth: usize, output: &impl BlockOutput) {
    if SEARCH.get() == Search::Finite && !output.is_finite() {
        SEARCH.set(Search::Found(depth));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;

    #[test]
    fn the_first_bad_block_is_found_only_while_looking() {
        let run = |values: [f32; 4]| {
            let mode = Mode::training(2);
            for (depth, value) in values.into_iter().enumerate() {
                let _output = mode.block(depth, |_| Tensor::from_slice(&[1.0, value]));
            }
            let _output = mode.block(4, |_| crate::State::new(Tensor::from_slice(&[f32::NAN])));
        };
        assert_eq!(first_not_finite(|| run([0.0, 1.0, f32::INFINITY, f32::NAN])), Some(2));
        assert_eq!(first_not_finite(|| run([0.0; 4])), Some(4));
        run([f32::NAN; 4]);
        assert_eq!(first_not_finite(|| ()), None);
    }
}
