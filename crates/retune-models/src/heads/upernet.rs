//! Semantic segmentation by unified perceptual parsing (Xiao et al. 2018): maps of several sizes, the last of them beside its
//! pooled means, joined from the coarsest to the finest; beside it a fully convolutional head (Long et al. 2015), which only the
//! loss reads. transformers' `UperNetHead`, `UperNetFCNHead` and their like of BEiT and Data2Vec-Vision.
//!
//! B batch, C channels of a map, E decoder size, F size of the auxiliary head, L labels; h and w map, H and W image.

use super::maps::{MapSource, Maps};
use super::segmentation::AUXILIARY_LOGITS;
use crate::bodies::image_size_of;
use crate::checkpoint::{Init, Weights};
use crate::layers::{NormedConvolution, PatchProjection};
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Reads, State, Tensors};
use retune_kernels::tch::{Kind, Tensor};

/// Of the maps, the one that the auxiliary head reads.
const AUXILIARY_MAP: usize = 2;

/// How tensors are called.
#[derive(Debug, Clone, Copy)]
pub struct UpernetNames {
    /// A convolution and its norm.
    pub parts: (&'static str, &'static str),
    /// Before and behind the number of a pooled map.
    pub pooled: (&'static str, &'static str),
    /// What joins the last map with its pooled means.
    pub bottleneck: &'static str,
}

/// The auxiliary head.
#[derive(Debug, Clone, Copy)]
pub struct AuxiliarySizes {
    /// F.
    pub channels: i64,
    /// Number of convolutions.
    pub convolutions: i64,
    /// Whether one more reads what the first read beside what the last one returned.
    pub joins: bool,
}

/// Sizes and settings, from config.json.
#[derive(Debug, Clone)]
pub struct UpernetSizes {
    /// How tensors are called.
    pub names: UpernetNames,
    /// Where the maps come from.
    pub source: MapSource,
    /// E.
    pub hidden: i64,
    /// Sides to which the last map is pooled.
    pub pooled: Vec<i64>,
    /// The auxiliary head, where there is one.
    pub auxiliary: Option<AuxiliarySizes>,
    /// Whether logits are brought to H × W.
    pub whole: bool,
}

impl UpernetSizes {
    /// Of the fields that all classes share.
    ///
    /// # Errors
    /// Fields that are missing or wrong.
    pub fn of(config: &ModelConfig, names: UpernetNames, source: MapSource, whole: bool) -> Result<Self, ModelError> {
        let auxiliary = || {
            let convolutions = config.number_or("auxiliary_num_convs", 1.0)?;
            if convolutions < 0.0 || convolutions.fract() != 0.0 {
                let problem = format!("is {convolutions}, not a number of convolutions");
                return Err(ModelError::Config { field: "auxiliary_num_convs".to_owned(), problem });
            }
            Ok(AuxiliarySizes {
                channels: config.size_or("auxiliary_channels", 256)?,
                convolutions: convolutions as i64,
                joins: config.flag_or("auxiliary_concat_input", false)?,
            })
        };
        let pooled = match config.get("pool_scales") {
            None => vec![1, 2, 3, 6],
            Some(_) => config.sizes("pool_scales")?,
        };
        let wanted = config.flag_or("use_auxiliary_head", true)?;
        let auxiliary = wanted.then(auxiliary).transpose()?;
        let sizes = Self { names, source, hidden: config.size_or("hidden_size", 512)?, pooled, auxiliary, whole };
        sizes.check()?;
        Ok(sizes)
    }

    /// Whether the auxiliary head fits its map, which Hugging Face's classes find out when they run.
    fn check(&self) -> Result<(), ModelError> {
        let Some(auxiliary) = self.auxiliary else { return Ok(()) };
        let refuse = |field: &str, problem: String| Err(ModelError::of_field(field, problem));
        let Some(&width) = self.source.widths().get(AUXILIARY_MAP) else {
            let problem = format!("is true, and the head reads the third of {} maps", self.source.widths().len());
            return refuse("use_auxiliary_head", problem);
        };
        if auxiliary.convolutions == 0 && auxiliary.channels != width {
            let problem =
                format!("is 0, but the map has {width} channels and `auxiliary_channels` is {}", auxiliary.channels);
            return refuse("auxiliary_num_convs", problem);
        }
        Ok(())
    }
}

/// The head as data.
#[derive(Debug, Clone, Copy)]
pub struct UpernetPlan {
    /// Reads the sizes.
    pub sizes: fn(&ModelConfig) -> Result<UpernetSizes, ModelError>,
    /// Changes what the class could not read.
    pub settle: fn(&mut ModelConfig),
}

impl HeadPlan for UpernetPlan {
    fn build(
        &self,
        weights: &Weights<'_>,
        config: &ModelConfig,
        _body: &dyn Body,
    ) -> Result<Box<dyn Head>, ModelError> {
        let UpernetSizes { names, source, hidden: e, pooled, auxiliary, whole } = (self.sizes)(config)?;
        let top = weights.head();
        let head = top.at("decode_head");
        let convolution = |weights: Weights<'_>, shape| NormedConvolution::rectified(&weights, names.parts, shape);
        let widths = source.widths();
        let Some((&last, earlier)) = widths.split_last() else { panic!("there is a map") };
        let (before, behind) = names.pooled;
        let pool = |(i, &side): (usize, &i64)| {
            Ok::<_, ModelError>((side, convolution(head.at(&format!("{before}{i}{behind}")), (last, e, 1))?))
        };
        let lateral = |(i, &width): (usize, &i64)| {
            let lateral = convolution(head.at(&format!("lateral_convs.{i}")), (width, e, 1))?;
            Ok::<_, ModelError>((lateral, convolution(head.at(&format!("fpn_convs.{i}")), (e, e, 3))?))
        };
        let (count, all) = (pooled.len() as i64, widths.len() as i64);
        let auxiliary = auxiliary.map(|sizes| {
            let weights = top.at("auxiliary_head");
            Auxiliary::load(&weights, names, sizes, widths[AUXILIARY_MAP], config.label_count())
        });
        Ok(Box::new(Upernet {
            pooled: pooled.iter().enumerate().map(pool).collect::<Result<_, _>>()?,
            bottleneck: convolution(head.at(names.bottleneck), (last + count * e, e, 3))?,
            laterals: earlier.iter().enumerate().map(lateral).collect::<Result<_, _>>()?,
            join: convolution(head.at("fpn_bottleneck"), (all * e, e, 3))?,
            classifier: classifier(&head, e, config.label_count())?,
            auxiliary: auxiliary.transpose()?,
            maps: Maps::load(&top, source)?,
            whole,
        }))
    }

    fn settle(&self, config: &mut ModelConfig) {
        (self.settle)(config);
    }
}

/// The last projection of a head at `weights`, from so many channels to the labels.
fn classifier(weights: &Weights<'_>, channels: i64, labels: i64) -> Result<PatchProjection, ModelError> {
    let weights = weights.at("classifier");
    weights.mark_outputs();
    PatchProjection::load(&weights, channels, (1, 1), labels, Init::Normal(weights.initializer_range()))
}

/// `x` [B, C, h, w] to logits [B, L, h, w] in fp32.
fn classified(classifier: &PatchProjection, x: &Tensor) -> Tensor {
    classifier.forward_channels_last(&x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2]).to_kind(Kind::Float)
}

/// `x` in fp32 brought to so many rows and columns.
fn scaled(x: &Tensor, (height, width): (i64, i64)) -> Tensor {
    x.upsample_bilinear2d([height, width], false, None, None)
}

/// Rows and columns of a map [B, C, h, w].
fn places(map: &Tensor) -> (i64, i64) {
    (map.size()[2], map.size()[3])
}

#[derive(Debug)]
struct Upernet {
    maps: Maps,
    /// Side of a pooled map, and what it passes.
    pooled: Vec<(i64, NormedConvolution)>,
    bottleneck: NormedConvolution,
    /// Of all maps but the last: to E, and behind the joining.
    laterals: Vec<(NormedConvolution, NormedConvolution)>,
    join: NormedConvolution,
    classifier: PatchProjection,
    auxiliary: Option<Auxiliary>,
    whole: bool,
}

impl Upernet {
    /// The last map beside its pooled means.
    fn pool(&self, map: &Tensor, train: bool) -> Tensor {
        let mut parts = vec![map.shallow_clone()];
        for (side, convolution) in &self.pooled {
            let mean = map.adaptive_avg_pool2d([*side, *side]);
            parts.push(scaled(&convolution.forward(&mean, train), places(map)));
        }
        self.bottleneck.forward(&Tensor::cat(&parts, 1), train)
    }

    /// The joined map, of the size of the first one.
    fn joined(&self, maps: &[Tensor], train: bool) -> Tensor {
        let Some((last, earlier)) = maps.split_last() else { panic!("there is a map") };
        let mut above = self.pool(last, train);
        let size = places(&maps[0]);
        let mut parts = vec![above.shallow_clone()];
        for ((lateral, behind), map) in self.laterals.iter().zip(earlier).rev() {
            above = lateral.forward(map, train) + scaled(&above, places(map));
            parts.push(behind.forward(&above, train));
        }
        parts.reverse();
        let parts: Vec<Tensor> = parts.iter().map(|part| scaled(part, size)).collect();
        self.join.forward(&Tensor::cat(&parts, 1), train)
    }
}

impl Head for Upernet {
    fn reads(&self) -> Reads {
        Reads::Stages
    }

    /// `logits` [B, L, h, w], or [B, L, H, W], and [`AUXILIARY_LOGITS`] of another h and w.
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let maps = self.maps.of(state, train)?;
        let size = if self.whole { Some(image_size_of(state)?) } else { None };
        let sized = |logits: Tensor| size.map_or_else(|| logits.shallow_clone(), |size| scaled(&logits, size));
        let logits = classified(&self.classifier, &self.joined(&maps, train));
        let mut outputs = Tensors::from([("logits", sized(logits))]);
        if let Some(auxiliary) = &self.auxiliary {
            outputs.insert(AUXILIARY_LOGITS, sized(auxiliary.forward(&maps[AUXILIARY_MAP], train)));
        }
        Ok(outputs)
    }

    fn work(&self, patches: f64) -> f64 {
        let areas = self.maps.areas();
        let of = |i: usize| patches / areas[i];
        let last = areas.len() - 1;
        let pooled = self.pooled.iter().map(|(side, convolution)| convolution.work((side * side) as f64));
        let laterals = self.laterals.iter().enumerate().map(|(i, (to, behind))| to.work(of(i)) + behind.work(of(i)));
        let auxiliary = self.auxiliary.as_ref().map_or(0.0, |auxiliary| auxiliary.work(of(AUXILIARY_MAP)));
        let joined = self.bottleneck.work(of(last)) + self.join.work(of(0));
        pooled.sum::<f64>() + laterals.sum::<f64>() + joined + auxiliary + self.maps.work(patches)
    }
}

#[derive(Debug)]
struct Auxiliary {
    convolutions: Vec<NormedConvolution>,
    join: Option<NormedConvolution>,
    classifier: PatchProjection,
}

impl Auxiliary {
    fn load(
        weights: &Weights<'_>,
        names: UpernetNames,
        sizes: AuxiliarySizes,
        width: i64,
        labels: i64,
    ) -> Result<Self, ModelError> {
        let f = sizes.channels;
        let convolution = |i: i64| {
            let shape = (if i == 0 { width } else { f }, f, 3);
            NormedConvolution::rectified(&weights.at(&format!("convs.{i}")), names.parts, shape)
        };
        let join = || NormedConvolution::rectified(&weights.at("conv_cat"), names.parts, (width + f, f, 3));
        Ok(Self {
            convolutions: (0..sizes.convolutions).map(convolution).collect::<Result<_, _>>()?,
            join: sizes.joins.then(join).transpose()?,
            classifier: classifier(weights, f, labels)?,
        })
    }

    fn forward(&self, map: &Tensor, train: bool) -> Tensor {
        let mut x = map.shallow_clone();
        for convolution in &self.convolutions {
            x = convolution.forward(&x, train);
        }
        if let Some(join) = &self.join {
            x = join.forward(&Tensor::cat(&[map.shallow_clone(), x], 1), train);
        }
        classified(&self.classifier, &x)
    }

    fn work(&self, places: f64) -> f64 {
        self.convolutions.iter().chain(&self.join).map(|convolution| convolution.work(places)).sum()
    }
}
