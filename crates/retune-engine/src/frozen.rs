//! What frozen blocks make of each row, computed once: after that an epoch of `head` or `last:K` costs only the blocks that
//! learn, in training and in validation.
//!
//! Frozen blocks run without dropout, so that nothing but the row decides what they return, unless the data varies.

use crate::observer::Observer;
use crate::tensors::{to_array, to_tensors};
use anyhow::{Context, Result};
use retune_data::{Array, Arrays, Computed, Dataset, FeatureBuilder, Loader, evaluation_batches};
use retune_kernels::memory::free_disk_bytes;
use retune_kernels::tch::{Device, Kind, no_grad};
use retune_models::{Mode, Network, Tensors};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Share of the free space in the folder for temporary files that features may take.
const MOST_OF_DISK: f64 = 0.5;

/// Says which tokens of the features are a row's.
const MASK: &str = "attention_mask";

/// Computes features.
pub(crate) struct Frozen<'a> {
    pub(crate) network: &'a Network,
    /// Inputs that the loss reads beside the network's outputs.
    pub(crate) loss_reads: &'a [&'static str],
    pub(crate) first_trained_depth: usize,
    pub(crate) batch_size: usize,
    pub(crate) device: Device,
}

impl Frozen<'_> {
    /// Whether a whole block is frozen: embeddings alone cost less than reading what they return, unless they are
    /// convolutions over samples.
    pub(crate) fn is_worth_it(&self) -> bool {
        self.first_trained_depth > usize::from(!self.network.body.begin_is_costly())
    }

    /// `rows` with features in place of inputs; `None` where the model gives none or the disk has no room for them.
    pub(crate) fn features(
        &self,
        rows: &Arc<dyn Dataset>,
        what: &str,
        observers: &mut [&mut dyn Observer],
    ) -> Result<Option<Arc<dyn Dataset>>> {
        let features = Tensors::hidden_states_name(self.first_trained_depth);
        let mut builder = FeatureBuilder::new(Arc::clone(rows));
        let batches = evaluation_batches(&|row| rows.length(row), rows.len(), self.batch_size);
        let (threads, ahead) = crate::hardware::loaders(rows.as_ref(), self.device);
        let mode = Mode::training(self.first_trained_depth);
        let (mut done, mut width, mut sizes) = (0, None, BTreeMap::<String, Vec<usize>>::new());
        for batch in Loader::new(Arc::clone(rows), batches.into_iter().map(|rows| (rows, None)), threads, ahead) {
            let batch = batch?;
            let tensors = to_tensors(&batch, self.device)?;
            let kept = no_grad(|| self.network.frozen(&tensors.inputs, &mode))?;
            let (mut computed, mut masks, mut others) = (BTreeMap::new(), Arrays::new(), Arrays::new());
            let hidden = kept.get(&features)?.size();
            // Without a mask nobody knows which of the tokens are of a row, and which of its padding.
            if kept.optional(MASK).is_none() && *width.get_or_insert(hidden[1]) != hidden[1] {
                let note = "frozen blocks are computed in every epoch: this model pads without a mask, so that what they \
                            return depends on the other rows of a batch";
                observers.iter_mut().for_each(|o| o.on_message(note));
                return Ok(None);
            }
            for (name, tensor) in kept.iter() {
                let mask = kept.optional(MASK);
                // What there is one of for each token is kept by token, and comes back as plain numbers.
                let by_token = name != MASK && mask.is_some_and(|mask| mask.size() == tensor.size());
                // What earlier blocks returned lies beside it, token by token.
                let beside = tensor.dim() == 3 && tensor.size()[..2] == hidden[..2];
                let array = if by_token { to_array(&tensor.to_kind(Kind::Float))? } else { to_array(tensor)? };
                // Maps of earlier stages are as large as features.
                if name != features && tensor.dim() == 4 && tensor.is_floating_point() {
                    computed.insert(name.to_owned(), Computed { values: array, mask: None });
                } else if name == features || by_token || beside {
                    let mask = mask.map(|_| MASK.to_owned());
                    computed.insert(name.to_owned(), Computed { values: array, mask });
                } else if name == MASK {
                    masks.insert(name.to_owned(), array);
                } else {
                    others.insert(name.to_owned(), array);
                }
            }
            let read =
                self.loss_reads.iter().filter_map(|&name| Some((name.to_owned(), batch.inputs.get(name)?.clone())));
            others.extend(read);
            // A text that is written is as long as the longest of its batch, and no mask of what is read says so.
            let fixed = |(_, array): &(&String, &Array)| array.along.is_none();
            for (name, array) in others.iter().chain(batch.targets.iter().filter(fixed)) {
                let size = sizes.entry(name.clone()).or_insert_with(|| array.shape[1..].to_vec());
                if *size != array.shape[1..] {
                    let note = "frozen blocks are computed in every epoch: targets have lengths of their own";
                    observers.iter_mut().for_each(|o| o.on_message(note));
                    return Ok(None);
                }
            }
            // The longest rows come first, so that an estimate by the first batch is on the safe side.
            let bytes: usize = computed.values().map(|it| it.values.data.len() * size_of::<f32>()).sum();
            let expected = bytes as f64 / batch.rows.len() as f64 * rows.len() as f64;
            if done == 0
                && free_disk_bytes(&std::env::temp_dir()).is_some_and(|free| expected > MOST_OF_DISK * free as f64)
            {
                let note = format!(
                    "frozen blocks are computed in every epoch: what they return could take {:.0} GB, too much for {}",
                    expected / 1e9,
                    std::env::temp_dir().display()
                );
                observers.iter_mut().for_each(|o| o.on_message(&note));
                return Ok(None);
            }
            builder.push(&batch, &computed, &masks, &others)?;
            done += batch.rows.len();
            observers.iter_mut().for_each(|o| o.on_progress(what, done, rows.len()));
        }
        Ok(Some(Arc::new(builder.finish().context("what frozen blocks return could not be kept")?)))
    }
}
