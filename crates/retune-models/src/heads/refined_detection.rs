//! Object detection by a decoder each of whose layers refines boxes (Zhao et al. 2023): what the last one says.
//!
//! transformers' `RTDetrForObjectDetection` and `RTDetrV2ForObjectDetection`. B batch, N noised queries while training, Q others, D
//! hidden size, L labels, E layers and the choice of queries before them.

use super::detection::{EARLIER_BOXES, EARLIER_LOGITS, NOISED_BOXES, NOISED_LOGITS};
use crate::bodies::{BoxHead, CHOSEN, REFERENCES, said_name};
use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Reads, State, Tensors};
use retune_kernels::tch::Tensor;

/// The head as data.
#[derive(Debug, Clone, Copy)]
pub struct RefinedDetectionPlan {
    /// Path of the decoder.
    pub decoder: &'static str,
    /// Bias of fresh classes.
    pub prior: fn(&ModelConfig) -> Result<f64, ModelError>,
}

impl HeadPlan for RefinedDetectionPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let last = config.size("decoder_layers")? as usize - 1;
        let sizes = (body.width(), config.label_count(), (self.prior)(config)?);
        Ok(Box::new(RefinedDetection {
            last: BoxHead::load(&weights.at(self.decoder), last, sizes)?,
            earlier: last,
            queries: config.size("num_queries")?,
        }))
    }
}

struct RefinedDetection {
    last: BoxHead,
    /// Layers before the last.
    earlier: usize,
    /// Q.
    queries: i64,
}

impl Head for RefinedDetection {
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// `logits` [B, Q, L] and `pred_boxes` [B, Q, 4], centre, width and height as shares of the picture; where earlier layers are
    /// learnt, what they and the choice of queries say, [B, E, Q, ..], and what all say of noised queries, [B, E, N, ..].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let (logits, boxes) = self.last.forward(&state.hidden, state.beside.get(REFERENCES)?, train);
        let noised = state.hidden.size()[1] - self.queries;
        let of_queries = |x: &Tensor| x.narrow(1, noised, self.queries);
        let mut outputs = Tensors::from([("logits", of_queries(&logits)), ("pred_boxes", of_queries(&boxes))]);
        let Some(chosen) = state.beside.optional(&said_name(CHOSEN, "logits")) else { return Ok(outputs) };
        let chosen = [chosen, state.beside.get(&said_name(CHOSEN, "boxes"))?];
        let names = [("logits", EARLIER_LOGITS, NOISED_LOGITS), ("boxes", EARLIER_BOXES, NOISED_BOXES)];
        for ((what, earlier, of_noised), (chosen, last)) in
            names.into_iter().zip(chosen.into_iter().zip([&logits, &boxes]))
        {
            let said = (0..self.earlier).map(|i| state.beside.get(&said_name(&i.to_string(), what)));
            let mut said = said.collect::<Result<Vec<&Tensor>, _>>()?;
            let mut others: Vec<Tensor> = said.iter().map(|x| of_queries(x)).collect();
            others.push(chosen.shallow_clone());
            outputs.insert(earlier, Tensor::stack(&others, 1));
            if noised > 0 {
                said.push(last);
                let all: Vec<Tensor> = said.iter().map(|x| x.narrow(1, 0, noised)).collect();
                outputs.insert(of_noised, Tensor::stack(&all, 1));
            }
        }
        Ok(outputs)
    }
}
