//! SpecAugment (Park et al. 2019) on the frames of a model: spans of time are replaced, spans of features are zeroed, while
//! training.
//!
//! Hugging Face's `_mask_hidden_states` by `_compute_mask_indices`, with numbers of the stream of dropout. B batch, T frames, D
//! hidden size.

use retune_kernels::tch::{Device, Kind, Tensor};
use retune_kernels::{dropout, random};

/// Spans along one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spans {
    /// The share of the axis that would be covered if spans did not overlap.
    pub share: f64,
    /// Places of a span.
    pub length: i64,
    /// Spans at least.
    pub least: i64,
}

/// Which spans are masked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpecAugment {
    /// Along time.
    pub time: Spans,
    /// Along features.
    pub feature: Spans,
}

impl Spans {
    /// Which of `width` places are masked in each row, bool [B, width]; rows have so many `lengths` of them. `None` where
    /// nothing is: spans that are longer than the axis are none.
    pub fn draw(&self, lengths: &[i64], width: i64) -> Option<Tensor> {
        if self.share <= 0.0 || self.length < 1 || self.length > width {
            return None;
        }
        let key = dropout::next_seed();
        // Rounds up as often as the fraction says, alike for all rows.
        let rounding = random::uniform(key, 1)[0];
        let mut mask = vec![false; lengths.len() * width as usize];
        for (row, &length) in lengths.iter().enumerate() {
            let begins = length - (self.length - 1);
            let wanted = (self.share * length as f64 / self.length as f64 + rounding) as i64;
            let count = wanted.max(self.least).min(width / self.length).min(begins.max(0));
            // The first of a shuffle: places without replacement.
            let mut places: Vec<i64> = (0..begins.max(0)).collect();
            let numbers = random::uniform(random::mix(&[key, row as u64]), count.max(0) as usize);
            for (i, number) in numbers.into_iter().enumerate() {
                let other = i + (number * (places.len() - i) as f64) as usize;
                places.swap(i, other);
                let begin = row * width as usize + places[i] as usize;
                mask[begin..begin + self.length as usize].fill(true);
            }
        }
        Some(Tensor::from_slice(&mask).view([lengths.len() as i64, width]))
    }
}

impl SpecAugment {
    /// Of `x` [B, T, D], frames that `given` names (bool [B, T]), else drawn spans of them, become `embedding` \[D\], drawn spans
    /// of features 0; nothing is drawn unless `train`. `mask` [B, T] says which frames are no padding.
    pub fn apply(
        &self,
        x: Tensor,
        mask: Option<&Tensor>,
        (given, embedding): (Option<&Tensor>, Option<&Tensor>),
        train: bool,
    ) -> Tensor {
        let [batch, frames, hidden] = x.size()[..] else { panic!("hidden states have three dimensions") };
        let lengths = || match mask {
            Some(mask) => {
                let counts = mask.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64).to_device(Device::Cpu);
                Vec::<i64>::try_from(counts).expect("whole numbers")
            }
            None => vec![frames; batch as usize],
        };
        let drawn = if train && given.is_none() { self.time.draw(&lengths(), frames) } else { None };
        let mut x = x;
        if let Some((masked, embedding)) = given.or(drawn.as_ref()).zip(embedding) {
            let masked = masked.to_device(x.device()).to_kind(Kind::Bool).unsqueeze(2);
            x = embedding.to_kind(x.kind()).where_self(&masked, &x);
        }
        let features = if train { self.feature.draw(&vec![hidden; batch as usize], hidden) } else { None };
        features.map_or(x.shallow_clone(), |features| x.masked_fill(&features.to_device(x.device()).unsqueeze(1), 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_their_share_and_stay_inside() {
        dropout::set_stream(7);
        let spans = Spans { share: 0.2, length: 5, least: 2 };
        let lengths = vec![100i64; 400];
        let mask = spans.draw(&lengths, 120).unwrap();
        assert!(!bool::try_from(mask.narrow(1, 100, 20).any()).unwrap(), "beyond the end of the rows");
        let share = mask.narrow(1, 0, 100).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        // Four spans of five of a hundred, less what overlaps.
        assert!((0.17..0.2).contains(&share), "{share}");
        let again = spans.draw(&lengths, 120).unwrap();
        assert_ne!(mask, again);
        dropout::set_stream(7);
        assert_eq!(spans.draw(&lengths, 120).unwrap(), mask);
    }

    #[test]
    fn short_rows_take_no_spans() {
        dropout::set_stream(1);
        let spans = Spans { share: 0.5, length: 4, least: 2 };
        let mask = spans.draw(&[3, 4, 20], 20).unwrap().sum_dim_intlist([1i64].as_slice(), false, Kind::Int64);
        let masked = Vec::<i64>::try_from(mask).unwrap();
        assert_eq!(masked[..2], [0, 4]);
        assert!(masked[2] >= 4);
        assert!(spans.draw(&[3], 3).is_none());
        assert!(Spans { share: 0.0, ..spans }.draw(&[20], 20).is_none());
    }
}
