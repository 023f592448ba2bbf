//! Masked autoencoders (He et al. 2021), transformers `ViTMAEForPreTraining`.
//!
//! B batch, N patches, K kept patches, P·Q·C values of a patch, D hidden size, E decoder size.

use super::image_encoder::{ImageEncoderSizes, VIT_LAYER};
use super::vit;
use crate::checkpoint::{Init, Weights};
use crate::heads::{Masking, kept_patches};
use crate::layers::{LayerSizes, PatchProjection, PreNormLayer, SizeRule, patch_embeddings, sincos_positions};
use crate::registry::Family;
use crate::{Mode, Model, ModelConfig, ModelError, Tensors};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Dense, LayerNorm, Weight};

/// A ViT over the patches that are kept, and a small decoder that predicts the pixels of the others.
///
/// Takes `pixel_values` [B, C, H, W] of the configured size and `noise` [B, N]: the patches with the lowest noise are
/// kept. Logits are [B, N, P·Q·C]; the output `mask` [B, N] is 1 where a patch was removed.
pub struct ViTMaeForPreTraining;

impl Family for ViTMaeForPreTraining {
    fn base_prefix(&self) -> String {
        "vit.".to_owned()
    }

    fn head_prefixes(&self) -> Vec<String> {
        vec!["decoder.".to_owned()]
    }

    fn architecture(&self) -> String {
        "ViTMAEForPreTraining".to_owned()
    }

    fn spellings(&self) -> &'static [(&'static str, &'static str)] {
        // transformers 5.24 writes the latter; the published checkpoints have the former.
        &[("decoder.decoder_layers.", "decoder.decoder_encoder.layer.")]
    }

    fn build(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Model>, ModelError> {
        let init = Init::Normal(weights.initializer_range());
        let sizes = vit::sizes(config, &["cls_token"], init)?;
        let decoder_sizes = LayerSizes {
            hidden: config.size("decoder_hidden_size")?,
            heads: config.size("decoder_num_attention_heads")?,
            intermediate: config.size("decoder_intermediate_size")?,
            ..sizes.layer
        };
        let (d, e) = (sizes.layer.hidden, decoder_sizes.hidden);
        for (field, size) in [("hidden_size", d), ("decoder_hidden_size", e)] {
            if size % 4 != 0 {
                let problem = format!("is {size}, not a multiple of 4 as sine-cosine positions need");
                return Err(ModelError::Config { field: field.to_owned(), problem });
            }
        }
        let depth = sizes.drop_path.len();
        let (base, embeddings, decoder) =
            (weights.at("vit"), weights.at("vit.embeddings"), weights.at("decoder").depth(depth + 1));
        let (grid, patch) = (sizes.embeddings.grid(), sizes.embeddings.patch);
        let values = sizes.embeddings.channels * patch.0 * patch.1;
        let fixed =
            |weights: &Weights<'_>, name, size| weights.fixed(name, sincos_positions(grid, size, weights.device()));
        let layer = |weights: Weights<'_>, sizes_of: &LayerSizes| {
            PreNormLayer::load(&weights, &VIT_LAYER, sizes_of, &sizes.options, 0.0)
        };
        let encoder = |i: usize| layer(base.at(&format!("encoder.layer.{i}")).depth(i + 1), &sizes.layer);
        let decoder_layer = |i: i64| layer(decoder.at(&format!("decoder_layers.{i}")), &decoder_sizes);
        let epsilon = sizes.layer.norm_epsilon;
        // As a dense layer (Glorot & Bengio 2010), not as a convolution.
        let xavier = Init::Uniform((6.0 / (values + d) as f64).sqrt());
        Ok(Box::new(ViTMae {
            projection: PatchProjection::load(
                &embeddings.at("patch_embeddings.projection"),
                sizes.embeddings.channels,
                patch,
                d,
                xavier,
            )?,
            class_token: embeddings.exact("cls_token", &[1, 1, d], init)?,
            positions: fixed(&embeddings, "position_embeddings", d)?,
            layers: (0..depth).map(encoder).collect::<Result<_, _>>()?,
            norm: base.at("layernorm").depth(depth).layer_norm(d, epsilon)?,
            decoder: Decoder {
                embed: decoder.at("decoder_embed").dense(d, e)?,
                mask_token: decoder.exact("mask_token", &[1, 1, e], init)?,
                positions: fixed(&decoder, "decoder_pos_embed", e)?,
                layers: (0..config.size("decoder_num_hidden_layers")?).map(decoder_layer).collect::<Result<_, _>>()?,
                norm: decoder.at("decoder_norm").layer_norm(e, epsilon)?,
                predict: decoder.at("decoder_pred").dense(e, values)?,
                sizes: decoder_sizes,
            },
            kept: kept_patches(config, grid.0 * grid.1)?,
            kind: weights.compute_kind(),
            sizes,
        }))
    }
}

struct ViTMae {
    projection: PatchProjection,
    class_token: Weight, // [1, 1, D]
    positions: Weight,   // [1, 1 + N, D], never trained
    layers: Vec<PreNormLayer>,
    norm: LayerNorm,
    decoder: Decoder,
    kept: i64,
    kind: Kind,
    sizes: ImageEncoderSizes,
}

struct Decoder {
    embed: Dense,
    mask_token: Weight, // [1, 1, E]
    positions: Weight,  // [1, 1 + N, E], never trained
    layers: Vec<PreNormLayer>,
    norm: LayerNorm,
    predict: Dense,
    sizes: LayerSizes,
}

/// Tokens of `x` [B, S, D] at `places` [B, K]; returns [B, K, D].
fn pick(x: &Tensor, places: &Tensor) -> Tensor {
    x.gather(1, &places.unsqueeze(-1).expand([-1, -1, x.size()[2]], false), false)
}

impl ViTMae {
    fn inputs<'a>(&self, inputs: &'a Tensors) -> Result<(&'a Tensor, &'a Tensor), ModelError> {
        let sizes = &self.sizes.embeddings;
        let pixels = patch_embeddings::pixel_values(inputs, sizes.channels, &SizeRule::multiples(sizes.patch))?;
        let size = pixels.size();
        if (size[2], size[3]) != sizes.image {
            let (height, width) = sizes.image;
            let problem = format!("this masked autoencoder takes {height}×{width} pixels; resize the images");
            return Err(ModelError::InputShape { name: "pixel_values".to_owned(), shape: size, problem });
        }
        let noise = inputs.get("noise")?;
        let (h, w) = sizes.grid();
        if noise.size() != [size[0], h * w] {
            let problem = format!("give one number for each patch, [{}, {}]", size[0], h * w);
            return Err(ModelError::InputShape { name: "noise".to_owned(), shape: noise.size(), problem });
        }
        Ok((pixels, noise))
    }

    /// Returns [B, 1 + K, D].
    fn embed(&self, pixels: &Tensor, masking: &Masking) -> Tensor {
        let patches = self.projection.forward(pixels).flatten(1, 2).to_kind(Kind::Float);
        let positions = self.positions.narrow(1, 1, patches.size()[1]);
        let kept = pick(&(patches + positions), &masking.kept);
        let class = (&*self.class_token + self.positions.narrow(1, 0, 1)).expand([kept.size()[0], 1, -1], false);
        Tensor::cat(&[class, kept], 1).to_kind(self.kind)
    }
}

impl Decoder {
    /// `encoded` [B, 1 + K, D]; returns [B, N, P·Q·C].
    fn forward(&self, encoded: &Tensor, masking: &Masking, grid: (i64, i64), train: bool) -> Tensor {
        let embedded = self.embed.forward(encoded, train).to_kind(Kind::Float);
        let [batch, known, size] = embedded.size()[..] else { panic!("hidden states have three dimensions") };
        let patches = masking.restore.size()[1];
        let masked = self.mask_token.expand([batch, patches + 1 - known, size], false);
        let shuffled = Tensor::cat(&[embedded.narrow(1, 1, known - 1), masked], 1);
        let all = Tensor::cat(&[embedded.narrow(1, 0, 1), pick(&shuffled, &masking.restore)], 1);
        let mut x = (all + &*self.positions).to_kind(encoded.kind());
        for layer in &self.layers {
            x = layer.forward(&x, grid, None, train);
        }
        let predicted = self.predict.forward(&self.norm.forward(&x), train);
        predicted.narrow(1, 1, patches).to_kind(Kind::Float)
    }
}

impl Model for ViTMae {
    fn forward(&self, inputs: &Tensors, mode: &Mode) -> Result<Tensors, ModelError> {
        let (pixels, noise) = self.inputs(inputs)?;
        let masking = Masking::new(noise, self.kept);
        let grid = self.sizes.embeddings.grid();
        let mut x = mode.block(0, |_| self.embed(pixels, &masking));
        for (i, layer) in self.layers.iter().enumerate() {
            x = mode.block(i + 1, |train| {
                let y = layer.forward(&x, grid, None, train);
                if i + 1 == self.layers.len() { self.norm.forward(&y) } else { y }
            });
        }
        let logits = mode.block(self.blocks() + 1, |train| self.decoder.forward(&x, &masking, grid, train));
        let mut outputs = Tensors::from([("logits", logits), ("mask", masking.mask)]);
        if mode.hidden_states {
            outputs.insert("last_hidden_state", x);
        }
        Ok(outputs)
    }

    fn blocks(&self) -> usize {
        self.layers.len()
    }

    fn forward_flops(&self, length: usize) -> f64 {
        let (patches, kept) = (length as f64, self.kept as f64);
        let decoder = &self.decoder;
        let values =
            (self.sizes.embeddings.channels * self.sizes.embeddings.patch.0 * self.sizes.embeddings.patch.1) as f64;
        let (d, e) = (self.sizes.layer.hidden as f64, decoder.sizes.hidden as f64);
        2.0 * (patches * values * (d + e) + kept * d * e)
            + self.layers.len() as f64 * self.sizes.layer.forward_flops(kept + 1.0, kept + 1.0)
            + decoder.layers.len() as f64 * decoder.sizes.forward_flops(patches + 1.0, patches + 1.0)
    }

    fn max_length(&self) -> Option<usize> {
        None
    }

    fn vocabulary_size(&self) -> Option<usize> {
        None
    }
}
