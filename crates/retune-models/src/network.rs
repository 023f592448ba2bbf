//! A body with its head: what is trained and asked.

use crate::checkpoint::WeightsRoot;
use crate::explain::{Explanation, Score, refused};
use crate::heads::{DENOISING_DRAWS, LOGIT_POSITIONS, OBJECT_BOXES, OBJECT_LABELS, Pooler};
use crate::{Body, Family, Head, Mode, ModelConfig, ModelError, Purpose, Reads, State, Tensors, registry};
use retune_kernels::tch::{Kind, Tensor};

/// Inputs that the head or blocks above the first read.
const READ_ABOVE: [&str; 4] = [LOGIT_POSITIONS, OBJECT_LABELS, OBJECT_BOXES, DENOISING_DRAWS];

/// A model. Depths run from 0, the embeddings, over the blocks of the body to the head above them.
pub struct Network {
    /// All below the head.
    pub body: Box<dyn Body>,
    /// The head; `None` for a base model alone that has no pooler either.
    pub head: Option<Box<dyn Head>>,
    /// Of hidden states.
    kind: Kind,
}

impl Network {
    /// Makes it from weights; without a purpose the base model alone, as transformers' `AutoModel`.
    ///
    /// # Errors
    /// A purpose that the family has no head for, a configuration or checkpoint that does not fit.
    pub fn build(
        weights: &WeightsRoot,
        family: &dyn Family,
        config: &ModelConfig,
        purpose: Option<&Purpose>,
    ) -> Result<Self, ModelError> {
        let root = weights.root();
        let body = family.body(&root, config)?;
        let top = root.depth(body.blocks() + 1);
        let head = match purpose {
            Some(purpose) => Some(registry::head(family, purpose)?.build(&top, config, body.as_ref())?),
            None => {
                let pooler = family.pooler().map(|path| Pooler::load(&top.neck().at(path), body.width()));
                pooler.transpose()?.flatten().map(|pooler| Box::new(pooler) as Box<dyn Head>)
            }
        };
        Ok(Self { body, head, kind: root.compute_kind() })
    }

    /// Runs it on named inputs, or on what [`Self::frozen`] returned. Outputs are those of the head, and `last_hidden_state`
    /// where the mode asks for it or there is no head.
    ///
    /// # Errors
    /// Inputs that are missing or do not fit.
    pub fn forward(&self, inputs: &Tensors, mode: &Mode) -> Result<Tensors, ModelError> {
        let state = self.below(inputs, mode, self.blocks() + 1)?;
        self.above(&state, mode)
    }

    /// What the head makes of a state.
    pub(crate) fn above(&self, state: &State, mode: &Mode) -> Result<Tensors, ModelError> {
        let above = self.blocks() + 1;
        let mut outputs = match &self.head {
            Some(head) => mode.block(above, |train| {
                let factors = if mode.factors { head.factors(state, train) } else { None };
                factors.map_or_else(|| head.forward(state, train), Ok)
            })?,
            None => Tensors::default(),
        };
        if mode.hidden_states || self.head.is_none() {
            outputs.insert("last_hidden_state", self.body.last_hidden_state(state));
            let others = self.body.other_states(state);
            outputs.extend(others.iter().map(|(name, it)| (name.to_owned(), it.shallow_clone())));
        }
        Ok(outputs)
    }

    /// What the blocks below `mode.first_trained_depth` return, and what else the others need: inputs [B, ..] that
    /// [`Self::forward`] takes in place of these, to the same effect. The hidden states are called
    /// [`Tensors::hidden_states_name`]; with an `attention_mask` they are [B, T, ..] of that mask.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn frozen(&self, inputs: &Tensors, mode: &Mode) -> Result<Tensors, ModelError> {
        let depth = mode.first_trained_depth;
        Ok(self.below(inputs, mode, depth)?.into_tensors(depth))
    }

    /// Inputs that stand for these where a decoder is asked more than once about what its encoder reads; nothing where they serve as
    /// they are.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn read(&self, inputs: &Tensors) -> Result<Option<Tensors>, ModelError> {
        let read = self.body.continues().map_or(Ok(None), |body| body.read(inputs))?;
        let above =
            READ_ABOVE.iter().filter_map(|&name| Some((name.to_owned(), inputs.optional(name)?.shallow_clone())));
        Ok(read.map(|mut read| {
            read.extend(above);
            read
        }))
    }

    /// The state behind the blocks below `end`.
    pub(crate) fn below(&self, inputs: &Tensors, mode: &Mode, end: usize) -> Result<State, ModelError> {
        let (begin, state) = match State::of(inputs) {
            Some((depth, state)) => (depth, State { hidden: state.hidden.to_kind(self.kind), ..state }),
            None => (1, self.body.begin(inputs, mode)?),
        };
        let mut state = state;
        for name in READ_ABOVE {
            if let Some(given) = inputs.optional(name) {
                state.beside.insert(name, given.shallow_clone());
            }
        }
        self.body.run(state, begin..end, self.reads_in(mode), mode)
    }

    /// What is read of the last block.
    pub(crate) fn reads_in(&self, mode: &Mode) -> Reads {
        match self.reads() {
            Reads::First(_) if mode.hidden_states => Reads::All,
            reads => reads,
        }
    }

    fn reads(&self) -> Reads {
        self.head.as_ref().map_or(Reads::All, |head| head.reads())
    }

    /// Number of blocks of the body; the head's depth is one more.
    pub fn blocks(&self) -> usize {
        self.body.blocks()
    }

    /// Floating-point operations of one forward pass over one example: of matrix products and convolutions, twice their
    /// multiply-adds. `input` counts tokens of a text, patches of an image; `target` tokens of a text that is written.
    pub fn work(&self, input: usize, target: usize) -> f64 {
        let (size, target) = (input as f64, target as f64);
        let of_target = self.body.target_work(size, target);
        let read = of_target.map_or(size, |_| target);
        let head = self.head.as_ref().map_or(0.0, |head| head.work(read));
        self.body.work(size, self.reads()) + of_target.unwrap_or(0.0) + head
    }

    /// The heat maps that it can draw.
    pub fn explanations(&self) -> &'static [Explanation] {
        // A heat map begins with the last hidden state alone.
        let head = self.head.as_ref().filter(|head| head.reads() != Reads::Stages);
        head.and_then(|_| self.body.explains()).map_or(&[], |body| body.explanations())
    }

    /// Which places of the inputs `score` rests on, [B, h, w]; larger is more. Parameters may be frozen, and keep their
    /// gradients.
    ///
    /// # Errors
    /// A heat map that is not among [`Self::explanations`], or inputs that do not fit.
    pub fn explain(&self, inputs: &Tensors, how: Explanation, score: Score<'_>) -> Result<Tensor, ModelError> {
        self.demand(how)?;
        match (self.body.explains(), &self.head) {
            (Some(body), Some(head)) => body.explain(inputs, how, head.as_ref(), score),
            _ => Err(refused(&[], how)),
        }
    }

    /// Whether it can draw this heat map.
    ///
    /// # Errors
    /// It cannot; the message says what it can.
    pub fn demand(&self, how: Explanation) -> Result<(), ModelError> {
        let known = self.explanations();
        if known.contains(&how) { Ok(()) } else { Err(refused(known, how)) }
    }

    /// Name of the embedding table that `input_ids` index, where nothing else reads that table.
    pub fn token_table(&self) -> Option<&str> {
        let read = self.head.as_ref().is_some_and(|head| head.reads_token_table());
        self.body.token_table().filter(|_| !read)
    }
}
