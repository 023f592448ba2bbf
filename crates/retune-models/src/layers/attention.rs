//! Multi-head self-attention with separate query, key, value and output projections (Vaswani et al. 2017, §3.2.2), where vision
//! families add a bias to the scores and leave out the bias of some projections.
//!
//! B batch, T tokens, Q tokens that attend, D hidden size, H heads, K head size.

use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{AttentionMask, Dense, fused};

/// Tensor names, relative to the layer.
#[derive(Debug, Clone, Copy)]
pub struct AttentionNames {
    /// Query projection.
    pub query: &'static str,
    /// Key projection.
    pub key: &'static str,
    /// Value projection.
    pub value: &'static str,
    /// Projection after attention.
    pub output: &'static str,
}

/// Sizes and settings, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct AttentionSizes {
    /// D.
    pub hidden: i64,
    /// H.
    pub heads: i64,
    /// On attention probabilities.
    pub dropout: f64,
    /// Whether query and value have a bias.
    pub query_value_bias: bool,
    /// Whether the key has one.
    pub key_bias: bool,
}

/// Projections and head layout.
#[derive(Debug)]
pub struct Attention {
    query: Dense,
    key: Dense,
    value: Dense,
    output: Dense,
    heads: i64,
    dropout: f64,
}

impl Attention {
    /// `weights` points at the layer.
    pub fn load(weights: &Weights<'_>, names: &AttentionNames, sizes: &AttentionSizes) -> Result<Self, ModelError> {
        let d = sizes.hidden;
        if d % sizes.heads != 0 {
            return Err(ModelError::Config {
                field: "num_attention_heads".to_owned(),
                problem: format!("is {}, which does not divide the hidden size {d}", sizes.heads),
            });
        }
        Ok(Self {
            query: weights.at(names.query).dense_with(d, d, sizes.query_value_bias)?,
            key: weights.at(names.key).dense_with(d, d, sizes.key_bias)?,
            value: weights.at(names.value).dense_with(d, d, sizes.query_value_bias)?,
            output: weights.at(names.output).dense(d, d)?,
            heads: sizes.heads,
            dropout: sizes.dropout,
        })
    }

    /// `queries` [B, Q, D] attend to `x` [B, T, D], where `mask` is true. `bias` [G, 1 or H, T, T] is added to the scores: of
    /// each G rows the g-th gets the g-th; queries are then the first tokens of `x`, and there is no mask. Returns [B, Q, D].
    pub fn forward(
        &self,
        queries: &Tensor,
        x: &Tensor,
        mask: Option<&AttentionMask>,
        bias: Option<&Tensor>,
        train: bool,
    ) -> Tensor {
        let attended = match bias {
            None => self.attend(queries, x, mask, train),
            Some(bias) => {
                debug_assert!(mask.is_none(), "images have no padding");
                let query = self.query.forward(queries, train);
                let bias = bias.narrow(2, 0, queries.size()[1]).to_kind(query.kind());
                let [key, value] = [&self.key, &self.value].map(|dense| dense.forward(x, train));
                let [query, key, value] = [query, key, value].map(|projected| self.split(&projected));
                biased(&query, &key, &value, &bias, self.dropout, train).transpose(1, 2).reshape(queries.size())
            }
        };
        self.output.forward(&attended, train)
    }

    fn attend(&self, queries: &Tensor, x: &Tensor, mask: Option<&AttentionMask>, train: bool) -> Tensor {
        let (heads, p) = (self.heads, self.dropout);
        // All tokens attend.
        let joint =
            if queries.size() == x.size() { Dense::joint([&self.query, &self.key, &self.value], x) } else { None };
        match joint {
            Some([query, key, value]) => fused::attention(&query, &key, &value, mask, heads, p, train),
            None => {
                let query = self.query.forward(queries, train);
                fused::attention_of_few(&query, x, [&self.key, &self.value], mask, heads, p, train)
            }
        }
    }

    /// How much each token attends to each other, the mean of all heads, [B, T, T]; `bias` as in [`Self::forward`].
    pub fn probabilities(&self, x: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let project = |dense: &Dense| self.split(&dense.forward(x, false));
        let scores = scores(&project(&self.query), &project(&self.key), bias);
        scores.softmax(-1, Kind::Float).mean_dim([1i64].as_slice(), false, Kind::Float)
    }

    /// [B, T, D] → [B, H, T, K].
    fn split(&self, x: &Tensor) -> Tensor {
        let [batch, tokens, hidden] = x.size()[..] else { panic!("hidden states have three dimensions") };
        x.view([batch, tokens, self.heads, hidden / self.heads]).transpose(1, 2)
    }
}

/// `q kᵀ/√K + bias`, [B, H, Q, T].
fn scores(query: &Tensor, key: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let scale = 1.0 / (query.size()[3] as f64).sqrt();
    let scores = (query * scale).matmul(&key.transpose(-2, -1));
    let Some(bias) = bias else { return scores };
    let (size, groups) = (scores.size(), bias.size()[0]);
    // Broadcast over the groups: a copy of the bias for each of them would be as large as the scores.
    let mut grouped = scores.view([size[0] / groups, groups, size[1], size[2], size[3]]);
    grouped += bias.to_kind(grouped.kind());
    grouped.view(size.as_slice())
}

/// `softmax(q kᵀ/√K + bias) v` over [B, H, Q or T, K]; `bias` [.., Q, T], else as in [`Attention::forward`].
fn biased(query: &Tensor, key: &Tensor, value: &Tensor, bias: &Tensor, p: f64, train: bool) -> Tensor {
    let groups = bias.size()[0];
    if !train || (p == 0.0 && groups == 1) {
        // The fused path keeps no scores, but wants the bias of each row.
        let rows = if groups == 1 { bias.shallow_clone() } else { bias.repeat([query.size()[0] / groups, 1, 1, 1]) };
        return Tensor::scaled_dot_product_attention(query, key, value, Some(&rows), 0.0, false, None, false);
    }
    dropout(&scores(query, key, Some(bias)).softmax(-1, query.kind()), p, train).matmul(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_kernels::tch::Device;

    fn random(seed: u64, shape: &[i64]) -> Tensor {
        let values = retune_kernels::random::normal(seed, shape.iter().product::<i64>() as usize);
        Tensor::from_slice(&values).reshape(shape)
    }

    #[test]
    fn biases_of_groups_are_those_of_their_rows() {
        let [q, k, v] = [1, 2, 3].map(|seed| random(seed, &[6, 3, 5, 4]));
        let bias = random(4, &[2, 3, 5, 5]);
        let expected =
            Tensor::scaled_dot_product_attention(&q, &k, &v, Some(bias.repeat([3, 1, 1, 1])), 0.0, false, None, false);
        for train in [false, true] {
            let worst = (biased(&q, &k, &v, &bias, 0.0, train) - &expected).abs().max().double_value(&[]);
            assert!(worst < 1e-6, "{worst}");
        }
    }

    #[test]
    fn the_path_with_dropout_computes_the_same_attention() {
        let [q, k, v] = [1, 2, 3].map(|seed| random(seed, &[2, 3, 5, 4]));
        let bias = random(4, &[1, 3, 5, 5]);
        let whole = biased(&q, &k, &v, &bias, 0.0, true);
        // The mean over many masks approaches the value without dropout.
        retune_kernels::dropout::set_stream(1);
        let mut sum = Tensor::zeros([2, 3, 5, 4], (Kind::Float, Device::Cpu));
        for _ in 0..4000 {
            sum += biased(&q, &k, &v, &bias, 0.2, true);
        }
        let worst = (sum / 4000.0 - whole).abs().max().double_value(&[]);
        assert!(worst < 0.1, "{worst}");
    }
}
