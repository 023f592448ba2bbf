//! Disentangled attention of DeBERTa (He et al. 2020, §3.1; He et al. 2021): to scores of content come those of content to
//! position and of position to content, by a table of relative positions that all layers share.
//!
//! transformers' `DisentangledSelfAttention`. B batch, T tokens, Q first tokens that are computed, D hidden size, H heads, K head
//! size, R rows of the table that are in use.

use super::AttentionNames;
use crate::ModelError;
use crate::checkpoint::Weights;
use retune_kernels::attention::scaled_dot_product;
use retune_kernels::dropout::dropout;
use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{AttentionOptions, Dense};

/// Score of a pair of tokens of which one is padding: the lowest that stays finite in bf16.
const CLOSED: f64 = -3.0e38;

/// Sizes and settings, from config.json.
#[derive(Debug, Clone, Copy)]
pub struct DisentangledSizes {
    /// D.
    pub hidden: i64,
    /// H.
    pub heads: i64,
    /// On attention probabilities.
    pub dropout: f64,
    /// On the rows of the table.
    pub position_dropout: f64,
    /// Whether `pos_att_type` names content to position, and position to content: scores are scaled by how many there are.
    pub named: (bool, bool),
    /// Whether they are computed.
    pub relative: bool,
    /// Whether positions are projected as content is.
    pub shared: bool,
}

/// How places are numbered relative to each other.
#[derive(Debug, Clone, Copy)]
pub struct RelativePlaces {
    /// Rows of the table for one direction.
    pub span: i64,
    /// Number of buckets, half of them for neighbours one by one; 0 numbers all places.
    pub buckets: i64,
    /// Distance of the last bucket.
    pub farthest: i64,
}

/// Rows of the table for each pair of T tokens.
#[derive(Debug)]
pub struct PairRows {
    /// First row in use, and R.
    pub rows: (i64, i64),
    /// Of content to position, counted from that row, int64 [T, T]: query, key.
    to_position: Tensor,
    /// Of position to content: key, query.
    to_content: Tensor,
}

impl RelativePlaces {
    /// For T `tokens`.
    pub fn pairs(&self, tokens: i64, device: Device) -> PairRows {
        let places = Tensor::arange(tokens, (Kind::Int64, Device::Cpu));
        let relative = self.bucketed(&(places.unsqueeze(1) - places.unsqueeze(0)));
        let row = |relative: Tensor| (relative + self.span).clamp(0, 2 * self.span - 1);
        let (to_position, to_content) = (row(relative.shallow_clone()), row(-relative));
        let first = to_position.min().minimum(&to_content.min()).int64_value(&[]);
        let last = to_position.max().maximum(&to_content.max()).int64_value(&[]);
        let counted = |rows: Tensor| (rows - first).to_device(device);
        PairRows { rows: (first, last - first + 1), to_position: counted(to_position), to_content: counted(to_content) }
    }

    /// Buckets that grow with the distance, in transformers' operations and precision.
    fn bucketed(&self, relative: &Tensor) -> Tensor {
        if self.buckets <= 0 || self.farthest <= 0 {
            return relative.shallow_clone();
        }
        let middle = self.buckets / 2;
        let near = relative.abs().lt(middle);
        let distance = relative.abs().masked_fill(&near, middle - 1);
        let scale = Tensor::from(((self.farthest - 1) as f64 / middle as f64) as f32).log();
        let far = (distance.to_kind(Kind::Float) / middle as f64).log() / scale * (middle - 1) as f64;
        let far = (far.ceil() + middle as f64) * relative.sign().to_kind(Kind::Float);
        relative.where_self(&distance.le(middle), &far.to_kind(Kind::Int64))
    }
}

/// The projections.
#[derive(Debug)]
pub struct DisentangledAttention {
    query: Dense,
    key: Dense,
    value: Dense,
    output: Dense,
    /// Of positions, where content has others.
    position_key: Option<Dense>,
    position_query: Option<Dense>,
    sizes: DisentangledSizes,
}

impl DisentangledAttention {
    /// `weights` points at the layer.
    ///
    /// # Errors
    /// A checkpoint that does not fit.
    pub fn load(weights: &Weights<'_>, names: &AttentionNames, sizes: &DisentangledSizes) -> Result<Self, ModelError> {
        let d = sizes.hidden;
        let own = |path: &str, named: bool| {
            let used = named && sizes.relative && !sizes.shared;
            used.then(|| weights.at(path).dense(d, d)).transpose()
        };
        Ok(Self {
            query: weights.at(names.query).dense(d, d)?,
            key: weights.at(names.key).dense(d, d)?,
            value: weights.at(names.value).dense(d, d)?,
            output: weights.at(names.output).dense(d, d)?,
            position_key: own("attention.self.pos_key_proj", sizes.named.0)?,
            position_query: own("attention.self.pos_query_proj", sizes.named.1)?,
            sizes: *sizes,
        })
    }

    /// The first Q tokens of `x` [B, T, D] attend to all of it. `relative` are the table's rows in use [R, D] and which of them
    /// each pair reads; `open` bool [B, T] says which tokens are no padding, which attends to all tokens alike. Returns [B, Q, D].
    pub fn forward(
        &self,
        x: &Tensor,
        queries: i64,
        relative: Option<(&Tensor, &PairRows)>,
        open: Option<&Tensor>,
        train: bool,
    ) -> Tensor {
        let [batch, tokens, hidden] = x.size()[..] else { panic!("hidden states have three dimensions") };
        let split = |x: Tensor| self.split(&x);
        let mut query = split(self.query.forward(&x.narrow(1, 0, queries), train));
        if let Some(open) = open {
            // What padding asks for teaches nothing.
            query = &query * open.narrow(1, 0, queries).unsqueeze(1).unsqueeze(-1).to_kind(query.kind());
        }
        let (key, value) = (split(self.key.forward(x, train)), split(self.value.forward(x, train)));
        let parts = 1 + i64::from(self.sizes.named.0) + i64::from(self.sizes.named.1);
        let scale = 1.0 / ((hidden / self.sizes.heads * parts) as f64).sqrt();
        let mut bias = relative.and_then(|relative| self.bias(&query, &key, relative, train)).map(|bias| bias * scale);
        if let Some(open) = open {
            let pairs = open.narrow(1, 0, queries).unsqueeze(2).logical_and(&open.unsqueeze(1)).unsqueeze(1);
            let plain = || Tensor::zeros([batch, 1, queries, tokens], (Kind::Float, x.device()));
            bias = Some(bias.unwrap_or_else(plain).masked_fill(&pairs.logical_not(), CLOSED));
        }
        let options = AttentionOptions {
            bias: bias.as_ref(),
            scale: Some(scale),
            dropout: self.sizes.dropout,
            closed_rows: open.is_some(),
            ..AttentionOptions::default()
        };
        let attended = scaled_dot_product(&query, &key, &value, &options, train);
        self.output.forward(&attended.transpose(1, 2).reshape([batch, queries, hidden]), train)
    }

    /// Scores by position, not yet scaled, [B, H, Q, T].
    fn bias(&self, query: &Tensor, key: &Tensor, (table, pairs): (&Tensor, &PairRows), train: bool) -> Option<Tensor> {
        let [batch, heads, queries, _] = query.size()[..] else { panic!("queries have four dimensions") };
        let tokens = key.size()[2];
        let table = dropout(table, self.sizes.position_dropout, train).unsqueeze(0); // [1, R, D]
        let project = |own: &Option<Dense>, shared: &Dense| {
            self.split(&own.as_ref().unwrap_or(shared).forward(&table, train)).transpose(-2, -1) // [1, H, K, R]
        };
        let mut bias = None;
        if self.sizes.named.0 {
            let rows = pairs.to_position.narrow(0, 0, queries).expand([batch, heads, queries, tokens], false);
            bias = Some(query.matmul(&project(&self.position_key, &self.key)).gather(-1, &rows, false));
        }
        if self.sizes.named.1 {
            let rows = pairs.to_content.narrow(1, 0, queries).expand([batch, heads, tokens, queries], false);
            let scores = key.matmul(&project(&self.position_query, &self.query)).gather(-1, &rows, false);
            let scores = scores.transpose(-2, -1);
            bias = Some(bias.map_or_else(|| scores.shallow_clone(), |bias| bias + &scores));
        }
        bias
    }

    /// [B, T, D] → [B, H, T, K].
    fn split(&self, x: &Tensor) -> Tensor {
        let [batch, tokens, hidden] = x.size()[..] else { panic!("hidden states have three dimensions") };
        x.view([batch, tokens, self.sizes.heads, hidden / self.sizes.heads]).transpose(1, 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of transformers' `make_log_bucket_position`.
    #[test]
    fn buckets_grow_with_the_distance() {
        let places = RelativePlaces { span: 8, buckets: 8, farthest: 32 };
        let relative = Tensor::from_slice(&[-40i64, -31, -16, -8, -5, -4, -3, -1, 0, 1, 3, 4, 5, 6, 9, 20, 31]);
        assert_eq!(Vec::<i64>::try_from(places.bucketed(&relative)).unwrap(), BUCKETED);
        let all = RelativePlaces { buckets: 0, ..places };
        assert_eq!(all.bucketed(&relative), relative);
    }

    const BUCKETED: [i64; 17] = [-8, -7, -7, -6, -5, -4, -3, -1, 0, 1, 3, 4, 5, 5, 6, 7, 7];

    #[test]
    fn only_the_rows_in_use_are_read() {
        let places = RelativePlaces { span: 16, buckets: 0, farthest: 16 };
        let pairs = places.pairs(3, Device::Cpu);
        assert_eq!(pairs.rows, (14, 5));
        assert_eq!(Vec::<i64>::try_from(pairs.to_position.view([-1])).unwrap(), [2, 1, 0, 3, 2, 1, 4, 3, 2]);
        assert_eq!(Vec::<i64>::try_from(pairs.to_content.view([-1])).unwrap(), [2, 3, 4, 1, 2, 3, 0, 1, 2]);
        // Beyond the table the last row serves.
        assert_eq!(places.pairs(40, Device::Cpu).rows, (0, 32));
    }
}
