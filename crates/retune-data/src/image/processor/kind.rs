//! The processor classes and the values they have where a configuration is silent.

use super::Resample;

/// A processor class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Vit,
    Deit,
    Beit,
    Bit,
    Clip,
    ConvNext,
    Segformer,
    Yolos,
    Detr,
    ConditionalDetr,
    DeformableDetr,
    RtDetr,
    MobileVit,
}

/// What transformers' class has as attributes.
pub(super) struct Defaults {
    /// A single number as `size`: a square (true), or the shorter side.
    pub(super) square: bool,
    pub(super) size: u64,
    /// `crop_size`, where the class has one.
    pub(super) crop: Option<u64>,
    /// `do_center_crop`.
    pub(super) crops: bool,
    pub(super) resample: Resample,
    pub(super) mean: [f64; 3],
    pub(super) std: [f64; 3],
    /// The longest side where a number, or nothing, is said of the shorter one.
    pub(super) longest: Option<u64>,
    /// `do_normalize`.
    pub(super) normalizes: bool,
    /// Whether images of a batch are filled up to one size: `do_pad`.
    pub(super) pads: bool,
}

const HALF: [f64; 3] = [0.5; 3];
const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];
const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

impl Kind {
    const ALL: [(Self, &'static str); 13] = [
        (Self::Vit, "ViT"),
        (Self::Deit, "DeiT"),
        (Self::Beit, "Beit"),
        (Self::Bit, "Bit"),
        (Self::Clip, "CLIP"),
        (Self::ConvNext, "ConvNext"),
        (Self::Segformer, "Segformer"),
        (Self::Yolos, "Yolos"),
        (Self::Detr, "Detr"),
        (Self::ConditionalDetr, "ConditionalDetr"),
        (Self::DeformableDetr, "DeformableDetr"),
        (Self::RtDetr, "RTDetr"),
        (Self::MobileVit, "MobileViT"),
    ];

    /// By `image_processor_type` or `feature_extractor_type`, with or without `Fast`.
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        let stem = name.strip_suffix("Fast").unwrap_or(name);
        let stem = stem.strip_suffix("ImageProcessor").or_else(|| stem.strip_suffix("FeatureExtractor"));
        let found = Self::ALL.iter().find(|(_, known)| stem == Some(*known));
        found.map(|&(kind, _)| kind).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|(_, name)| *name).collect();
            format!(
                "the image processor `{name}` is not supported; supported are {}, each followed by ImageProcessor",
                known.join(", ")
            )
        })
    }

    /// What both sides of an image that keeps its shape are multiples of.
    pub(super) fn multiple(self) -> usize {
        if self == Self::Yolos { 16 } else { 1 }
    }

    /// The name of the class.
    pub(super) fn name(self) -> String {
        let stem = Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("ViT", |(_, name)| *name);
        format!("{stem}ImageProcessor")
    }

    pub(super) fn defaults(self) -> Defaults {
        let of = |square, size, crop: Option<u64>, resample| Defaults {
            square,
            size,
            crop,
            crops: crop.is_some(),
            resample,
            mean: HALF,
            std: HALF,
            longest: None,
            normalizes: true,
            pads: false,
        };
        match self {
            Self::Vit => of(true, 224, None, Resample::Bilinear),
            Self::Deit => of(true, 256, Some(224), Resample::Bicubic),
            Self::Beit => Defaults { crops: false, ..of(true, 224, Some(224), Resample::Bicubic) },
            Self::Segformer => {
                Defaults { mean: IMAGENET_MEAN, std: IMAGENET_STD, ..of(true, 512, None, Resample::Bilinear) }
            }
            Self::Yolos | Self::Detr | Self::ConditionalDetr | Self::DeformableDetr => Defaults {
                mean: IMAGENET_MEAN,
                std: IMAGENET_STD,
                longest: Some(1333),
                pads: true,
                ..of(false, 800, None, Resample::Bilinear)
            },
            Self::RtDetr => Defaults {
                mean: IMAGENET_MEAN,
                std: IMAGENET_STD,
                normalizes: false,
                ..of(false, 640, None, Resample::Bilinear)
            },
            Self::MobileVit => Defaults { normalizes: false, ..of(false, 224, Some(256), Resample::Bicubic) },
            Self::ConvNext => of(false, 384, None, Resample::Bicubic),
            Self::Bit | Self::Clip => {
                Defaults { mean: CLIP_MEAN, std: CLIP_STD, ..of(false, 224, Some(224), Resample::Bicubic) }
            }
        }
    }
}
