//! Gradient checkpointing (Chen et al. 2016): of a forward pass only what stands between blocks is kept; the backward pass
//! computes each block again, with the same dropout masks.

use crate::{Mode, ModelError, Network, Reads, State, Tensors};
use retune_kernels::replay::Part;
use retune_kernels::tch::{Kind, Tensor, no_grad};

/// A block that will be computed again.
struct Block {
    depth: usize,
    /// What it was given, cut off from the graph.
    given: State,
    /// Where its dropout masks begin.
    part: Part,
}

/// The blocks of a forward pass whose graph was not kept. The gradients of the head are there once the loss has been traced back;
/// [`Self::backward`] then takes them down through the blocks.
#[must_use = "without it no block gets a gradient"]
pub struct Recomputed<'a> {
    network: &'a Network,
    mode: Mode,
    reads: Reads,
    /// What the lowest of the blocks was given, with its graph.
    bottom: State,
    blocks: Vec<Block>,
    /// What the head was given.
    top: State,
}

impl Network {
    /// As [`Self::forward`] in training, without the graph of the blocks. Absent where there is no block to train: then the outputs
    /// have their whole graph.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn forward_recomputed(
        &self,
        inputs: &Tensors,
        mode: &Mode,
    ) -> Result<(Tensors, Option<Recomputed<'_>>), ModelError> {
        let depth = inputs.hidden_states().map_or(1, |(depth, _)| depth).max(mode.first_trained_depth);
        let above = self.blocks() + 1;
        if depth >= above {
            return Ok((self.forward(inputs, mode)?, None));
        }
        let bottom = self.below(inputs, mode, depth)?;
        let reads = self.reads_in(mode);
        let mut blocks = Vec::with_capacity(above - depth);
        let mut state = cut(&bottom, Tensor::requires_grad);
        for depth in depth..above {
            let part = Part::begin();
            let next = no_grad(|| self.body.run(shallow(&state), depth..depth + 1, reads, mode))?;
            let next = cut(&next, |tensor| tensor.is_floating_point());
            blocks.push(Block { depth, given: std::mem::replace(&mut state, next), part });
        }
        let outputs = self.above(&state, mode)?;
        Ok((outputs, Some(Recomputed { network: self, mode: *mode, reads, bottom, blocks, top: state })))
    }
}

impl Recomputed<'_> {
    /// Adds up the gradients of all parameters below the head.
    ///
    /// # Errors
    /// A block that fails.
    pub fn backward(self) -> Result<(), ModelError> {
        let Self { network, mode, reads, bottom, blocks, top } = self;
        let mut above = top;
        for Block { depth, given, part } in blocks.into_iter().rev() {
            let from = cut(&given, Tensor::requires_grad);
            let to = part.replay(|| network.body.run(shallow(&from), depth..depth + 1, reads, &mode))?;
            trace_back(&to, &above);
            above = from;
        }
        trace_back(&bottom, &above);
        Ok(())
    }
}

/// The same tensors as the beginning of a graph; those that are chosen get gradients.
fn cut(state: &State, learns: impl Fn(&Tensor) -> bool) -> State {
    let cut = |tensor: &Tensor| tensor.detach().set_requires_grad(learns(tensor));
    State {
        hidden: cut(&state.hidden),
        mask: state.mask.as_ref().map(Tensor::shallow_clone),
        beside: state.beside.iter().map(|(name, tensor)| (name.to_owned(), cut(tensor))).collect(),
    }
}

fn shallow(state: &State) -> State {
    State {
        hidden: state.hidden.shallow_clone(),
        mask: state.mask.as_ref().map(Tensor::shallow_clone),
        beside: state.beside.iter().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect(),
    }
}

/// Goes on from the gradients of `above`, which are those of `state`, through the graph of `state`.
fn trace_back(state: &State, above: &State) {
    let mut sum: Option<Tensor> = None;
    let beside = state.beside.iter().filter_map(|(name, tensor)| Some((tensor, above.beside.optional(name)?)));
    for (tensor, leaf) in beside.chain([(&state.hidden, &above.hidden)]) {
        let gradient = leaf.grad();
        if tensor.requires_grad() && gradient.defined() {
            // The derivative of this sum by the tensor is the gradient, to the bit.
            let part = (tensor * gradient).sum(Kind::Float);
            sum = Some(sum.map_or_else(|| part.shallow_clone(), |sum| sum + &part));
        }
    }
    if let Some(sum) = sum {
        sum.backward();
    }
}
