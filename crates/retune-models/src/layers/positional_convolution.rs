//! Positions by a grouped convolution over the frames (Baevski et al. 2020, §2), whose weight has a length and a direction for each
//! place of its kernel (Salimans & Kingma 2016).
//!
//! Hugging Face's `Wav2Vec2PositionalConvEmbedding`. B batch, T frames, D hidden size, G groups, K kernel.

use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Activation, Weight};

/// The convolution.
#[derive(Debug)]
pub struct PositionalConvolution {
    length: Weight,    // [1, 1, K]
    direction: Weight, // [D, D / G, K]
    bias: Weight,
    groups: i64,
    activation: Activation,
}

impl PositionalConvolution {
    /// `weights` points at `….pos_conv_embed.conv`.
    pub fn load(
        weights: &Weights<'_>,
        hidden: i64,
        (kernel, groups): (i64, i64),
        activation: Activation,
    ) -> Result<Self, ModelError> {
        let at = weights.at("parametrizations.weight");
        let (spread, inside) = (2.0 / ((kernel * hidden) as f64).sqrt(), hidden / groups);
        // A new weight is as long as its direction.
        let length = Init::Constant(spread * ((hidden * inside) as f64).sqrt());
        Ok(Self {
            length: at.exact("original0", &[1, 1, kernel], length)?,
            direction: at.exact("original1", &[hidden, inside, kernel], Init::Normal(spread))?,
            bias: weights.compute("bias", &[hidden], Init::Constant(0.0))?,
            groups,
            activation,
        })
    }

    /// `x` [B, T, D]; returns what is to be added to it.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let kernel = self.direction.size()[2];
        let norm = self.direction.square().sum_dim_intlist([0i64, 1].as_slice(), true, Kind::Float).sqrt();
        let weight = (&*self.direction * (&*self.length / norm)).to_kind(x.kind());
        let bias = self.bias.to_kind(x.kind());
        let y = x.transpose(1, 2).conv1d(&weight, Some(bias), [1], [kernel / 2], [1], self.groups);
        // An even kernel makes one frame too many.
        self.activation.forward(&y.narrow(2, 0, x.size()[1])).transpose(1, 2)
    }
}
