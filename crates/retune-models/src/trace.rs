//! Which block of a forward pass is the first to return values that are not finite.

use retune_kernels::tch::Tensor;
use std::cell::Cell;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Off,
    /// All blocks so far returned finite values.
    Finite,
    /// The block of this depth did not.
    Found(usize),
}

thread_local! {
    static STATE: Cell<State> = const { Cell::new(State::Off) };
}

/// What a block returns: activations, and perhaps something beside them.
pub trait BlockOutput {
    /// The activations.
    fn activations(&self) -> &Tensor;
}

impl BlockOutput for Tensor {
    fn activations(&self) -> &Tensor {
        self
    }
}

impl<A, B> BlockOutput for (Tensor, A, B) {
    fn activations(&self) -> &Tensor {
        &self.0
    }
}

/// The depth of the first block that returns a value that is not finite while `forward` runs on this thread.
pub fn first_not_finite(forward: impl FnOnce()) -> Option<usize> {
    STATE.set(State::Finite);
    forward();
    match STATE.replace(State::Off) {
        State::Found(depth) => Some(depth),
        _ => None,
    }
}

/// Looks at the output of block `depth`; free unless someone is looking.
pub(crate) fn look(depth: usize, output: &impl BlockOutput) {
    if STATE.get() == State::Finite && output.activations().isfinite().all().int64_value(&[]) == 0 {
        STATE.set(State::Found(depth));
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
            let _output = mode.block(4, |_| (Tensor::from_slice(&[f32::NAN]), 1, 2));
        };
        assert_eq!(first_not_finite(|| run([0.0, 1.0, f32::INFINITY, f32::NAN])), Some(2));
        assert_eq!(first_not_finite(|| run([0.0; 4])), Some(4));
        run([f32::NAN; 4]);
        assert_eq!(first_not_finite(|| ()), None);
    }
}
