//! Masked autoencoders (He et al. 2021), transformers `ViTMAEForPreTraining`.
//!
//! P·Q·C values of a patch, D hidden size.

use super::vit;
use crate::bodies::{ImageEncoder, ImageEncoderSizes};
use crate::checkpoint::{Init, Weights};
use crate::family::{Becomes, Family, Fresh, FreshSize, TensorNames, with};
use crate::heads::{IMAGE_CLASSIFICATION, MASKED_IMAGE_MODELING, PixelPlan};
use crate::layers::{PositionTable, masking::kept_patches};
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::{Value, json};

/// A ViT over the patches that are kept, and a small decoder that predicts the pixels of the others. For any other purpose
/// its encoder is a plain ViT.
pub static VIT_MAE: VitMae = VitMae(TensorNames {
    // transformers 5.24 writes the latter; the published checkpoints have the former.
    spellings: &[("decoder.decoder_layers.", "decoder.decoder_encoder.layer.")],
    ..vit::names("vit")
});

/// Its type: how its tensors are called.
pub struct VitMae(TensorNames);

impl Family for VitMae {
    fn model_type(&self) -> &'static str {
        "vit_mae"
    }

    fn class(&self) -> &'static str {
        "ViTMAE"
    }

    fn architecture(&self, _config: &ModelConfig, _purpose: &Purpose) -> String {
        "ViTMAEForPreTraining".to_owned()
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&MASKED_IMAGE_MODELING, Box::new(PixelPlan { layer: vit::LAYER, sizes }))]
    }

    fn names(&self) -> &TensorNames {
        &self.0
    }

    fn fresh(&self) -> Option<Fresh> {
        Some(Fresh::without_texts(fresh))
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        Ok(Takes::Images(ImageInput::new(config, Positions::InterpolatedOnRequest)?))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        Ok(Box::new(ImageEncoder::load(weights, self.0.base, &vit::LAYER, sizes(config)?)?))
    }

    fn becomes(&self, purpose: Option<&Purpose>) -> Option<Becomes> {
        let change = |config: &mut ModelConfig| DECODER_FIELDS.iter().for_each(|field| config.remove(field));
        let vit = purpose.is_none_or(|purpose| *purpose == IMAGE_CLASSIFICATION);
        vit.then_some(Becomes { family: &vit::VIT, change })
    }
}

/// Fields of its decoder, which a ViT does not have.
pub(super) const DECODER_FIELDS: &[&str] = &[
    "decoder_hidden_size",
    "decoder_intermediate_size",
    "decoder_num_attention_heads",
    "decoder_num_hidden_layers",
    "mask_ratio",
    "norm_pix_loss",
];

fn sizes(config: &ModelConfig) -> Result<ImageEncoderSizes, ModelError> {
    let mut sizes = vit::sizes(config, &["cls_token"], Init::Normal(config.number_or("initializer_range", 0.02)?))?;
    let (d, patch) = (sizes.layer.hidden, sizes.embeddings.patch);
    if d % 4 != 0 {
        let problem = format!("is {d}, not a multiple of 4 as sine-cosine positions need");
        return Err(ModelError::Config { field: "hidden_size".to_owned(), problem });
    }
    let values = sizes.embeddings.channels * patch.0 * patch.1;
    // As a dense layer (Glorot & Bengio 2010), not as a convolution.
    sizes.embeddings.projection = Init::even(values, d);
    sizes.embeddings.positions = PositionTable::Fixed;
    sizes.embeddings.dropout = 0.0;
    let grid = sizes.embeddings.grid();
    sizes.kept = Some(kept_patches(config, grid.0 * grid.1)?);
    Ok(sizes)
}

/// The decoder has half the width and fewer layers.
fn fresh(size: &FreshSize) -> Value {
    let (hidden, layers, heads) = size.of([(96, 2, 3), (96, 2, 3), (192, 4, 6), (512, 8, 16)]);
    let own = json!({"decoder_hidden_size": hidden, "decoder_num_hidden_layers": layers,
        "decoder_num_attention_heads": heads, "decoder_intermediate_size": 4 * hidden, "mask_ratio": 0.75,
        "norm_pix_loss": true});
    with(vit::fresh(size), own)
}
