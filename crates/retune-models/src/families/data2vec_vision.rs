//! Data2Vec-Vision (Baevski et al. 2022), transformers `Data2VecVisionModel`: BEiT under other names.

use super::{beit, vit};
use crate::family::{ImageFamily, TensorNames};
use crate::heads::{ImagePlan, SEMANTIC_SEGMENTATION, UpernetNames, UpernetPlan};
use crate::takes::Positions;

/// The classifier reads what BEiT's reads.
pub static DATA2VEC_VISION: ImageFamily = ImageFamily {
    model_type: "data2vec-vision",
    class: "Data2VecVision",
    class_suffix: |_| "",
    names: TensorNames { buffers: &["relative_position_index"], modules: &[], ..vit::names("data2vec_vision") },
    layer: vit::LAYER,
    classifier: ImagePlan(|config| beit::reading(config, "data2vec_vision.pooler.layernorm")),
    others: || {
        let plan = UpernetPlan { sizes: |config| beit::decoder(config, DECODER), settle: beit::choose_maps };
        vec![(&SEMANTIC_SEGMENTATION, Box::new(plan))]
    },
    positions: Positions::Interpolated,
    sizes: beit::sizes,
    fresh: None,
};

/// Names inside the decoder.
const DECODER: UpernetNames = UpernetNames {
    parts: ("convolution", "normalization"),
    pooled: ("psp_modules.blocks.", ".conv"),
    bottleneck: "psp_bottleneck",
};
