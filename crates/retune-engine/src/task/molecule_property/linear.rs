//! The baseline of molecules: linear models on circular fingerprints, which published studies find hard to beat.
//!
//! Logistic regression or ridge regression with an intercept; how strongly weights are held back is chosen on a fifth of the
//! training molecules. Full gradients with Nesterov's momentum: nothing is random.

use super::{BITS, MoleculeProperty, RADIUS};
use crate::task::Data;
use anyhow::Result;
use retune_data::molecule::{Molecule, circular_fingerprint};

/// Passes over the molecules.
const PASSES: usize = 200;
/// How strongly weights are held back, per molecule.
const PENALTIES: [f64; 4] = [0.3, 1.0, 3.0, 10.0];

/// Places of the surroundings of a molecule's atoms; none where it is no molecule.
pub(super) fn bits(smiles: &str) -> Vec<u32> {
    Molecule::parse(smiles).map_or_else(|_| Vec::new(), |molecule| circular_fingerprint(&molecule, RADIUS, BITS))
}

/// A linear model for each property.
pub(super) struct Linear {
    /// Weights, and the intercept behind them.
    models: Vec<Vec<f64>>,
    numbers: bool,
}

/// Molecules as bits, with what is known of one property: bits and its number.
type Known<'a> = Vec<(&'a [u32], f64)>;

impl Linear {
    /// Learns from the training data.
    pub(super) fn fit(train: &Data<MoleculeProperty>, properties: usize, numbers: bool) -> Result<Self> {
        let rows = train.medium().molecule_rows();
        let all = train.inner_examples().into_iter().map(|example| Ok(bits(&rows.smiles(example)?)));
        let all = all.collect::<Result<Vec<Vec<u32>>>>()?;
        let golds = train.golds()?;
        let of = |property: usize| {
            let pairs = all.iter().zip(&golds).map(|(bits, gold)| (bits.as_slice(), f64::from(gold[property])));
            best(&pairs.filter(|(_, gold)| !gold.is_nan()).collect(), numbers)
        };
        Ok(Self { models: (0..properties).map(of).collect(), numbers })
    }

    /// A probability or number for each property.
    pub(super) fn predict(&self, bits: &[u32]) -> Vec<f32> {
        self.models.iter().map(|model| said(model, bits, self.numbers) as f32).collect()
    }
}

/// The model with the penalty that does best on every fifth molecule, learnt from all.
fn best(known: &Known<'_>, numbers: bool) -> Vec<f64> {
    let part = |held: bool| {
        let all = known.iter().enumerate().filter(move |(at, _)| (at % 5 == 4) == held);
        all.map(|(_, it)| *it).collect::<Known<'_>>()
    };
    let (kept, held) = (part(false), part(true));
    let loss = |penalty: f64| {
        let model = learn(&kept, penalty, numbers);
        held.iter().map(|(bits, gold)| wrong(said(&model, bits, numbers), *gold, numbers)).sum::<f64>()
    };
    let losses = PENALTIES.map(|penalty| (penalty, if held.is_empty() { 0.0 } else { loss(penalty) }));
    let chosen = losses.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(1.0, |it| it.0);
    learn(known, chosen, numbers)
}

fn raw(model: &[f64], bits: &[u32]) -> f64 {
    bits.iter().map(|&bit| model[bit as usize]).sum::<f64>() + model[BITS]
}

fn said(model: &[f64], bits: &[u32], numbers: bool) -> f64 {
    let raw = raw(model, bits);
    if numbers { raw } else { 1.0 / (1.0 + (-raw).exp()) }
}

fn wrong(said: f64, gold: f64, numbers: bool) -> f64 {
    if numbers {
        return (said - gold).powi(2);
    }
    let right = if gold > 0.5 { said } else { 1.0 - said };
    -right.max(1e-12).ln()
}

/// The model of least loss with a penalty on the squares of its weights.
fn learn(known: &Known<'_>, penalty: f64, numbers: bool) -> Vec<f64> {
    let count = known.len().max(1) as f64;
    let mut model = vec![0.0; BITS + 1];
    let mean = known.iter().map(|(_, gold)| gold).sum::<f64>() / count;
    let clamped = mean.clamp(1e-3, 1.0 - 1e-3);
    model[BITS] = if numbers { mean } else { (clamped / (1.0 - clamped)).ln() };
    // The largest curvature is at most that of the largest eigenvalue of the Gram matrix, found by powers.
    let curvature = largest(known) / count * if numbers { 1.0 } else { 0.25 } + penalty / count;
    let step = 1.0 / curvature.max(1e-9);
    let (mut before, mut ahead) = (model.clone(), model.clone());
    for pass in 0..PASSES {
        let mut gradient: Vec<f64> = ahead.iter().map(|weight| weight * penalty / count).collect();
        gradient[BITS] = 0.0;
        for (bits, gold) in known {
            let error = (said(&ahead, bits, numbers) - gold) / count;
            bits.iter().for_each(|&bit| gradient[bit as usize] += error);
            gradient[BITS] += error;
        }
        model = ahead.iter().zip(&gradient).map(|(weight, slope)| weight - step * slope).collect();
        let momentum = pass as f64 / (pass as f64 + 3.0);
        ahead = model.iter().zip(&before).map(|(now, then)| now + momentum * (now - then)).collect();
        before.clone_from(&model);
    }
    model
}

/// The largest eigenvalue of the products of all pairs of columns, intercept included, a little too large.
fn largest(known: &Known<'_>) -> f64 {
    let mut vector = vec![1.0 / ((BITS + 1) as f64).sqrt(); BITS + 1];
    let mut value = 1.0;
    for _ in 0..12 {
        let mut next = vec![0.0; BITS + 1];
        for (bits, _) in known {
            let product = raw(&vector, bits);
            bits.iter().for_each(|&bit| next[bit as usize] += product);
            next[BITS] += product;
        }
        value = next.iter().map(|it| it * it).sum::<f64>().sqrt();
        if value == 0.0 {
            return 1.0;
        }
        vector = next.into_iter().map(|it| it / value).collect();
    }
    value * 1.05
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_bit_decides_is_learnt() {
        let rows: Vec<(Vec<u32>, f64)> = (0..60).map(|i| (vec![7 + i % 5, 100 + i % 2], f64::from(i % 2))).collect();
        let known: Known<'_> = rows.iter().map(|(bits, gold)| (bits.as_slice(), *gold)).collect();
        for numbers in [false, true] {
            let model = best(&known, numbers);
            assert!(known.iter().all(|(bits, gold)| (said(&model, bits, numbers) - gold).abs() < 0.3), "{numbers}");
        }
    }

    #[test]
    fn without_bits_the_mean_is_said() {
        let known: Known<'_> = (0..40).map(|i| (&[][..], f64::from(i % 4))).collect();
        let model = best(&known, true);
        assert!((said(&model, &[], true) - 1.5).abs() < 1e-6);
    }

    #[test]
    fn molecules_have_bits_and_others_none() {
        assert!(bits("CCO").len() > 4 && bits("C(").is_empty());
    }
}
