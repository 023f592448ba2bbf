//! Keys and values of the tokens that a text already has, so that each new token costs one step.
//!
//! R rows, T new tokens, S keys, C room for keys, W width of all heads of keys; M texts that are read, D hidden size.

use crate::ModelError;
use retune_kernels::AttentionMask;
use retune_kernels::tch::{Kind, Tensor};

/// What one layer keeps.
#[derive(Debug, Default)]
pub struct LayerCache {
    /// Keys and values, [R, C, W] each.
    held: Option<[Tensor; 2]>,
    /// How many of C are in use.
    length: i64,
    /// How many keys up to its own a query sees.
    window: Option<i64>,
    /// Keys and values of what is read, [M, S, W] each, once there are some.
    memory: Option<[Tensor; 2]>,
}

impl LayerCache {
    /// Keys and values of what is read, which `make` computes once.
    pub fn of_memory(&mut self, make: impl FnOnce() -> [Tensor; 2]) -> [Tensor; 2] {
        self.memory.get_or_insert_with(make).each_ref().map(Tensor::shallow_clone)
    }

    /// Adds `key` and `value` [R, T, W]; returns all that these tokens may see of them, [R, S, W]: with a window of w that is
    /// the last w - 1 + T at most.
    pub fn append(&mut self, key: &Tensor, value: &Tensor) -> [Tensor; 2] {
        let new = key.size()[1];
        // What a window has left behind is given up as soon as there is no room.
        if self.held.as_ref().is_none_or(|[keys, _]| self.length + new > keys.size()[1]) {
            let kept = self.seen_before();
            let room = ((kept + new) * 3 / 2).max(32);
            let grown = |old: Option<&Tensor>, like: &Tensor| {
                let size = like.size();
                let whole = Tensor::empty([size[0], room, size[2]], (like.kind(), like.device()));
                if let Some(old) = old {
                    whole.narrow(1, 0, kept).copy_(&old.narrow(1, self.length - kept, kept));
                }
                whole
            };
            let old = self.held.as_ref();
            self.held = Some([grown(old.map(|[keys, _]| keys), key), grown(old.map(|[_, values]| values), value)]);
            self.length = kept;
        }
        let seen = self.seen_before() + new;
        let [keys, values] = self.held.as_ref().expect("made above");
        keys.narrow(1, self.length, new).copy_(key);
        values.narrow(1, self.length, new).copy_(value);
        self.length += new;
        [keys, values].map(|held| held.narrow(1, self.length - seen, seen))
    }

    /// Keys of earlier tokens that the next ones may see.
    fn seen_before(&self) -> i64 {
        self.window.map_or(self.length, |window| self.length.min(window - 1))
    }

    /// Gives up the keys and values of the text.
    fn forget(&mut self) {
        (self.held, self.length) = (None, 0);
    }

    fn choose(&mut self, rows: &Tensor) {
        if let Some(held) = &mut self.held {
            *held = [0, 1].map(|i| held[i].index_select(0, rows));
        }
    }
}

/// What a decoder reads beside its own text: what an encoder returned, the same for all rows that are written about it.
#[derive(Debug)]
pub struct Memory {
    states: Tensor,        // [M, S, D]
    given: Option<Tensor>, // [M, S], 1 where there is no padding
    mask: AttentionMask,   // of `given`
    of_row: Vec<i64>,      // which of M each row reads
}

impl Memory {
    /// `states` [M, S, D] and the mask [M, S] of what is no padding; each text is read by one row at first.
    ///
    /// # Errors
    /// Texts that are nothing but padding.
    pub fn new(states: Tensor, given: Option<Tensor>) -> Result<Self, ModelError> {
        let mask = seen(given.as_ref(), &states)?;
        let of_row = (0..states.size()[0]).collect();
        Ok(Self { states, given, mask, of_row })
    }

    /// [M, S, D].
    pub fn states(&self) -> &Tensor {
        &self.states
    }

    /// Which of S keys may be seen.
    pub fn mask(&self) -> &AttentionMask {
        &self.mask
    }

    /// Goes on with these rows; returns which of the texts are still there, where they are others than before. Rows that read
    /// the same text stand side by side and are equally many; where they would not, each has a copy of its own.
    fn choose(&mut self, rows: &[i64]) -> Option<Tensor> {
        let of_row: Vec<i64> = rows.iter().map(|&row| self.of_row[row as usize]).collect();
        let runs: Vec<&[i64]> = of_row.chunk_by(|a, b| a == b).collect();
        let even = runs.iter().all(|run| run.len() == runs[0].len());
        let kept: Vec<i64> = if even { runs.iter().map(|run| run[0]).collect() } else { of_row.clone() };
        let times = of_row.len() / kept.len().max(1);
        self.of_row = (0..kept.len() as i64).flat_map(|text| std::iter::repeat_n(text, times)).collect();
        if kept.iter().copied().eq(0..self.states.size()[0]) {
            return None;
        }
        let kept = Tensor::from_slice(&kept).to_device(self.states.device());
        self.states = self.states.index_select(0, &kept);
        self.given = self.given.as_ref().map(|given| given.index_select(0, &kept.to_device(given.device())));
        self.mask = seen(self.given.as_ref(), &self.states).expect("rows of a mask that was fine");
        Some(kept)
    }
}

/// The keys that a mask [M, S] opens, all where there is none, for states that lie where `states` do.
pub(crate) fn seen(given: Option<&Tensor>, states: &Tensor) -> Result<AttentionMask, ModelError> {
    Ok(given.map_or_else(|| Ok(AttentionMask::open()), |given| AttentionMask::padding(given, states.device()))?)
}

/// What a decoder keeps of texts while they are continued.
#[derive(Debug)]
pub struct Cache {
    /// One for each layer.
    pub layers: Vec<LayerCache>,
    /// What is read beside.
    pub memory: Option<Memory>,
    /// Which tokens so far are no padding, int64 [R, S]; `None` before the first.
    mask: Option<Tensor>,
    /// The tokens themselves, int64 [R, S], where they may have to be read anew.
    tokens: Option<Tensor>,
}

impl Cache {
    /// Nothing is known yet; a window for each layer that has one.
    pub fn new(windows: impl IntoIterator<Item = Option<i64>>) -> Self {
        let layers = windows.into_iter().map(|window| LayerCache { window, ..LayerCache::default() }).collect();
        Self { layers, memory: None, mask: None, tokens: None }
    }

    /// The same, beside what is read.
    #[must_use]
    pub fn over(self, memory: Memory) -> Self {
        Self { memory: Some(memory), ..self }
    }

    /// Tokens so far, padding included.
    pub fn length(&self) -> i64 {
        self.mask.as_ref().map_or(0, |mask| mask.size()[1])
    }

    /// Takes note of new tokens by their `attention_mask` [R, T]; returns the mask of all so far [R, S], and positions of the
    /// new ones [R, T], which count tokens that are no padding.
    pub fn extend(&mut self, attention_mask: &Tensor) -> (Tensor, Tensor) {
        let new = attention_mask.size()[1];
        let mask = match &self.mask {
            Some(mask) => Tensor::cat(&[mask, attention_mask], 1),
            None => attention_mask.shallow_clone(),
        };
        let positions = (mask.cumsum(1, Kind::Int64) - 1).clamp_min(0);
        let positions = positions.narrow(1, mask.size()[1] - new, new);
        self.mask = Some(mask.shallow_clone());
        (mask, positions)
    }

    /// Keeps the new tokens `input_ids` [R, T], too; returns all so far [R, S].
    pub fn remember(&mut self, input_ids: &Tensor) -> Tensor {
        let tokens = match &self.tokens {
            Some(tokens) => Tensor::cat(&[tokens, input_ids], 1),
            None => input_ids.shallow_clone(),
        };
        self.tokens = Some(tokens.shallow_clone());
        tokens
    }

    /// Gives up keys and values of all tokens, which are read anew.
    pub fn forget(&mut self) {
        self.layers.iter_mut().for_each(LayerCache::forget);
    }

    /// Goes on with these of its rows, in this order: int64 \[R\]. A row may come several times.
    pub fn choose(&mut self, rows: &Tensor) {
        self.layers.iter_mut().for_each(|layer| layer.choose(rows));
        if let Some(memory) = &mut self.memory {
            let rows = Vec::<i64>::try_from(rows).expect("numbers of rows");
            if let Some(texts) = memory.choose(&rows) {
                let of_layers = self.layers.iter_mut().filter_map(|layer| layer.memory.as_mut());
                of_layers.for_each(|held| *held = [0, 1].map(|i| held[i].index_select(0, &texts)));
            }
        }
        for held in [&mut self.mask, &mut self.tokens] {
            *held = held.as_ref().map(|held| held.index_select(0, rows));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_kernels::tch::Device;

    fn numbers(first: i64, count: i64) -> Tensor {
        Tensor::arange_start(first, first + count, (Kind::Float, Device::Cpu)).view([1, count, 1])
    }

    #[test]
    fn all_keys_are_kept_while_room_grows() {
        let mut layer = LayerCache::default();
        let _ = layer.append(&numbers(0, 30), &numbers(100, 30));
        for token in 30..200 {
            let [keys, values] = layer.append(&numbers(token, 1), &numbers(100 + token, 1));
            assert_eq!(keys, numbers(0, token + 1));
            assert_eq!(values, numbers(100, token + 1));
        }
        layer.choose(&Tensor::from_slice(&[0i64, 0]));
        let [keys, _] = layer.append(&numbers(200, 1).repeat([2, 1, 1]), &numbers(0, 1).repeat([2, 1, 1]));
        assert_eq!(keys, numbers(0, 201).repeat([2, 1, 1]));
    }

    #[test]
    fn a_window_sees_and_keeps_no_more_than_it_needs() {
        let mut layer = LayerCache { window: Some(5), ..LayerCache::default() };
        assert_eq!(layer.append(&numbers(0, 9), &numbers(0, 9))[0], numbers(0, 9));
        for token in 9..300 {
            let [keys, _] = layer.append(&numbers(token, 1), &numbers(token, 1));
            assert_eq!(keys, numbers(token - 4, 5));
        }
        assert!(layer.held.unwrap()[0].size()[1] <= 32);
        // Several tokens at once see what each of them needs.
        let mut layer = LayerCache { window: Some(5), ..LayerCache::default() };
        let _ = layer.append(&numbers(0, 9), &numbers(0, 9));
        assert_eq!(layer.append(&numbers(9, 3), &numbers(9, 3))[0], numbers(5, 7));
    }

    #[test]
    fn what_is_read_is_kept_once_for_all_rows_about_it() {
        let states = || Tensor::arange(6, (Kind::Float, Device::Cpu)).view([3, 2, 1]);
        let mut cache = Cache::new([None]).over(Memory::new(states(), None).unwrap());
        let _ = cache.layers[0].of_memory(|| [states(), states() + 10.0]);
        let rows = |rows: &[i64]| Tensor::from_slice(rows);
        let held = |cache: &mut Cache| {
            let [keys, values] = cache.layers[0].of_memory(|| panic!("they are known"));
            assert_eq!(&keys + 10.0, values);
            assert_eq!(cache.memory.as_ref().unwrap().states(), &keys);
            keys
        };
        cache.choose(&rows(&[0, 0, 1, 1, 2, 2]));
        assert_eq!(held(&mut cache), states());
        // Beams change places, each of its own text; the second text is done.
        cache.choose(&rows(&[1, 1, 5, 4]));
        assert_eq!(held(&mut cache), states().index_select(0, &rows(&[0, 2])));
        // No longer equally many.
        cache.choose(&rows(&[0, 2, 3]));
        assert_eq!(held(&mut cache), states().index_select(0, &rows(&[0, 2, 2])));
        cache.choose(&rows(&[2]));
        assert_eq!(held(&mut cache), states().index_select(0, &rows(&[2])));
    }
}
