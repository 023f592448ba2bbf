//! The one mask convention of the workspace: `true` where a token may be attended to.
//!
//! B batch, T tokens that attend (queries), S tokens that are attended to (keys).

use crate::{KernelError, Packing, device};
use tch::{Device, Kind, Tensor};

/// Which keys each query may attend to, the same for all heads.
#[derive(Debug)]
pub struct AttentionMask {
    allowed: Allowed,
    /// Number of keys before that of the first query, where no query looks ahead.
    causal: Option<i64>,
    /// How many keys up to its own each query sees, where it does not look ahead.
    window: Option<i64>,
    /// How many places to either side each query sees, where it does look ahead.
    reach: Option<i64>,
    /// The document of each token, int64 [B, T]: none attends to another's.
    documents: Option<Tensor>,
}

#[derive(Debug)]
enum Allowed {
    /// All of them.
    All,
    /// Those that are no padding.
    Keys {
        open: Tensor, // bool [B, S]
        trivial: bool,
    },
    /// Those of its own sequence.
    Sequence(Packing),
}

impl AttentionMask {
    fn of(allowed: Allowed) -> Self {
        Self { allowed, causal: None, window: None, reach: None, documents: None }
    }

    /// Lets every query attend to every key.
    pub fn open() -> Self {
        Self::of(Allowed::All)
    }

    /// Reads Hugging Face's `attention_mask` of the keys [B, S], 1 for a token and 0 for padding, for activations on
    /// `device`. Queries may be others than these tokens, as in cross attention. Best given on the host: what is elsewhere
    /// is waited for.
    ///
    /// # Errors
    /// Rows that attend to nothing are refused.
    pub fn padding(attention_mask: &Tensor, device: Device) -> Result<Self, KernelError> {
        let open = attention_mask.f_to_device(Device::Cpu)?.f_to_kind(Kind::Bool)?;
        let tokens = open.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64);
        if let Some(row) = Vec::<i64>::try_from(&tokens)?.iter().position(|&n| n == 0) {
            return Err(KernelError::EmptyMaskRow { row: row as i64 });
        }
        let trivial = tokens.min().int64_value(&[]) == open.size()[1];
        Ok(Self::of(Allowed::Keys { open: device::send(&open, device)?, trivial }))
    }

    /// Keeps each query of a packed batch in its own sequence.
    pub fn packed(packing: Packing) -> Self {
        Self::of(Allowed::Sequence(packing))
    }

    /// The same mask without looking ahead: the query at place i attends to keys up to place `past` + i, where `past` is
    /// the number of keys from before these queries (a cache; 0 where there is none).
    ///
    /// # Errors
    /// Where `past` is below 0, or above it with packed sequences.
    pub fn causal(self, past: i64) -> Result<Self, KernelError> {
        let packed = matches!(self.allowed, Allowed::Sequence(_));
        if past < 0 || (packed && past > 0) {
            return Err(KernelError::Causal { past, packed });
        }
        Ok(Self { causal: Some(past), ..self })
    }

    /// The same causal mask with a sliding window (Beltagy et al. 2020): each query sees its own key and the `size` - 1 before.
    ///
    /// # Errors
    /// A window below 1, of a mask that is not causal, or of packed sequences.
    pub fn window(self, size: i64) -> Result<Self, KernelError> {
        if size < 1 || self.causal.is_none() || self.packing().is_some() {
            return Err(KernelError::Window { size });
        }
        Ok(Self { window: Some(size), ..self })
    }

    /// The same mask with a window around each query (Beltagy et al. 2020): it sees `reach` keys to either side and its own; queries are
    /// the first of the keys.
    ///
    /// # Errors
    /// A window of less than nothing, of a causal mask, or of packed sequences.
    pub fn nearby(self, reach: i64) -> Result<Self, KernelError> {
        if reach < 0 || self.causal.is_some() || self.packing().is_some() {
            return Err(KernelError::Window { size: 2 * reach + 1 });
        }
        Ok(Self { reach: Some(reach), ..self })
    }

    /// The same mask where each token attends to its own document alone: `of` int64 [B, T] numbers the documents of a row,
    /// queries and keys are the same tokens.
    ///
    /// # Errors
    /// With keys from before these queries, or with packed sequences, which are apart already.
    pub fn documents(self, of: &Tensor) -> Result<Self, KernelError> {
        let (past, packed) = (self.causal.unwrap_or(0), self.packing().is_some());
        if past > 0 || packed {
            return Err(KernelError::Causal { past, packed });
        }
        Ok(Self { documents: Some(of.shallow_clone()), ..self })
    }

    /// Whether every key may be attended to by every query.
    pub fn is_trivial(&self) -> bool {
        self.causal.is_none() && self.reach.is_none() && self.documents.is_none() && self.has_no_padding()
    }

    fn has_no_padding(&self) -> bool {
        matches!(self.allowed, Allowed::All | Allowed::Keys { trivial: true, .. })
    }

    /// Whether nothing but looking ahead is forbidden among so many keys, none of them from before.
    pub(crate) fn is_only_causal(&self, keys: i64) -> bool {
        self.causal == Some(0)
            && self.window_within(keys).is_none()
            && self.documents.is_none()
            && self.has_no_padding()
    }

    /// The window, where it hides any of so many keys.
    fn window_within(&self, keys: i64) -> Option<i64> {
        self.window.filter(|&size| size < keys)
    }

    /// Whether what a query sees depends on its place: not so for the only query of a step of generation, unless there is a
    /// window.
    pub(crate) fn depends_on_queries(&self, keys: i64) -> bool {
        self.documents.is_some()
            || self.window_within(keys).is_some()
            || self.reach.is_some_and(|reach| reach < keys - 1)
            || self.causal.is_some_and(|past| past < keys - 1)
    }

    /// The first key that each query sees and the one behind the last, int32 [1 or B, Q, 2], where that depends on the query; keys in
    /// between may be padding all the same. `None` where documents do not lie side by side.
    pub(crate) fn bounds(&self, (queries, keys): (i64, i64)) -> Option<Tensor> {
        let around = |query: i64| {
            let end = self.causal.map(|past| past + query + 1).or(self.reach.map(|reach| query + reach + 1));
            let first = self.window_within(keys).zip(self.causal).map(|(size, past)| past + query + 1 - size);
            let (first, end) = (first.or(self.reach.map(|reach| query - reach)).unwrap_or(0), end.unwrap_or(keys));
            (first.clamp(0, keys), end.clamp(0, keys))
        };
        let documents = match &self.documents {
            None => {
                let bounds: Vec<i32> = (0..queries).map(around).flat_map(|(a, b)| [a as i32, b as i32]).collect();
                return Some(Tensor::from_slice(&bounds).view([1, queries, 2]));
            }
            Some(of) => of,
        };
        let rows = documents.size()[0];
        let of = Vec::<i64>::try_from(documents.to_kind(Kind::Int64).contiguous().view([-1])).ok()?;
        let mut bounds = Vec::with_capacity(of.len() * 2);
        for row in of.chunks_exact(keys.max(1) as usize) {
            let mut seen = std::collections::HashSet::new();
            for document in row.chunk_by(|a, b| a == b) {
                if !seen.insert(document[0]) {
                    return None;
                }
                let start = bounds.len() as i64 / 2 % keys;
                let stop = start + document.len() as i64;
                for query in start..stop {
                    let (first, end) = around(query);
                    bounds.extend([first.max(start) as i32, end.min(stop) as i32]);
                }
            }
        }
        (queries == keys).then(|| Tensor::from_slice(&bounds).view([rows, queries, 2]))
    }

    /// Whether some query, itself padding, sees padding alone within these [`Self::bounds`]; not asked of documents, whose padding
    /// nobody reads.
    pub(crate) fn closes_rows(&self, bounds: &Tensor) -> bool {
        let Some(open) = self.keys().filter(|_| self.documents.is_none()) else { return false };
        let (rows, keys) = (open.size()[0], open.size()[1]);
        let before = open.to_kind(Kind::Int64).cumsum(1, Kind::Int64).constant_pad_nd([1, 0]); // open keys before a place
        let ends = bounds.to_kind(Kind::Int64).expand([rows, -1, 2], false).clamp(0, keys);
        let [first, end] = [0, 1].map(|side| before.gather(1, &ends.select(2, side), false));
        (end - first).min().int64_value(&[]) == 0
    }

    /// How the batch is packed, if it is.
    pub fn packing(&self) -> Option<&Packing> {
        match &self.allowed {
            Allowed::Sequence(packing) => Some(packing),
            Allowed::All | Allowed::Keys { .. } => None,
        }
    }

    /// Which keys are no padding, bool [B, S], where some are.
    pub(crate) fn keys(&self) -> Option<&Tensor> {
        match &self.allowed {
            Allowed::Keys { open, trivial: false } => Some(open),
            _ => None,
        }
    }

    /// Whether each query may attend to each key, bool and broadcastable to [B, 1, T, S] ([1, 1, T, S] of a packed batch);
    /// `None` where all may.
    pub fn allowed(&self, (queries, keys): (i64, i64), device: Device) -> Option<Tensor> {
        let of_keys = match &self.allowed {
            Allowed::Sequence(packing) => {
                return Some(packing.allowed(queries, keys, self.causal.is_some()));
            }
            _ => self.keys().map(|open| open.unsqueeze(1).unsqueeze(1)),
        };
        if !self.depends_on_queries(keys) {
            return of_keys;
        }
        let places = |count: i64| Tensor::arange(count, (Kind::Int64, device));
        let behind = self.causal.map(|past| {
            let (of_queries, of_keys) = ((places(queries) + past).unsqueeze(1), places(keys).unsqueeze(0));
            let behind = of_keys.le_tensor(&of_queries);
            let behind = match self.window_within(keys) {
                Some(size) => behind.logical_and(&of_keys.gt_tensor(&(of_queries - size))),
                None => behind,
            };
            behind.unsqueeze(0).unsqueeze(0)
        });
        let near = self.reach.map(|reach| {
            let apart = places(queries).unsqueeze(1) - places(keys).unsqueeze(0);
            apart.abs().le(reach).unsqueeze(0).unsqueeze(0)
        });
        let same =
            self.documents.as_ref().map(|of| of.unsqueeze(1).unsqueeze(3).eq_tensor(&of.unsqueeze(1).unsqueeze(1)));
        [of_keys, behind, near, same].into_iter().flatten().reduce(|a, b| a.logical_and(&b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_padding_is_refused() {
        let mask = Tensor::from_slice2(&[[1i64, 1], [0, 0]]);
        assert!(matches!(AttentionMask::padding(&mask, Device::Cpu), Err(KernelError::EmptyMaskRow { row: 1 })));
    }

    #[test]
    fn padding_is_not_attended_to() {
        let mask = AttentionMask::padding(&Tensor::from_slice2(&[[1i64, 0], [1, 1]]), Device::Cpu).unwrap();
        assert!(!mask.is_trivial());
        let allowed = mask.allowed((3, 2), Device::Cpu).unwrap();
        assert_eq!(allowed.size(), [2, 1, 1, 2]);
        assert_eq!(Vec::<bool>::try_from(allowed.view([-1])).unwrap(), [true, false, true, true]);
        let whole = AttentionMask::padding(&Tensor::from_slice2(&[[1i64, 1]]), Device::Cpu).unwrap();
        assert!(whole.is_trivial() && whole.allowed((2, 2), Device::Cpu).is_none());
    }

    #[test]
    fn the_last_query_looks_at_all_keys() {
        let mask = AttentionMask::open().causal(4).unwrap();
        assert!(mask.allowed((1, 5), Device::Cpu).is_none() && !mask.is_trivial());
        let allowed = mask.allowed((2, 6), Device::Cpu).unwrap();
        assert_eq!(allowed.size(), [1, 1, 2, 6]);
        let open = [true, true, true, true, true, false, true, true, true, true, true, true];
        assert_eq!(Vec::<bool>::try_from(allowed.view([-1])).unwrap(), open);
        assert!(AttentionMask::open().causal(-1).is_err());
        let packing = || Packing::new(&Tensor::from_slice2(&[[1i64, 0], [1, 1]]), Device::Cpu).unwrap().unwrap();
        assert!(AttentionMask::packed(packing()).causal(1).is_err());
        // The first token of a sequence has nothing before itself.
        let firsts = AttentionMask::packed(packing()).causal(0).unwrap().allowed((2, 64), Device::Cpu).unwrap();
        let rows = firsts.sum_dim_intlist([3i64].as_slice(), false, Kind::Int64);
        assert_eq!(Vec::<i64>::try_from(rows.view([-1])).unwrap(), [1, 1]);
    }

    #[test]
    fn a_window_hides_what_lies_far_back() {
        let seen = |mask: &AttentionMask, places: (i64, i64)| {
            let allowed = mask.allowed(places, Device::Cpu).unwrap();
            Vec::<i64>::try_from(allowed.sum_dim_intlist([3i64].as_slice(), false, Kind::Int64).view([-1])).unwrap()
        };
        let mask = || AttentionMask::open().causal(0).unwrap().window(2).unwrap();
        assert_eq!(seen(&mask(), (4, 4)), [1, 2, 2, 2]);
        assert!(mask().depends_on_queries(4) && !mask().is_only_causal(4) && mask().is_only_causal(2));
        // One query of a step of generation.
        let step = AttentionMask::open().causal(4).unwrap().window(3).unwrap();
        assert_eq!(seen(&step, (1, 5)), [3]);
        assert!(
            AttentionMask::open().window(2).is_err() && AttentionMask::open().causal(0).unwrap().window(0).is_err()
        );
    }

    #[test]
    fn a_window_lies_around_a_token() {
        let seen = |mask: &AttentionMask, places: (i64, i64)| {
            let allowed = mask.allowed(places, Device::Cpu).unwrap();
            Vec::<i64>::try_from(allowed.sum_dim_intlist([3i64].as_slice(), false, Kind::Int64).view([-1])).unwrap()
        };
        let mask = || AttentionMask::open().nearby(1).unwrap();
        assert_eq!((seen(&mask(), (4, 4)), seen(&mask(), (1, 4))), (vec![2, 3, 3, 2], vec![2]));
        assert!(mask().depends_on_queries(4) && !mask().depends_on_queries(2) && !mask().is_trivial());
        let bounds = Vec::<i32>::try_from(mask().bounds((3, 4)).unwrap().view([-1])).unwrap();
        assert_eq!(bounds, [0, 2, 0, 3, 1, 4]);
        assert!(
            AttentionMask::open().nearby(-1).is_err() && AttentionMask::open().causal(0).unwrap().nearby(1).is_err()
        );
    }

    #[test]
    fn documents_do_not_see_each_other() {
        let documents = Tensor::from_slice2(&[[0i64, 0, 1], [0, 1, 1]]);
        let mask = AttentionMask::open().causal(0).unwrap().documents(&documents).unwrap();
        assert!(!mask.is_only_causal(3) && !mask.is_trivial());
        let allowed = mask.allowed((3, 3), Device::Cpu).unwrap();
        let open = [true, false, false, true, true, false, false, false, true];
        let other = [true, false, false, false, true, false, false, true, true];
        assert_eq!(Vec::<bool>::try_from(allowed.view([-1])).unwrap(), [open, other].concat());
        assert!(AttentionMask::open().causal(2).unwrap().documents(&documents).is_err());
    }
}
