//! Image classification: pooling of the last hidden state, then one linear classifier (or two that are averaged).
//!
//! Hugging Face's `…ForImageClassification`. B batch, T tokens, D hidden size, L labels; h and w feature map.

use crate::checkpoint::Weights;
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, LayerNorm};

/// One class, several, or numbers for each image.
pub static IMAGE_CLASSIFICATION: Purpose = Purpose {
    key: "image-classification",
    class_ending: "ForImageClassification",
    peft: None,
    fresh: true,
    labels: true,
};

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

/// A norm between pooling and classifier, which Hugging Face counts to the base model.
#[derive(Debug, Clone, Copy)]
pub struct PooledNorm {
    /// Full path.
    pub path: &'static str,
    /// Added to variances.
    pub epsilon: f64,
    /// Whether base checkpoints may lack it.
    pub may_be_missing: bool,
}

/// How the head reads, by config.json.
#[derive(Debug, Clone, Copy)]
pub struct ImageReading {
    /// What is read.
    pub pooling: Pooling,
    /// The norm behind it.
    pub norm: Option<PooledNorm>,
    /// Full paths of the classifiers.
    pub classifiers: &'static [&'static str],
    /// Before them.
    pub dropout: f64,
    /// Tokens between the first one and the patches, which no mean of patches counts.
    pub registers: i64,
}

impl ImageReading {
    /// Without a norm, by one classifier of the usual name.
    pub fn new(pooling: Pooling) -> Self {
        Self { pooling, norm: None, classifiers: &["classifier"], dropout: 0.0, registers: 0 }
    }

    /// With classifiers of these names.
    pub fn named(self, classifiers: &'static [&'static str]) -> Self {
        Self { classifiers, ..self }
    }
}

/// The head as data.
#[derive(Debug, Clone, Copy)]
pub struct ImagePlan(pub fn(&ModelConfig) -> Result<ImageReading, ModelError>);

impl HeadPlan for ImagePlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let ImageReading { pooling, norm, classifiers, dropout, registers } = (self.0)(config)?;
        let (hidden, head) = (body.width(), weights.head());
        let norm = norm.map(|PooledNorm { path, epsilon, may_be_missing }| {
            let weights = if may_be_missing { weights.neck() } else { weights.at("") };
            weights.at(path).layer_norm(hidden, epsilon)
        });
        let width = if pooling == Pooling::FirstAndMeanOfPatches { 2 * hidden } else { hidden };
        let classifiers = classifiers.iter().map(|name| head.at(name).outputs(width, config.label_count()));
        Ok(Box::new(ImageHead {
            pooling,
            norm: norm.transpose()?,
            classifiers: classifiers.collect::<Result<_, _>>()?,
            dropout,
            registers,
        }))
    }
}

#[derive(Debug)]
struct ImageHead {
    pooling: Pooling,
    norm: Option<LayerNorm>,
    classifiers: Vec<Dense>,
    dropout: f64,
    registers: i64,
}

impl ImageHead {
    /// Of `hidden` [B, T, D] what a classifier reads, [B, D] or [B, 2D].
    fn pool(&self, hidden: &Tensor, classifier: i64) -> Tensor {
        let mean = |x: Tensor| x.mean_dim([1i64].as_slice(), false, None);
        let front = 1 + self.registers;
        let patches = || hidden.narrow(1, front, hidden.size()[1] - front);
        match self.pooling {
            Pooling::Tokens => hidden.select(1, classifier),
            Pooling::MeanOfPatches => mean(patches()),
            Pooling::FirstAndMeanOfPatches => Tensor::cat(&[hidden.select(1, 0), mean(patches())], 1),
            Pooling::Mean => mean(hidden.shallow_clone()),
        }
    }
}

impl Head for ImageHead {
    fn reads(&self) -> Reads {
        match self.pooling {
            Pooling::Tokens => Reads::First(self.classifiers.len() as i64),
            _ => Reads::All,
        }
    }

    /// `logits` [B, L] of hidden states [B, T, D] or a feature map [B, h, w, D].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let x = &state.hidden;
        let hidden = if x.dim() == 4 { x.flatten(1, 2) } else { x.shallow_clone() };
        let logits = self.classifiers.iter().zip(0..).map(|(classifier, i)| {
            let pooled = self.pool(&hidden, i);
            let pooled = self.norm.as_ref().map_or_else(|| pooled.shallow_clone(), |norm| norm.forward(&pooled));
            classifier.forward(&dropout(&pooled, self.dropout, train), train).to_kind(Kind::Float)
        });
        let logits: Vec<Tensor> = logits.collect();
        let logits = match &logits[..] {
            [one] => one.shallow_clone(),
            several => Tensor::stack(several, 0).mean_dim([0i64].as_slice(), false, Kind::Float),
        };
        Ok(Tensors::from([("logits", logits)]))
    }

    fn shares(&self, tokens: i64) -> Tensor {
        let first = match self.pooling {
            Pooling::MeanOfPatches => 0.0,
            Pooling::FirstAndMeanOfPatches => 0.5,
            Pooling::Tokens | Pooling::Mean => return crate::head::even_shares(self.reads(), tokens),
        };
        let front = 1 + self.registers;
        let mut shares = vec![(1.0 - first) / (tokens - front) as f32; tokens as usize];
        shares[..front as usize].fill(0.0);
        shares[0] = first;
        Tensor::from_slice(&shares)
    }
}
