//! Multi-head self-attention with an additive bias on the scores, and projections that may lack their bias.
//!
//! What vision families need beyond [`super::SelfAttention`]. B batch, T tokens, D hidden size, H heads, K head size.

use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::Tensor;
use retune_kernels::{Dense, attention};

/// Tensor names, relative to the layer.
#[derive(Debug, Clone, Copy)]
pub struct ImageAttentionNames {
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
pub struct ImageAttentionSizes {
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
pub struct ImageAttention {
    query: Dense,
    key: Dense,
    value: Dense,
    output: Dense,
    heads: i64,
    dropout: f64,
}

impl ImageAttention {
    /// `weights` points at the layer.
    pub fn load(
        weights: &Weights<'_>,
        names: &ImageAttentionNames,
        sizes: &ImageAttentionSizes,
    ) -> Result<Self, ModelError> {
        let d = sizes.hidden;
        if d % sizes.heads != 0 {
            return Err(ModelError::Config {
                field: "num_attention_heads".to_owned(),
                problem: format!("{} heads do not divide the hidden size {d}", sizes.heads),
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

    /// `x` [B, T, D]; `bias` [1 or B, 1 or H, T, T] is added to the scores. Returns [B, T, D].
    pub fn forward(&self, x: &Tensor, bias: Option<&Tensor>, train: bool) -> Tensor {
        let [batch, tokens, hidden] = x.size()[..] else { panic!("hidden states have three dimensions") };
        let heads = |dense: &Dense| {
            let y = dense.forward(x, train);
            y.view([batch, tokens, self.heads, hidden / self.heads]).transpose(1, 2) // [B, H, T, K]
        };
        let (query, key, value) = (heads(&self.query), heads(&self.key), heads(&self.value));
        let attended = match bias {
            None => attention::scaled_dot_product(&query, &key, &value, None, None, self.dropout, train),
            Some(bias) => biased(&query, &key, &value, &bias.to_kind(query.kind()), self.dropout, train),
        };
        self.output.forward(&attended.transpose(1, 2).reshape([batch, tokens, hidden]), train)
    }
}

/// `softmax(q kᵀ/√K + bias) v` over [B, H, T, K].
fn biased(query: &Tensor, key: &Tensor, value: &Tensor, bias: &Tensor, p: f64, train: bool) -> Tensor {
    if !train || p == 0.0 {
        return Tensor::scaled_dot_product_attention(query, key, value, Some(bias), 0.0, false, None, false);
    }
    let scale = 1.0 / (query.size()[3] as f64).sqrt();
    let scores = (query * scale).matmul(&key.transpose(-2, -1)) + bias; // [B, H, T, T]
    dropout(&scores.softmax(-1, query.kind()), p, train).matmul(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_kernels::tch::{Device, Kind};

    #[test]
    fn the_path_with_dropout_computes_the_same_attention() {
        let random = |seed, shape: &[i64]| {
            let values = retune_kernels::random::normal(seed, shape.iter().product::<i64>() as usize);
            Tensor::from_slice(&values).reshape(shape)
        };
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
