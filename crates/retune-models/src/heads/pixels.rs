//! The decoder of masked autoencoders: predicts the pixels of removed patches (He et al. 2021).
//!
//! Hugging Face's `ViTMAEDecoder`. B batch, N patches, K kept patches, P·Q·C values of a patch, D hidden size, E decoder size.

use crate::bodies::{GRID, ImageEncoderSizes, MASK, RESTORE, grid_of};
use crate::checkpoint::{Init, Weights};
use crate::layers::masking::pick;
use crate::layers::{LayerNames, LayerSizes, PreNormLayer, sincos_positions};
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Purpose, Reads, State, Tensors};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, LayerNorm, Weight};

/// The pixels of removed patches.
pub static MASKED_IMAGE_MODELING: Purpose = Purpose {
    key: "masked-image-modeling",
    class_ending: "ForMaskedImageModeling",
    peft: None,
    fresh: true,
    labels: false,
};

/// The head as data.
#[derive(Debug, Clone, Copy)]
pub struct PixelPlan {
    /// How the tensors of a layer are called.
    pub layer: LayerNames,
    /// Reads the sizes of the encoder.
    pub sizes: fn(&ModelConfig) -> Result<ImageEncoderSizes, ModelError>,
}

impl HeadPlan for PixelPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let encoder = (self.sizes)(config)?;
        let sizes = LayerSizes {
            hidden: config.size("decoder_hidden_size")?,
            heads: config.size("decoder_num_attention_heads")?,
            intermediate: config.size("decoder_intermediate_size")?,
            ..encoder.layer
        };
        let (d, e, epsilon) = (body.width(), sizes.hidden, sizes.norm_epsilon);
        if e % 4 != 0 {
            let problem = format!("is {e}, not a multiple of 4 as sine-cosine positions need");
            return Err(ModelError::Config { field: "decoder_hidden_size".to_owned(), problem });
        }
        let embeddings = &encoder.embeddings;
        let (grid, values) = (embeddings.grid(), embeddings.channels * embeddings.patch.0 * embeddings.patch.1);
        let decoder = weights.head().at("decoder");
        let layer = |i: i64| {
            let weights = decoder.at(&format!("decoder_layers.{i}"));
            PreNormLayer::load(&weights, &self.layer, &sizes, &encoder.options, 0.0)
        };
        Ok(Box::new(Decoder {
            embed: decoder.at("decoder_embed").dense(d, e)?,
            mask_token: decoder.exact("mask_token", &[1, 1, e], Init::Normal(weights.initializer_range()))?,
            positions: decoder.fixed("decoder_pos_embed", sincos_positions(grid, e, weights.device()))?,
            layers: (0..config.size("decoder_num_hidden_layers")?).map(layer).collect::<Result<_, _>>()?,
            norm: decoder.at("decoder_norm").layer_norm(e, epsilon)?,
            predict: decoder.at("decoder_pred").dense(e, values)?,
            kept: encoder.kept,
            widths: (d, values),
            sizes,
        }))
    }
}

#[derive(Debug)]
struct Decoder {
    embed: Dense,
    mask_token: Weight, // [1, 1, E]
    positions: Weight,  // [1, 1 + N, E], never trained
    layers: Vec<PreNormLayer>,
    norm: LayerNorm,
    predict: Dense,
    /// K.
    kept: Option<i64>,
    /// D and P·Q·C.
    widths: (i64, i64),
    sizes: LayerSizes,
}

impl Head for Decoder {
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// `logits` [B, N, P·Q·C] of hidden states [B, 1 + K, D], and `mask` [B, N], 1 where a patch was removed.
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let (restore, mask) = (state.beside.get(RESTORE)?, state.beside.get(MASK)?);
        let grid = grid_of(state.beside.get(GRID)?);
        let embedded = self.embed.forward(&state.hidden, train).to_kind(Kind::Float);
        let [batch, known, size] = embedded.size()[..] else { panic!("hidden states have three dimensions") };
        let patches = restore.size()[1];
        let masked = self.mask_token.expand([batch, patches + 1 - known, size], false);
        let shuffled = Tensor::cat(&[embedded.narrow(1, 1, known - 1), masked], 1);
        let all = Tensor::cat(&[embedded.narrow(1, 0, 1), pick(&shuffled, restore)], 1);
        let mut x = (all + &*self.positions).to_kind(state.hidden.kind());
        for layer in &self.layers {
            x = layer.forward(&x, grid, None, train);
        }
        let predicted = self.predict.forward(&self.norm.forward(&x), train);
        let logits = predicted.narrow(1, 1, patches).to_kind(Kind::Float);
        Ok(Tensors::from([("logits", logits), ("mask", mask.shallow_clone())]))
    }

    fn work(&self, patches: f64) -> f64 {
        let (d, values, e) = (self.widths.0 as f64, self.widths.1 as f64, self.sizes.hidden as f64);
        let embed = 2.0 * self.kept.map_or(patches, |kept| kept as f64) * d * e;
        let predict = 2.0 * patches * values * e;
        embed + predict + self.layers.len() as f64 * self.sizes.work(patches + 1.0, patches + 1.0)
    }
}
