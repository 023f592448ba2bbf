//! Semantic segmentation by atrous spatial pyramid pooling (DeepLabv3, Chen et al. 2017, §3.3): convolutions with holes of several
//! sizes over the last map beside its mean, transformers' `MobileViTDeepLabV3`.
//!
//! B batch, C channels of the map, E decoder size, L labels; h and w map.

use crate::checkpoint::{Init, Weights};
use crate::layers::{ConvolutionShape, NormedConvolution, PatchProjection};
use crate::{Body, Head, HeadPlan, ModelConfig, ModelError, Reads, State, Tensors};
use retune_kernels::Activation;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};

/// PyTorch's default.
const EPSILON: f64 = 1e-5;

/// Sizes and settings, from config.json.
#[derive(Debug, Clone)]
pub struct AsppSizes {
    /// How many places of the first map one place of the last one stands for.
    pub area: f64,
    /// E.
    pub hidden: i64,
    /// Places between those that a convolution reads, of each with holes.
    pub rates: Vec<i64>,
    /// Behind the joined maps.
    pub dropout: f64,
    /// Of whole channels, before the classifier.
    pub classifier_dropout: f64,
}

/// The head as data.
#[derive(Debug, Clone, Copy)]
pub struct AsppPlan(pub fn(&ModelConfig) -> Result<AsppSizes, ModelError>);

impl HeadPlan for AsppPlan {
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig, body: &dyn Body) -> Result<Box<dyn Head>, ModelError> {
        let sizes = (self.0)(config)?;
        let (c, e, labels, init) =
            (body.width(), sizes.hidden, config.label_count(), Init::Normal(weights.initializer_range()));
        let top = weights.head().at("segmentation_head");
        let aspp = top.at("aspp");
        let convolution = |weights: &Weights<'_>, shape: ConvolutionShape| {
            let norm = ("normalization", EPSILON, false);
            NormedConvolution::drawn(weights, "convolution", norm, shape, (Some(Activation::Relu), init))
        };
        let plain = ConvolutionShape::new(c, e, 1, 1);
        let holes = sizes.rates.iter().map(|&rate| ConvolutionShape { kernel: 3, dilation: rate, ..plain });
        let shapes: Vec<ConvolutionShape> = std::iter::once(plain).chain(holes).collect();
        let of = |(i, &shape): (usize, &ConvolutionShape)| convolution(&aspp.at(&format!("convs.{i}")), shape);
        let count = shapes.len() as i64;
        let classifier = top.at("classifier.convolution");
        classifier.mark_outputs();
        Ok(Box::new(Aspp {
            convolutions: shapes.iter().enumerate().map(of).collect::<Result<_, _>>()?,
            pooled: convolution(&aspp.at(&format!("convs.{count}.conv_1x1")), plain)?,
            join: convolution(&aspp.at("project"), ConvolutionShape { input: (count + 1) * e, ..plain })?,
            classifier: PatchProjection::load(&classifier, e, (1, 1), labels, init)?,
            labels,
            sizes,
        }))
    }
}

#[derive(Debug)]
struct Aspp {
    convolutions: Vec<NormedConvolution>,
    pooled: NormedConvolution,
    join: NormedConvolution,
    classifier: PatchProjection,
    labels: i64,
    sizes: AsppSizes,
}

impl Head for Aspp {
    /// The last stage, which is the hidden state: no heat map is drawn of logits of places.
    fn reads(&self) -> Reads {
        Reads::Stages
    }

    /// `logits` [B, L, h, w] of the last map.
    fn forward(&self, state: &State, train: bool) -> Result<Tensors, ModelError> {
        let map = state.hidden.permute([0, 3, 1, 2]).to_kind(Kind::Float);
        let [batch, _, h, w] = map.size()[..] else { panic!("feature maps have four dimensions") };
        let mut parts: Vec<Tensor> = self.convolutions.iter().map(|it| it.forward(&map, train)).collect();
        // Of one place, so that scaling repeats it.
        let mean = map.mean_dim([2i64, 3].as_slice(), true, None);
        parts.push(self.pooled.forward(&mean, train).expand([batch, self.sizes.hidden, h, w], false));
        let joined = dropout(&self.join.forward(&Tensor::cat(&parts, 1), train), self.sizes.dropout, train);
        let ones = Tensor::ones([batch, self.sizes.hidden, 1, 1], (joined.kind(), joined.device()));
        let kept = joined * dropout(&ones, self.sizes.classifier_dropout, train);
        let logits = self.classifier.forward_channels_last(&kept.permute([0, 2, 3, 1]));
        Ok(Tensors::from([("logits", logits.permute([0, 3, 1, 2]).to_kind(Kind::Float))]))
    }

    fn work(&self, places: f64) -> f64 {
        let places = places / self.sizes.area;
        let convolutions = self.convolutions.iter().chain([&self.join]).map(|it| it.work(places)).sum::<f64>();
        convolutions + 2.0 * places * (self.sizes.hidden * self.labels) as f64
    }
}
