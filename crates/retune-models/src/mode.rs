//! How a forward pass runs: dropout, graph, and from which block on.

use crate::trace::{self, BlockOutput};

/// How a forward pass runs.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// Dropout on, graph recorded.
    pub train: bool,
    /// Blocks below this depth run as in evaluation and without a graph: nothing there is trained.
    pub first_trained_depth: usize,
    /// Whether hidden states are wanted. Without them the last layer computes only the tokens that the head reads.
    pub hidden_states: bool,
    /// Whether factors are wanted in place of outputs that are too large to be held at once ([`crate::Head::factors`]).
    pub factors: bool,
}

impl Mode {
    /// No dropout; the caller decides about the graph.
    pub fn evaluation() -> Self {
        Self { train: false, first_trained_depth: 0, hidden_states: false, factors: false }
    }

    /// Training of everything from `first_trained_depth` up.
    pub fn training(first_trained_depth: usize) -> Self {
        Self { train: true, first_trained_depth, hidden_states: false, factors: false }
    }

    /// The same with hidden states.
    #[must_use]
    pub fn with_hidden_states(self) -> Self {
        Self { hidden_states: true, ..self }
    }

    /// The same with factors in place of scores over a vocabulary.
    #[must_use]
    pub fn with_factors(self) -> Self {
        Self { factors: true, ..self }
    }

    /// Runs block `depth`: with dropout only if it trains, without a graph if nothing at or below it does.
    pub fn block<T: BlockOutput>(&self, depth: usize, forward: impl FnOnce(bool) -> T) -> T {
        let output = if self.train && depth < self.first_trained_depth {
            retune_kernels::tch::no_grad(|| forward(false))
        } else {
            forward(self.train)
        };
        trace::look(depth, &output);
        output
    }
}
