//! Patch, token and position embeddings of ViT and its relatives (Dosovitskiy et al. 2020, §3.1).
//!
//! B batch, S special tokens, R registers, M detection tokens, h and w grid of patches, T = S + R + M + h·w, D hidden size. Tokens and positions
//! stay in fp32. Detection tokens stand behind the patches in Hugging Face's classes and before them here, so that what a head
//! reads comes first: attention does not care.

use super::masking::pick;
use super::{PatchProjection, PositionEmbeddings, sincos_positions};
use crate::ModelError;
use crate::checkpoint::{Init, Weights};
use retune_kernels::Weight;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Kind, Tensor};

/// Absolute positions of patches and tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionTable {
    /// There are none.
    Absent,
    /// They are parameters.
    Learned,
    /// They are sines and cosines that never train (masked autoencoders).
    Fixed,
}

/// Sizes and settings, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct ImageEmbeddingSizes {
    /// C.
    pub channels: i64,
    /// Height and width the positions were made for.
    pub image: (i64, i64),
    /// Height and width of a patch.
    pub patch: (i64, i64),
    /// D.
    pub hidden: i64,
    /// Names of the tokens in front of the patches.
    pub tokens: &'static [&'static str],
    /// R: tokens behind the special ones that have no positions (Darcet et al. 2023). They are not detection tokens at once.
    pub registers: i64,
    /// M (Fang et al. 2021).
    pub detection: i64,
    /// Leading dimensions, before D, of a mask token that the checkpoint holds and classification does not use.
    pub mask_token: Option<&'static [i64]>,
    /// Absolute positions.
    pub positions: PositionTable,
    /// Whether those of a finer grid are averaged for a coarser one.
    pub antialiased: bool,
    /// Fresh values of tokens and learned positions.
    pub init: Init,
    /// Fresh values of the projection of patches.
    pub projection: Init,
    /// After the sum.
    pub dropout: f64,
}

impl ImageEmbeddingSizes {
    /// The grid of patches of an image of the configured size.
    pub fn grid(&self) -> (i64, i64) {
        (self.image.0 / self.patch.0, self.image.1 / self.patch.1)
    }
}

/// The sum of all embeddings.
#[derive(Debug)]
pub struct ImageEmbeddings {
    projection: PatchProjection,
    tokens: Vec<Weight>,
    registers: Option<Weight>, // [1, R, D]
    detection: Option<Weight>, // [1, M, D]
    positions: Option<PositionEmbeddings>,
    dropout: f64,
    kind: Kind,
}

impl ImageEmbeddings {
    /// `weights` points at `….embeddings`.
    pub fn load(weights: &Weights<'_>, sizes: &ImageEmbeddingSizes) -> Result<Self, ModelError> {
        let d = sizes.hidden;
        let special = sizes.tokens.len() as i64;
        let token = |name: &&str| weights.exact(name, &[1, 1, d], sizes.init);
        let grid = sizes.grid();
        if let Some(leading) = sizes.mask_token {
            let zeros = Tensor::zeros([leading, &[d]].concat(), (Kind::Float, weights.device()));
            let _unused = weights.fixed("mask_token", zeros)?;
        }
        let patches = weights.at("patch_embeddings.projection");
        let name = "position_embeddings";
        let table = match sizes.positions {
            PositionTable::Absent => None,
            PositionTable::Learned => Some({
                let rows = special + grid.0 * grid.1 + sizes.detection;
                weights.exact_grown(name, [1, rows, d], sizes.init)?
            }),
            PositionTable::Fixed => Some(weights.fixed(name, sincos_positions(grid, d, weights.device()))?),
        };
        let positions = |table| {
            let positions = PositionEmbeddings::new(table, special, grid).with_behind(sizes.detection);
            if sizes.antialiased { positions.antialiased() } else { positions }
        };
        let positions = table.map(positions);
        let registers = || weights.exact("register_tokens", &[1, sizes.registers, d], sizes.init);
        let detection = || weights.neck().exact("detection_tokens", &[1, sizes.detection, d], sizes.init);
        Ok(Self {
            detection: (sizes.detection > 0).then(detection).transpose()?,
            tokens: sizes.tokens.iter().map(token).collect::<Result<_, _>>()?,
            registers: (sizes.registers > 0).then(registers).transpose()?,
            projection: PatchProjection::load(&patches, sizes.channels, sizes.patch, d, sizes.projection)?,
            positions,
            dropout: sizes.dropout,
            kind: weights.compute_kind(),
        })
    }

    /// `pixels` [B, C, H, W]; returns [B, T, D] and the grid (h, w). Of the patches only those at the places `kept` [B, K], in
    /// that order, where they are given: T = S + K.
    pub fn forward(&self, pixels: &Tensor, kept: Option<&Tensor>, train: bool) -> (Tensor, (i64, i64)) {
        let patches = self.projection.forward(pixels);
        let [batch, h, w, d] = patches.size()[..] else { panic!("patches have four dimensions") };
        let mut parts: Vec<Tensor> = self.tokens.iter().map(|token| token.expand([batch, 1, d], false)).collect();
        parts.extend(self.detection.as_ref().map(|tokens| tokens.expand([batch, -1, d], false)));
        parts.push(patches.view([batch, h * w, d]).to_kind(Kind::Float));
        let mut sum = Tensor::cat(&parts, 1);
        if let Some(positions) = &self.positions {
            sum += positions.at((h, w));
        }
        if let Some(registers) = &self.registers {
            let special = self.tokens.len() as i64;
            let behind = sum.size()[1] - special;
            let registers = registers.expand([batch, -1, d], false);
            sum = Tensor::cat(&[sum.narrow(1, 0, special), registers, sum.narrow(1, special, behind)], 1);
        }
        if let Some(kept) = kept {
            let special = self.tokens.len() as i64;
            sum = Tensor::cat(&[sum.narrow(1, 0, special), pick(&sum.narrow(1, special, h * w), kept)], 1);
        }
        (dropout(&sum.to_kind(self.kind), self.dropout, train), (h, w))
    }
}
