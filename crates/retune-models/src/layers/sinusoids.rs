//! Positions as sines and cosines that nothing learns (Vaswani et al. 2017, §3.5): sines in the first half, cosines in the second.
//!
//! transformers' `MarianSinusoidalPositionalEmbedding`, `M2M100SinusoidalPositionalEmbedding`. D hidden size.

use retune_kernels::tch::{Device, Kind, Tensor};

/// A table of so many `rows` [rows, D] whose wavelengths are those of Marian: column i has 10000^(2·⌊i/2⌋/D).
pub fn marian_sinusoids(rows: i64, width: i64, device: Device) -> Tensor {
    let angle = |row: i64, column: i64| row as f64 / 10_000f64.powf((2 * (column / 2)) as f64 / width as f64);
    let mut values = Vec::with_capacity((rows * width) as usize);
    for row in 0..rows {
        values.extend((0..width).step_by(2).map(|column| angle(row, column).sin() as f32));
        values.extend((1..width).step_by(2).map(|column| angle(row, column).cos() as f32));
    }
    Tensor::from_slice(&values).view([rows, width]).to_device(device)
}

/// Those of fairseq, by the number of a place; that of `padding` is all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sinusoids {
    /// D.
    pub width: i64,
    /// The place of padding; the first token has the one after it.
    pub padding: i64,
}

impl Sinusoids {
    /// Places of tokens `ids` [B, T] behind `past` others: those that are padding have the place of padding.
    pub fn places(&self, ids: &Tensor, past: i64) -> Tensor {
        let real = ids.ne(self.padding).to_kind(Kind::Int64);
        (real.cumsum(1, Kind::Int64) + past) * real + self.padding
    }

    /// `places` [B, T], int64; returns [B, T, D], in the operations and the precision of transformers.
    pub fn of(&self, places: &Tensor) -> Tensor {
        let half = self.width / 2;
        let options = (Kind::Float, places.device());
        let step = 10_000f64.ln() / (half - 1) as f64;
        let frequencies = (Tensor::arange(half, options) * -step).exp();
        let angles = places.to_kind(Kind::Float).unsqueeze(-1) * frequencies;
        let mut parts = vec![angles.sin(), angles.cos()];
        if self.width % 2 == 1 {
            let size = [places.size(), vec![1]].concat();
            parts.push(Tensor::zeros(&size, options));
        }
        Tensor::cat(&parts, -1).masked_fill(&places.eq(self.padding).unsqueeze(-1), 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sines_stand_before_cosines() {
        let table = marian_sinusoids(4, 5, Device::Cpu);
        let second = 10_000f64.powf(-2.0 / 5.0);
        for (column, expected) in [3f64.sin(), (3.0 * second).sin(), 3f64.cos()].into_iter().enumerate() {
            let column = if column == 2 { 3 } else { column as i64 };
            assert!((table.double_value(&[3, column]) - expected).abs() < 1e-6);
        }
        let places = Sinusoids { width: 5, padding: 1 };
        let ids = Tensor::from_slice2(&[[1i64, 7, 8]]);
        assert_eq!(Vec::<i64>::try_from(places.places(&ids, 0).view([-1])).unwrap(), [1, 2, 3]);
        assert_eq!(Vec::<i64>::try_from(places.places(&ids, 4).view([-1])).unwrap(), [1, 6, 7]);
        let found = places.of(&places.places(&ids, 0));
        let row: Vec<f64> = Vec::try_from(found.get(0).get(1).to_kind(Kind::Double)).unwrap();
        let expected = [2f64.sin(), (2e-4f64).sin(), 2f64.cos(), (2e-4f64).cos(), 0.0];
        assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{row:?}");
        assert_eq!(found.get(0).get(0).abs().max().double_value(&[]), 0.0);
    }
}
