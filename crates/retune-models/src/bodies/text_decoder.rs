//! Decoders alone: Llama and its relatives, GPT-2, GPT-NeoX (Radford et al. 2019, Touvron et al. 2023).
//!
//! Token embeddings, positions learned or rotary, pre-norm layers that look back only, a norm. B batch, T tokens, D hidden size.

use crate::cache::{Cache, LayerCache};
use crate::checkpoint::{Init, Weights};
use crate::layers::{Angles, Attending, DecoderLayer, DecoderLayerNames, DecoderSizes, NetworkNames, Norm, Rotary};
use crate::{Body, Continues, Mode, ModelError, Reads, State, Tensors};
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{AttentionMask, Table, Weight};
use std::ops::Range;

/// Beside hidden states: positions of the tokens [B, T], where inputs give them.
const POSITIONS: &str = "position_ids";
/// The document of each token [B, T], where a row holds several; an input, or beside hidden states.
const DOCUMENTS: &str = "document_ids";
/// Beside hidden states: 1 at the token that a row is classified by, the last one that is no padding or that ends it, 0 elsewhere [B, T].
pub const LAST: &str = "last_token";

/// How positions come in.
#[derive(Debug, Clone, PartialEq)]
pub enum Positions {
    /// A table of so many, added to the tokens.
    Learned(i64),
    /// Angles, of kinds that layers choose from.
    Rotary(Vec<Rotary>),
}

/// What sets a layer apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerKind {
    /// How many keys up to its own each query sees; all where nothing is said.
    pub window: Option<i64>,
    /// Which of the rotary embeddings it has.
    pub rotary: usize,
}

/// Sizes of a decoder, read from config.json by its family.
#[derive(Debug, Clone)]
pub struct TextDecoderSizes {
    /// Rows of the token table.
    pub vocabulary: i64,
    /// The token of padding: its embedding learns nothing.
    pub padding: Option<i64>,
    /// The token that stands behind a text in a batch, by which the last one of the text is found.
    pub filler: Option<i64>,
    /// Longest text that there are positions for, or that it was made for.
    pub longest: Option<usize>,
    /// How positions come in.
    pub positions: Positions,
    /// Where a text grows beyond so many tokens while it is continued, those before are read anew: they turn by other angles then.
    pub read_anew_beyond: Option<i64>,
    /// What embeddings are multiplied by.
    pub embedding_scale: f64,
    /// After the embeddings.
    pub embedding_dropout: f64,
    /// Every layer.
    pub layer: DecoderSizes,
    /// What sets them apart; as many as there are layers.
    pub kinds: Vec<LayerKind>,
}

/// How the tensors of a decoder are called, below its base.
#[derive(Debug, Clone, Copy)]
pub struct TextDecoderNames {
    /// Token table.
    pub tokens: &'static str,
    /// Position table, where there is one.
    pub positions: &'static str,
    /// Path of the layers.
    pub layers: &'static str,
    /// Names inside a layer.
    pub layer: DecoderLayerNames,
    /// Norm behind the last layer.
    pub norm: &'static str,
}

/// The decoder.
pub struct TextDecoder {
    tokens: Table,
    positions: Option<Weight>,
    layers: Vec<DecoderLayer>,
    norm: Norm,
    token_table: String,
    gated: bool,
    sizes: TextDecoderSizes,
    kind: Kind,
}

/// Masks and angles of a batch, each made once for all layers that share it.
struct Shared {
    masks: Vec<(Option<i64>, AttentionMask)>,
    closed_rows: bool,
    angles: Vec<Angles>,
}

impl TextDecoder {
    /// `weights` points at the top, `base` is the path of the decoder.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(
        weights: &Weights<'_>,
        base: &str,
        names: &TextDecoderNames,
        sizes: TextDecoderSizes,
    ) -> Result<Self, ModelError> {
        let at_base = weights.at(base);
        let (d, init) = (sizes.layer.hidden, Init::Normal(weights.initializer_range()));
        let layers = at_base.at(names.layers);
        let count = sizes.kinds.len();
        let load =
            |i: usize| DecoderLayer::load(&layers.at(&i.to_string()).depth(i + 1), &names.layer, &sizes.layer, i);
        let tokens = at_base.at(names.tokens);
        Ok(Self {
            tokens: tokens.table("weight", [sizes.vocabulary, d], init)?.with_padding(sizes.padding),
            positions: match sizes.positions {
                Positions::Learned(rows) => Some(at_base.at(names.positions).exact("weight", &[rows, d], init)?),
                Positions::Rotary(_) => None,
            },
            layers: (0..count).map(load).collect::<Result<_, _>>()?,
            norm: Norm::load(&at_base.at(names.norm).depth(count), sizes.layer.norm, d, sizes.layer.norm_epsilon)?,
            token_table: format!("{}.weight", tokens.path()),
            gated: !matches!(names.layer.network, NetworkNames::Plain { .. }),
            sizes,
            kind: weights.compute_kind(),
        })
    }

    fn embed(
        &self,
        input_ids: &Tensor,
        positions: Option<&Tensor>,
        types: Option<&Tensor>,
        train: bool,
    ) -> Result<Tensor, ModelError> {
        let (x, scale) = (self.tokens.lookup(input_ids, train), self.sizes.embedding_scale);
        let mut x = if scale == 1.0 { x } else { x * scale };
        if let (Some(table), Positions::Learned(rows)) = (&self.positions, &self.sizes.positions) {
            let longest = positions.map_or(input_ids.size()[1], |at| at.max().int64_value(&[]) + 1);
            if longest > *rows {
                return Err(ModelError::TooLong { tokens: longest, longest: *rows });
            }
            x += match positions {
                Some(positions) => Tensor::embedding(table, positions, -1, false, false),
                None => table.narrow(0, 0, longest).unsqueeze(0),
            };
            // GPT-2 has no table for segments; where it is given some, they are tokens.
            if let Some(types) = types {
                x += self.tokens.lookup(types, train);
            }
        }
        // In fp32, and so is all that layers add to it.
        Ok(dropout(&x, self.sizes.embedding_dropout, train))
    }

    /// 1 at the last token of each row: the rightmost one that is not filler, or where nothing fills, not masked; as in
    /// transformers the first where there is none.
    fn last_tokens(&self, input_ids: &Tensor, mask: Option<&Tensor>) -> Tensor {
        let real = match (self.sizes.filler, mask) {
            (Some(filler), _) => input_ids.ne(filler).to_kind(Kind::Int64),
            (None, Some(mask)) => mask.ne(0).to_kind(Kind::Int64).to_device(input_ids.device()),
            (None, None) => input_ids.ones_like(),
        };
        let places = Tensor::arange(input_ids.size()[1], (Kind::Int64, input_ids.device()));
        let last = (&places * real).argmax(-1, true);
        places.unsqueeze(0).eq_tensor(&last).to_kind(Kind::Int64)
    }

    /// `past` keys stand before the tokens of `positions` [B or 1, T]; `mask` is of all of them. With the lengths of all rows each of
    /// them has angles of its own, so that it is continued as it would be alone.
    fn shared(
        &self,
        mask: Option<&Tensor>,
        positions: &Tensor,
        documents: Option<&Tensor>,
        past: i64,
        lengths: Option<&[i64]>,
    ) -> Result<Shared, ModelError> {
        let device = positions.device();
        let new = positions.size()[1];
        let mut masks: Vec<(Option<i64>, AttentionMask)> = Vec::new();
        for LayerKind { window, .. } in &self.sizes.kinds {
            if masks.iter().any(|(known, _)| known == window) {
                continue;
            }
            // What a cache with a window still has.
            let before = if past == 0 { 0 } else { window.map_or(past, |window| past.min(window - 1)) };
            let open = match mask {
                Some(mask) => AttentionMask::padding(&mask.narrow(1, past - before, before + new), device)?,
                None => AttentionMask::open(),
            };
            let mut mask = open.causal(before)?;
            if let Some(window) = window {
                mask = mask.window(*window)?;
            }
            if let Some(documents) = documents {
                mask = mask.documents(documents)?;
            }
            masks.push((*window, mask));
        }
        let angles = match (&self.sizes.positions, lengths) {
            (Positions::Learned(_), _) => Vec::new(),
            (Positions::Rotary(kinds), Some(lengths)) => {
                kinds.iter().map(|rotary| rotary.angles_of_rows(positions, lengths)).collect()
            }
            (Positions::Rotary(kinds), None) => {
                let depends = kinds.iter().any(Rotary::depends_on_length);
                let length = if depends { positions.max().int64_value(&[]) + 1 } else { 0 };
                kinds.iter().map(|rotary| rotary.angles(positions, length)).collect()
            }
        };
        // Padding before a text sees nothing, whatever the window.
        let closed_rows = mask.is_some_and(|mask| mask.narrow(1, 0, 1).eq(0).any().int64_value(&[]) != 0);
        Ok(Shared { masks, angles, closed_rows })
    }

    /// Runs one layer, and the norm behind the last.
    fn layer(&self, index: usize, x: &Tensor, shared: &Shared, cache: Option<&mut LayerCache>, train: bool) -> Tensor {
        let LayerKind { window, rotary } = self.sizes.kinds[index];
        let mask = shared.masks.iter().find(|(of, _)| *of == window).map(|(_, mask)| mask);
        let at = Attending {
            mask: mask.expect("a mask for each window"),
            angles: shared.angles.get(rotary),
            bias: None,
            memory: None,
            closed_rows: shared.closed_rows,
        };
        let x = self.layers[index].forward(x, &at, None, cache, train);
        if index + 1 == self.layers.len() { self.norm.forward_as(&x, self.kind) } else { x }
    }
}

/// The document of each token [B, T] of `positions` [B, T]: a new one begins where positions do not go on by one.
fn documents(positions: &Tensor) -> Tensor {
    let tokens = positions.size()[1];
    let begins = (positions.narrow(1, 1, tokens - 1) - positions.narrow(1, 0, tokens - 1)).ne(1).to_kind(Kind::Int64);
    let first = Tensor::zeros([positions.size()[0], 1], (Kind::Int64, positions.device()));
    Tensor::cat(&[first, begins.cumsum(1, Kind::Int64)], 1)
}

/// Tokens of each row of a mask [R, S].
fn lengths(mask: &Tensor) -> Result<Vec<i64>, ModelError> {
    Ok(Vec::try_from(mask.ne(0).sum_dim_intlist(1, false, Kind::Int64))?)
}

impl Body for TextDecoder {
    fn blocks(&self) -> usize {
        self.layers.len()
    }

    fn width(&self) -> i64 {
        self.sizes.layer.hidden
    }

    /// `input_ids` [B, T]; `attention_mask`, `position_ids` and `document_ids` [B, T] where they are given. No document sees
    /// another. Without a mask and numbers of documents, one begins where positions do not go on by one, as in transformers.
    fn begin(&self, inputs: &Tensors, mode: &Mode) -> Result<State, ModelError> {
        let input_ids = inputs.get("input_ids")?;
        let mask = inputs.optional("attention_mask");
        let positions = inputs.optional(POSITIONS).map(|it| it.expand(input_ids.size(), false));
        let hidden =
            mode.block(0, |train| self.embed(input_ids, positions.as_ref(), inputs.optional("token_type_ids"), train))?;
        let mut state = State { mask: mask.map(Tensor::shallow_clone), ..State::new(hidden) };
        state.beside.insert(LAST, self.last_tokens(input_ids, mask));
        let told = positions.as_ref().filter(|_| mask.is_none()).map(documents);
        if let Some(documents) = inputs.optional(DOCUMENTS).map(Tensor::shallow_clone).or(told) {
            state.beside.insert(DOCUMENTS, documents);
        }
        if let Some(positions) = positions {
            state.beside.insert(POSITIONS, positions);
        }
        Ok(state)
    }

    fn run(&self, from: State, blocks: Range<usize>, _reads: Reads, mode: &Mode) -> Result<State, ModelError> {
        let State { hidden: mut x, mask, beside } = from;
        if !blocks.is_empty() {
            let plain = || Tensor::arange(x.size()[1], (Kind::Int64, x.device())).unsqueeze(0);
            // What was kept came back as plain numbers.
            let whole = |name: &str| beside.optional(name).map(|it| it.to_kind(Kind::Int64));
            let (positions, documents) = (whole(POSITIONS).unwrap_or_else(plain), whole(DOCUMENTS));
            let shared = self.shared(mask.as_ref(), &positions, documents.as_ref(), 0, None)?;
            for depth in blocks {
                x = mode.block(depth, |train| self.layer(depth - 1, &x, &shared, None, train));
            }
        }
        Ok(State { hidden: x, mask, beside })
    }

    fn work(&self, tokens: f64, _reads: Reads) -> f64 {
        self.layers.len() as f64 * self.sizes.layer.work(tokens, tokens / 2.0, self.gated)
    }

    fn token_table(&self) -> Option<&str> {
        Some(&self.token_table)
    }

    fn continues(&self) -> Option<&dyn Continues> {
        Some(self)
    }
}

impl Continues for TextDecoder {
    fn cache(&self, _inputs: &Tensors) -> Result<Cache, ModelError> {
        Ok(Cache::new(self.sizes.kinds.iter().map(|kind| kind.window)))
    }

    fn longest(&self) -> Option<i64> {
        match self.sizes.positions {
            Positions::Learned(rows) => Some(rows),
            Positions::Rotary(_) => None,
        }
    }

    fn go_on(&self, input_ids: &Tensor, attention_mask: &Tensor, cache: &mut Cache) -> Result<State, ModelError> {
        let (mut past, new) = (cache.length(), input_ids.size()[1]);
        let (mask, mut positions) = cache.extend(attention_mask);
        let lengths = match &self.sizes.positions {
            Positions::Rotary(kinds) if kinds.iter().any(Rotary::depends_on_length) => Some(lengths(&mask)?),
            _ => None,
        };
        let mut tokens = input_ids.shallow_clone();
        if let (Some(most), Some(lengths)) = (self.sizes.read_anew_beyond, &lengths) {
            let all = cache.remember(input_ids);
            if past > 0 && lengths.iter().any(|&length| length > most && length - new <= most) {
                cache.forget();
                positions = (mask.cumsum(1, Kind::Int64) - 1).clamp_min(0);
                (past, tokens) = (0, all);
            }
        }
        let mut x = self.embed(&tokens, Some(&positions), None, false)?;
        let shared = self.shared(Some(&mask), &positions, None, past, lengths.as_deref())?;
        for index in 0..self.layers.len() {
            x = self.layer(index, &x, &shared, Some(&mut cache.layers[index]), false);
        }
        Ok(State::new(x.narrow(1, x.size()[1] - new, new)))
    }
}
