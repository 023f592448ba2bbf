//! Swin V2's layer (Liu et al. 2022, §3): attention by cosines inside shifted windows, with biases that a small network makes of logarithms
//! of distances, and norms behind attention and feed-forward.
//!
//!   y = x + DropPath(LN(WindowAttention(x)))      z = y + DropPath(LN(Drop(FeedForward(y))))
//!
//! B batch, H and W feature map, C channels, M window, A = M², N windows per image, K head size.

use super::drop_path::drop_path;
use super::relative_position::relative_position_index;
use super::window_layer::{apart, in_windows};
use super::{FeedForward, LayerNames, LayerSizes, MapLayer};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{AttentionOptions, Dense, LayerNorm, Weight, fused};
use std::sync::{Mutex, PoisonError};

/// Width of the network that makes biases.
const BIAS_WIDTH: i64 = 512;
/// The range of biases.
const BIAS_RANGE: f64 = 16.0;
/// Cosines are multiplied by no more than this.
const MOST_SCALE: f64 = 100.0;
/// And at first by this.
const FRESH_SCALE: f64 = 10.0;
/// The length of a vector is taken to be this at least.
const LEAST_LENGTH: f64 = 1e-12;

/// Settings of a layer beside its sizes.
#[derive(Debug, Clone, Copy)]
pub struct CosineWindowOptions {
    /// M.
    pub window: i64,
    /// By how many patches the windows are shifted; 0 or M/2.
    pub shift: i64,
    /// The window whose distances biases were learnt for, where it is another one; else 0.
    pub learnt_window: i64,
    /// Whether query and value have a bias.
    pub bias: bool,
    /// Rate of stochastic depth.
    pub drop_path: f64,
}

/// Window attention and feed-forward with their residuals.
#[derive(Debug)]
pub struct CosineWindowLayer {
    query: Dense,
    key: Dense,
    value: Dense,
    output: Dense,
    scale: Weight, // [heads, 1, 1], a logarithm
    bias_up: Dense,
    bias_down: Dense,
    distances: Weight, // [(2M-1)², 2]
    index: Weight,     // rows of them, [A²]
    norm_before: LayerNorm,
    norm_after: LayerNorm,
    feed_forward: FeedForward,
    sizes: LayerSizes,
    options: CosineWindowOptions,
    /// Scores of pairs that a shift has brought together, [N, 1, A, A], of maps of the size that came last.
    apart: Mutex<Option<((i64, i64), Tensor)>>,
}

impl CosineWindowLayer {
    /// `weights` points at `….blocks.<index>`.
    ///
    /// # Errors
    /// A checkpoint or sizes that do not fit.
    pub fn load(
        weights: &Weights<'_>,
        names: &LayerNames,
        sizes: &LayerSizes,
        options: CosineWindowOptions,
    ) -> Result<Self, ModelError> {
        let (c, heads, window) = (sizes.hidden, sizes.heads, options.window);
        if c % heads != 0 {
            return Err(ModelError::of_field("num_heads", format!("has {heads}, which does not divide {c} channels")));
        }
        let own = weights.at("attention.self");
        let network = own.at("continuous_position_bias_mlp");
        let device = weights.device();
        let distances = distances(window, options.learnt_window).to_kind(weights.compute_kind()).to_device(device);
        let index = Tensor::from_slice(&relative_position_index((window, window), (window, window)));
        Ok(Self {
            query: weights.at(names.attention.query).dense_with(c, c, options.bias)?,
            key: weights.at(names.attention.key).dense_with(c, c, false)?,
            value: weights.at(names.attention.value).dense_with(c, c, options.bias)?,
            output: weights.at(names.attention.output).dense(c, c)?,
            scale: own.exact("logit_scale", &[heads, 1, 1], Init::Constant(FRESH_SCALE.ln()))?,
            bias_up: network.at("0").dense(2, BIAS_WIDTH)?,
            bias_down: network.at("2").dense_with(BIAS_WIDTH, heads, false)?,
            distances: distances.into(),
            index: index.to_device(device).into(),
            norm_before: weights.at(names.attention_norm).layer_norm(c, sizes.norm_epsilon)?,
            norm_after: weights.at(names.output_norm).layer_norm(c, sizes.norm_epsilon)?,
            feed_forward: FeedForward::load(weights, names, sizes)?,
            sizes: *sizes,
            options,
            apart: Mutex::default(),
        })
    }

    /// `x` [B·N, A, C], windows of maps of this padded size.
    fn attend(&self, x: &Tensor, size: (i64, i64), train: bool) -> Tensor {
        let heads = self.sizes.heads;
        let [rows, area, channels] = x.size()[..] else { panic!("windows have three dimensions") };
        let unit = |projected: Tensor| {
            let split = projected.to_kind(Kind::Float).view([rows, area, heads, channels / heads]);
            let length = split.norm_scalaropt_dim(2.0, [-1i64].as_slice(), true).clamp_min(LEAST_LENGTH);
            split / length
        };
        let scale = self.scale.clamp_max(MOST_SCALE.ln()).exp().view([1, 1, heads, 1]);
        let query = (unit(self.query.forward(x, train)) * scale).flatten(2, 3).to_kind(x.kind());
        let key = unit(self.key.forward(x, train)).flatten(2, 3).to_kind(x.kind());
        let value = self.value.forward(x, train);
        let bias = self.bias(size, train);
        let options = AttentionOptions {
            bias: Some(&bias),
            scale: Some(1.0),
            dropout: self.sizes.attention_dropout,
            ..Default::default()
        };
        let attended = fused::attention(&query, &key, &value, heads, &options, train);
        dropout(&self.output.forward(&attended, train), self.sizes.attention_dropout, train)
    }

    /// [N, heads, A, A], or [1, heads, A, A] where it is the same in all windows.
    fn bias(&self, size: (i64, i64), train: bool) -> Tensor {
        let (window, shift) = (self.options.window, self.options.shift);
        let area = window * window;
        let table = self.bias_down.forward(&self.bias_up.forward(&self.distances, train).relu(), train);
        let rows = table.to_kind(Kind::Float).index_select(0, &self.index).sigmoid() * BIAS_RANGE;
        let bias = rows.view([area, area, -1]).permute([2, 0, 1]).unsqueeze(0);
        if shift == 0 {
            return bias;
        }
        let mut cached = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, apart) = match cached.take().filter(|(of, _)| *of == size) {
            Some(known) => cached.insert(known),
            // Its class adds the scores twice.
            None => {
                cached.insert((size, apart(size.0, size.1, window, shift).unsqueeze(1).to_device(bias.device()) * 2.0))
            }
        };
        bias + &*apart
    }
}

impl MapLayer for CosineWindowLayer {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let CosineWindowOptions { window, shift, drop_path: rate, .. } = self.options;
        let attended = in_windows(x, window, shift, |windows, size| self.attend(windows, size, train));
        let y = x + drop_path(&self.norm_before.forward(&attended), rate, train);
        let transformed = dropout(&self.feed_forward.forward(&y, train), self.sizes.feed_forward_dropout, train);
        &y + drop_path(&self.norm_after.forward(&transformed), rate, train)
    }

    fn work(&self, places: f64) -> f64 {
        let area = (self.options.window * self.options.window) as f64;
        places / area * self.sizes.work(area, area)
    }
}

/// Logarithms of distances between two places of a window of side `window`, [(2M-1)², 2]: rows, then columns.
fn distances(window: i64, learnt: i64) -> Tensor {
    let side = 2 * window - 1;
    let longest = match learnt {
        0 => (window - 1).max(1),
        learnt => learnt - 1,
    };
    let far = Tensor::arange_start(1 - window, window, (Kind::Float, Device::Cpu)) / longest as f64 * 8.0;
    let logarithms = far.sign() * ((far.abs() + 1.0) as Tensor).log2() / 8f64.log2();
    let rows = logarithms.view([side, 1]).expand([side, side], false);
    Tensor::stack(&[&rows, &rows.transpose(0, 1)], -1).view([side * side, 2])
}
