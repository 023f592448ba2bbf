//! Image classification: pooling of the last hidden state, then one linear classifier (or two that are averaged).
//!
//! B batch, T tokens, D hidden size, L labels.

use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, LayerNorm};

/// What of the hidden states [B, T, D] a classifier reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The i-th token by the i-th classifier (ViT: class token; DeiT with a teacher: distillation token too).
    Tokens,
    /// The mean of all tokens but the first (BEiT).
    MeanOfPatches,
    /// The first token beside the mean of the others (DINOv2).
    FirstAndMeanOfPatches,
    /// The mean of all tokens (Swin, ConvNeXt).
    Mean,
}

/// The head.
#[derive(Debug)]
pub struct ImageClassificationHead {
    pooling: Pooling,
    norm: Option<LayerNorm>,
    classifiers: Vec<Dense>,
}

impl ImageClassificationHead {
    /// `weights` points at the top; `norm` comes between pooling and classifier.
    pub fn load(
        weights: &Weights<'_>,
        classifiers: &[&str],
        pooling: Pooling,
        norm: Option<LayerNorm>,
        hidden: i64,
        labels: i64,
    ) -> Result<Self, ModelError> {
        let width = if pooling == Pooling::FirstAndMeanOfPatches { 2 * hidden } else { hidden };
        let classifiers = classifiers.iter().map(|name| weights.at(name).outputs(width, labels));
        Ok(Self { pooling, norm, classifiers: classifiers.collect::<Result<_, _>>()? })
    }

    /// `hidden` [B, T, D]; returns fp32 logits [B, L].
    pub fn forward(&self, hidden: &Tensor, train: bool) -> Tensor {
        let logits = self.classifiers.iter().enumerate().map(|(i, classifier)| {
            let pooled = self.pool(hidden, i as i64);
            let pooled = self.norm.as_ref().map_or_else(|| pooled.shallow_clone(), |norm| norm.forward(&pooled));
            classifier.forward(&pooled, train).to_kind(Kind::Float)
        });
        let logits: Vec<Tensor> = logits.collect();
        match &logits[..] {
            [one] => one.shallow_clone(),
            several => Tensor::stack(several, 0).mean_dim([0i64].as_slice(), false, Kind::Float),
        }
    }

    /// How many of the first tokens the classifiers read; `None`: all.
    pub fn first_tokens(&self) -> Option<i64> {
        (self.pooling == Pooling::Tokens).then_some(self.classifiers.len() as i64)
    }

    /// How much of each of T tokens the classifiers read, \[T\]; the sum is 1.
    pub fn reads(&self, tokens: i64) -> Tensor {
        let (count, patches) = (self.classifiers.len() as i64, (tokens - 1) as f32);
        let of = |token: i64| match self.pooling {
            Pooling::Tokens if token < count => 1.0 / count as f32,
            Pooling::Tokens => 0.0,
            Pooling::MeanOfPatches if token == 0 => 0.0,
            Pooling::MeanOfPatches => 1.0 / patches,
            Pooling::FirstAndMeanOfPatches if token == 0 => 0.5,
            Pooling::FirstAndMeanOfPatches => 0.5 / patches,
            Pooling::Mean => 1.0 / tokens as f32,
        };
        Tensor::from_slice(&(0..tokens).map(of).collect::<Vec<f32>>())
    }

    fn pool(&self, hidden: &Tensor, classifier: i64) -> Tensor {
        let mean = |x: Tensor| x.mean_dim([1i64].as_slice(), false, None);
        let patches = || hidden.narrow(1, 1, hidden.size()[1] - 1);
        match self.pooling {
            Pooling::Tokens => hidden.select(1, classifier),
            Pooling::MeanOfPatches => mean(patches()),
            Pooling::FirstAndMeanOfPatches => Tensor::cat(&[hidden.select(1, 0), mean(patches())], 1),
            Pooling::Mean => mean(hidden.shallow_clone()),
        }
    }
}
