//! Audio classification: the mean of projected frames, or the first tokens of a spectrogram, then a linear classifier.
//!
//! Hugging Face's `Wav2Vec2ForSequenceClassification` and its relatives, `WhisperForAudioClassification`, and `ASTForAudioClassification`; KWT's. B batch, T frames or tokens,
//! D hidden size, E size of the projection, L labels.

use crate::bodies::layer_name;
use crate::checkpoint::{Init, Weights};
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, LayerNorm, Weight};

/// One class, several, or numbers for each sound.
pub static AUDIO_CLASSIFICATION: Purpose = Purpose {
    key: "audio-classification",
    class_ending: "ForAudioClassification",
    peft: None,
    fresh: true,
    labels: true,
};

/// The head over frames as data.
#[derive(Debug, Clone, Copy)]
pub struct FramesPlan {
    /// The field that counts the layers of the encoder.
    pub layers: &'static str,
}

impl FramesPlan {
    /// As most families have it.
    pub const USUAL: Self = Self { layers: "num_hidden_layers" };
}

impl HeadPlan for FramesPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        if config.flag_or("add_adapter", false)? {
            let problem = "is true; transformers' classifiers of sounds have no layers behind the encoder".to_owned();
            return Err(ModelError::of_field("add_adapter", problem));
        }
        let (head, size) = (weights.head(), config.size_or("classifier_proj_size", 256)?);
        // What the layers return, and before them their input.
        let count = config.size(self.layers)? + 1;
        let layers = || head.exact("layer_weights", &[count], Init::Constant(1.0 / count as f64));
        Ok(Box::new(FramesHead {
            layers: config.flag_or("use_weighted_layer_sum", false)?.then(layers).transpose()?,
            projector: head.at("projector").dense(body.width(), size)?,
            classifier: head.at("classifier").outputs(size, config.label_count())?,
        }))
    }
}

#[derive(Debug)]
struct FramesHead {
    /// What each layer weighs.
    layers: Option<Weight>,
    projector: Dense,
    classifier: Dense,
}

impl FramesHead {
    /// [B, T, D].
    fn hidden(&self, state: &State) -> Result<Tensor, ModelError> {
        let Some(weights) = &self.layers else { return Ok(state.hidden.shallow_clone()) };
        let count = weights.size()[0];
        let layers = (0..count as usize).map(|layer| state.beside.get(&layer_name(layer)));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let weights = weights.softmax(-1, Kind::Float).view([-1, 1, 1, 1]);
        Ok((Tensor::stack(&layers, 0) * weights).sum_dim_intlist([0i64].as_slice(), false, Kind::Float))
    }
}

impl Head for FramesHead {
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// `logits` [B, L] of the mean over the frames that are no padding.
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let projected = self.projector.forward(&self.hidden(state)?, train).to_kind(Kind::Float);
        let frames = [1i64].as_slice();
        let pooled = match &state.mask {
            None => projected.mean_dim(frames, false, None),
            Some(mask) => {
                let mask = mask.to_device(projected.device()).to_kind(Kind::Float).unsqueeze(2);
                let sum = (projected * &mask).sum_dim_intlist(frames, false, Kind::Float);
                sum / mask.sum_dim_intlist(frames, false, Kind::Float)
            }
        };
        let logits = self.classifier.forward(&pooled, train).to_kind(Kind::Float);
        Ok(Tensors::from([("logits", logits)]))
    }
}

/// The head over a spectrogram's class and distillation tokens as data.
#[derive(Debug, Clone, Copy)]
pub struct SpectrogramPlan;

impl HeadPlan for SpectrogramPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let head = weights.head().at("classifier");
        Ok(Box::new(SpectrogramHead {
            norm: head.at("layernorm").layer_norm(body.width(), config.number_or("layer_norm_eps", 1e-12)?)?,
            classifier: head.at("dense").outputs(body.width(), config.label_count())?,
        }))
    }
}

#[derive(Debug)]
struct SpectrogramHead {
    norm: LayerNorm,
    classifier: Dense,
}

impl Head for SpectrogramHead {
    fn reads(&self) -> Reads {
        Reads::First(2)
    }

    /// `logits` [B, L].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let pooled = state.hidden.narrow(1, 0, 2).mean_dim([1i64].as_slice(), false, None);
        let logits = self.classifier.forward(&self.norm.forward(&pooled), train).to_kind(Kind::Float);
        Ok(Tensors::from([("logits", logits)]))
    }
}

/// The head over the first token alone as data.
#[derive(Debug, Clone, Copy)]
pub struct ClassTokenPlan {
    /// The classifier's name.
    pub name: &'static str,
}

impl HeadPlan for ClassTokenPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        Ok(Box::new(ClassTokenHead(weights.head().at(self.name).outputs(body.width(), config.label_count())?)))
    }
}

#[derive(Debug)]
struct ClassTokenHead(Dense);

impl Head for ClassTokenHead {
    fn reads(&self) -> Reads {
        Reads::First(1)
    }

    /// `logits` [B, L].
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let logits = self.0.forward(&state.hidden.select(1, 0), train).to_kind(Kind::Float);
        Ok(Tensors::from([("logits", logits)]))
    }
}
