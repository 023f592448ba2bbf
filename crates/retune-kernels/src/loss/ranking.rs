//! Losses of one right item among others that were drawn. M places, K drawn items, N items, D width.

use super::SummedLoss;
use tch::{Kind, Tensor};

/// Which loss of drawn items.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DrawnLoss {
    /// Cross-entropy among the right item and the drawn ones.
    Softmax,
    /// Bayesian personalised ranking (Rendle et al. 2009): the mean over the drawn ones of -log σ(right - drawn).
    Pairwise,
    /// Generalised binary cross-entropy (gSASRec, Petrov and Macdonald 2023), calibrated by so much: 0 is the usual one.
    Calibrated {
        /// t.
        calibration: f64,
        /// N.
        items: i64,
    },
}

/// The loss of `right` \[M\], scores of the right items, beside `drawn` [M, K], those of others.
pub fn drawn_items(right: &Tensor, drawn: &Tensor, loss: DrawnLoss) -> SummedLoss {
    let (right, drawn) = (right.to_kind(Kind::Float), drawn.to_kind(Kind::Float));
    let [places, count] = drawn.size()[..] else { panic!("scores of drawn items have two dimensions") };
    let sum = match loss {
        DrawnLoss::Softmax => {
            let all = Tensor::cat(&[right.unsqueeze(1), drawn], 1);
            (all.logsumexp([1i64].as_slice(), false) - right).sum(Kind::Float)
        }
        DrawnLoss::Pairwise => {
            let ahead = right.unsqueeze(1) - drawn;
            -(ahead.log_sigmoid().sum(Kind::Float) / count.max(1) as f64)
        }
        DrawnLoss::Calibrated { calibration, items } => {
            let share = count as f64 / (items - 1).max(1) as f64;
            let power = share * (calibration * (1.0 - 1.0 / share) + 1.0 / share);
            let others = (-drawn).log_sigmoid().sum(Kind::Float);
            -(right.log_sigmoid().sum(Kind::Float) * power + others) / (count + 1) as f64
        }
    };
    SummedLoss::of(sum, places as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_of_drawn_items_are_their_formulas() {
        let right = Tensor::from_slice(&[1.0f32, -0.5]);
        let drawn = Tensor::from_slice2(&[[0.5f32, 0.0], [1.0, 2.0]]);
        let value = |loss| drawn_items(&right, &drawn, loss).sum.double_value(&[]);
        let sigma = |x: f64| 1.0 / (1.0 + (-x).exp());
        let softmax = |r: f64, a: f64, b: f64| (r.exp() + a.exp() + b.exp()).ln() - r;
        assert!((value(DrawnLoss::Softmax) - softmax(1.0, 0.5, 0.0) - softmax(-0.5, 1.0, 2.0)).abs() < 1e-5);
        let pairs = [0.5, 1.0, -1.5, -2.5].map(|ahead| -sigma(ahead).ln() / 2.0).iter().sum::<f64>();
        assert!((value(DrawnLoss::Pairwise) - pairs).abs() < 1e-5);
        // Two of nine others are drawn: α = 2/9, and without calibration β = 1.
        let others = [0.5, 0.0, 1.0, 2.0].map(|score| (1.0 - sigma(score)).ln()).iter().sum::<f64>();
        let own = sigma(1.0).ln() + sigma(-0.5).ln();
        let calibrated = |calibration| value(DrawnLoss::Calibrated { calibration, items: 10 });
        assert!((calibrated(0.0) + (own + others) / 3.0).abs() < 1e-5);
        let beta = 2.0 / 9.0 * (0.75 * (1.0 - 4.5) + 4.5);
        assert!((calibrated(0.75) + (beta * own + others) / 3.0).abs() < 1e-5);
    }
}
