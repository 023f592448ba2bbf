//! Keys and values of the tokens that a text already has, so that each new token costs one step.
//!
//! R rows, T new tokens, S keys, C room for keys, W width of all heads of keys.

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
}

impl LayerCache {
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

    fn choose(&mut self, rows: &Tensor) {
        if let Some(held) = &mut self.held {
            *held = [0, 1].map(|i| held[i].index_select(0, rows));
        }
    }
}

/// What a decoder keeps of texts while they are continued.
#[derive(Debug)]
pub struct Cache {
    /// One for each layer.
    pub layers: Vec<LayerCache>,
    /// Which tokens so far are no padding, int64 [R, S]; `None` before the first.
    mask: Option<Tensor>,
}

impl Cache {
    /// Nothing is known yet; a window for each layer that has one.
    pub fn new(windows: impl IntoIterator<Item = Option<i64>>) -> Self {
        let layers = windows.into_iter().map(|window| LayerCache { window, ..LayerCache::default() }).collect();
        Self { layers, mask: None }
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

    /// Goes on with these of its rows, in this order: int64 \[R\]. A row may come several times.
    pub fn choose(&mut self, rows: &Tensor) {
        self.layers.iter_mut().for_each(|layer| layer.choose(rows));
        self.mask = self.mask.as_ref().map(|mask| mask.index_select(0, rows));
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
}
