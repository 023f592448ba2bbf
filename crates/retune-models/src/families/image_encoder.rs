//! What ViT and its relatives compute; each of them is an [`ImageEncoderSpec`].

use crate::checkpoint::Weights;
use crate::explain::{self, Explanation, Score};
use crate::heads::{ImageClassificationHead, Pooling};
use crate::layers::{
    ImageEmbeddingSizes, ImageEmbeddings, LayerNames, LayerSizes, PreNormLayer, PreNormOptions, RelativePositionBias,
    SizeRule, patch_embeddings,
};
use crate::registry::Family;
use crate::{Mode, Model, ModelConfig, ModelError, Tensors};
use retune_kernels::tch::{Kind, Tensor, no_grad, with_grad};
use retune_kernels::{Activation, LayerNorm};

/// Sizes of an image encoder, read from config.json by its family.
#[derive(Debug, Clone)]
pub struct ImageEncoderSizes {
    /// Patches, tokens, positions.
    pub embeddings: ImageEmbeddingSizes,
    /// Every layer.
    pub layer: LayerSizes,
    /// What the family adds to a layer.
    pub options: PreNormOptions,
    /// Rate of stochastic depth in each layer; its length is the number of layers.
    pub drop_path: Vec<f64>,
    /// Path below the base of a relative position bias that all layers share.
    pub shared_bias: Option<&'static str>,
    /// Whether a norm follows the last layer.
    pub final_norm: bool,
    /// What the head reads.
    pub pooling: Pooling,
    /// Path of the norm between pooling and classifier.
    pub pooled_norm: Option<&'static str>,
}

/// A family as data.
#[derive(Clone)]
pub struct ImageEncoderSpec {
    /// Attribute of the base model in Hugging Face's class, such as `vit`.
    pub base: &'static str,
    /// Names inside a layer.
    pub layer: LayerNames,
    /// Paths of the classifiers.
    pub classifiers: &'static [&'static str],
    /// Path prefixes that a base checkpoint may lack.
    pub head_prefixes: &'static [&'static str],
    /// Hugging Face's class.
    pub architecture: &'static str,
    /// What saved configurations say as `model_type`.
    pub model_type: &'static str,
    /// Fields of the configuration that only another purpose of the checkpoint had.
    pub dropped_fields: &'static [&'static str],
    /// Reads the sizes.
    pub sizes: fn(&ModelConfig) -> Result<ImageEncoderSizes, ModelError>,
}

impl Family for ImageEncoderSpec {
    fn base_prefix(&self) -> String {
        format!("{}.", self.base)
    }

    fn head_prefixes(&self) -> Vec<String> {
        self.head_prefixes.iter().map(|&p| p.to_owned()).collect()
    }

    fn architecture(&self) -> String {
        self.architecture.to_owned()
    }

    fn adapt_config(&self, config: &mut ModelConfig) {
        config.set("model_type", self.model_type.into());
        self.dropped_fields.iter().for_each(|field| config.remove(field));
    }

    fn build(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Model>, ModelError> {
        let sizes = (self.sizes)(config)?;
        let (d, depth) = (sizes.layer.hidden, sizes.drop_path.len());
        let base = weights.at(self.base);
        let layers = base.at("encoder.layer");
        let load = |i: usize| {
            let weights = layers.at(&i.to_string()).depth(i + 1);
            PreNormLayer::load(&weights, &self.layer, &sizes.layer, &sizes.options, sizes.drop_path[i])
        };
        let norm = |weights: Weights<'_>| weights.layer_norm(d, sizes.layer.norm_epsilon);
        let head = weights.depth(depth + 1);
        let pooled_norm = sizes.pooled_norm.map(|path| norm(head.at(self.base).at(path))).transpose()?;
        let grid = sizes.embeddings.grid();
        Ok(Box::new(ImageEncoder {
            embeddings: ImageEmbeddings::load(&base.at("embeddings"), &sizes.embeddings)?,
            shared_bias: sizes
                .shared_bias
                .map(|path| RelativePositionBias::load(&base.at(path), grid, sizes.layer.heads))
                .transpose()?,
            layers: (0..depth).map(load).collect::<Result<_, _>>()?,
            norm: sizes.final_norm.then(|| norm(base.at("layernorm").depth(depth))).transpose()?,
            head: ImageClassificationHead::load(
                &head,
                self.classifiers,
                sizes.pooling,
                pooled_norm,
                d,
                config.label_count(),
            )?,
            sizes,
            kind: weights.compute_kind(),
        }))
    }
}

/// Input beside hidden states: rows and columns of patches [B, 2].
const GRID: &str = "grid";

struct ImageEncoder {
    embeddings: ImageEmbeddings,
    shared_bias: Option<RelativePositionBias>,
    layers: Vec<PreNormLayer>,
    norm: Option<LayerNorm>,
    head: ImageClassificationHead,
    sizes: ImageEncoderSizes,
    /// Of hidden states.
    kind: Kind,
}

/// Tokens [B, T, D], the grid of patches behind them, and the bias that all layers share.
type Embedded = (Tensor, (i64, i64), Option<Tensor>);

impl ImageEncoder {
    /// Block 0, or hidden states that were given in its place.
    fn embed(&self, inputs: &Tensors, mode: &Mode) -> Result<Embedded, ModelError> {
        let shared = |grid| self.shared_bias.as_ref().map(|bias| bias.at(grid));
        if let Some((_, x)) = inputs.hidden_states() {
            let grid = inputs.get(GRID)?;
            let grid = (grid.int64_value(&[0, 0]), grid.int64_value(&[0, 1]));
            return Ok((x.to_kind(self.kind), grid, no_grad(|| shared(grid))));
        }
        let sizes = &self.sizes.embeddings;
        let pixels = patch_embeddings::pixel_values(inputs, sizes.channels, &SizeRule::multiples(sizes.patch))?;
        Ok(mode.block(0, |train| {
            let (x, grid) = self.embeddings.forward(pixels, train);
            (x, grid, shared(grid))
        }))
    }

    /// Runs the blocks below depth `end`. Returns [B, T, D] and the grid; of all layers only the first tokens where the
    /// head reads no others and hidden states are not wanted.
    fn encode(&self, inputs: &Tensors, mode: &Mode, end: usize) -> Result<(Tensor, (i64, i64)), ModelError> {
        let begin = inputs.hidden_states().map_or(1, |(depth, _)| depth);
        let (mut x, grid, bias) = self.embed(inputs, mode)?;
        let read = self.head.first_tokens().filter(|_| !mode.hidden_states);
        for (layer, depth) in self.layers.iter().zip(1..).take(end - 1).skip(begin - 1) {
            x = mode.block(depth, |train| {
                if depth < self.layers.len() {
                    return layer.forward(&x, grid, bias.as_ref(), train);
                }
                let computed = read.map_or_else(|| x.shallow_clone(), |count| x.narrow(1, 0, count));
                self.normed(layer.forward_read(&computed, &layer.read(&x), grid, bias.as_ref(), train))
            });
        }
        Ok((x, grid))
    }

    fn normed(&self, x: Tensor) -> Tensor {
        self.norm.as_ref().map_or_else(|| x.shallow_clone(), |norm| norm.forward(&x))
    }

    /// [B, h, w]: what the head reads of each patch, and what the special tokens that it reads take from each patch in
    /// the last attention. That one is looked at behind its norm: the gradient before a norm is orthogonal to what is
    /// normed, so that their product would vanish.
    fn gradient_map(&self, inputs: &Tensors, score: Score<'_>) -> Result<Tensor, ModelError> {
        let (mut x, grid, bias) = no_grad(|| self.embed(inputs, &Mode::evaluation()))?;
        let Some((last, below)) = self.layers.split_last() else { unreachable!("`num_hidden_layers` is positive") };
        let read = no_grad(|| {
            below.iter().for_each(|layer| x = layer.forward(&x, grid, bias.as_ref(), false));
            explain::watched(&last.read(&x))
        });
        with_grad(|| {
            let hidden = self.normed(last.forward_read(&x, &read, grid, bias.as_ref(), false));
            let patches = grid.0 * grid.1;
            let special = hidden.size()[1] - patches;
            let leaf = explain::watched(&hidden.narrow(1, special, patches));
            let tokens = Tensor::cat(&[hidden.narrow(1, 0, special), leaf.shallow_clone()], 1);
            let logits = self.head.forward(&tokens, false);
            explain::contributions(&score(&logits), &[read, leaf], grid)
        })
    }

    /// [B, h, w]: how much of each patch attention carries into what the head reads.
    fn rollout(&self, inputs: &Tensors) -> Result<Tensor, ModelError> {
        let (mut x, grid, bias) = self.embed(inputs, &Mode::evaluation())?;
        let mut attentions = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            attentions.push(layer.attention(&x, grid, bias.as_ref()));
            x = layer.forward(&x, grid, bias.as_ref(), false);
        }
        let (batch, tokens, patches) = (x.size()[0], x.size()[1], grid.0 * grid.1);
        let reads = self.head.reads(tokens).to_device(x.device()).view([1, 1, tokens]);
        let carried = reads.matmul(&explain::rollout(&attentions)); // [B, 1, T]
        Ok(carried.narrow(2, tokens - patches, patches).reshape([batch, grid.0, grid.1]).to_kind(Kind::Float))
    }
}

impl Model for ImageEncoder {
    fn forward(&self, inputs: &Tensors, mode: &Mode) -> Result<Tensors, ModelError> {
        let (last_hidden_state, _) = self.encode(inputs, mode, self.blocks() + 1)?;
        let logits = mode.block(self.blocks() + 1, |train| self.head.forward(&last_hidden_state, train));
        let mut outputs = Tensors::from([("logits", logits)]);
        if mode.hidden_states {
            outputs.insert("last_hidden_state", last_hidden_state);
        }
        Ok(outputs)
    }

    fn frozen(&self, inputs: &Tensors, mode: &Mode) -> Result<Option<Tensors>, ModelError> {
        let depth = mode.first_trained_depth;
        let (x, (h, w)) = self.encode(inputs, mode, depth)?;
        let grid = Tensor::from_slice(&[h, w]).expand([x.size()[0], 2], false);
        let name = Tensors::hidden_states_name(depth);
        Ok(Some([(name, x), (GRID.to_owned(), grid)].into_iter().collect()))
    }

    fn explanations(&self) -> &'static [Explanation] {
        &[Explanation::Gradient, Explanation::Rollout]
    }

    fn explain(&self, inputs: &Tensors, how: Explanation, score: Score<'_>) -> Result<Tensor, ModelError> {
        match how {
            Explanation::Gradient => self.gradient_map(inputs, score),
            Explanation::Rollout => no_grad(|| self.rollout(inputs)),
        }
    }

    fn blocks(&self) -> usize {
        self.layers.len()
    }

    fn forward_flops(&self, length: usize) -> f64 {
        let sizes = &self.sizes.embeddings;
        let patches = length as f64;
        let projection = 2.0 * patches * (sizes.channels * sizes.patch.0 * sizes.patch.1 * sizes.hidden) as f64;
        let tokens = patches + sizes.tokens.len() as f64;
        let read = self.head.first_tokens().map_or(tokens, |count| count as f64);
        projection + self.sizes.layer.stack_flops(self.layers.len(), read, tokens)
    }

    fn max_length(&self) -> Option<usize> {
        None
    }

    fn vocabulary_size(&self) -> Option<usize> {
        None
    }
}

/// Layer sizes of the config fields that all of these families share.
pub(super) fn layer_sizes(config: &ModelConfig, intermediate: i64, epsilon: f64) -> Result<LayerSizes, ModelError> {
    Ok(LayerSizes {
        hidden: config.size("hidden_size")?,
        heads: config.size("num_attention_heads")?,
        intermediate,
        activation: Activation::from_name(&config.text("hidden_act")?)?,
        norm_epsilon: config.number_or("layer_norm_eps", epsilon)?,
        hidden_dropout: config.probability("hidden_dropout_prob")?,
        attention_dropout: config.probability("attention_probs_dropout_prob")?,
    })
}

/// Names inside a layer, as ViT has them.
pub(super) const VIT_LAYER: LayerNames = LayerNames {
    query: "attention.attention.query",
    key: "attention.attention.key",
    value: "attention.attention.value",
    attention_output: "attention.output.dense",
    attention_norm: "layernorm_before",
    intermediate: "intermediate.dense",
    output: "output.dense",
    output_norm: "layernorm_after",
};
