//! The other baseline of molecules: a random forest on circular fingerprints (Breiman 2001; Svetnik et al. 2003), which is hard to
//! beat where there are few molecules.
//!
//! Each tree learns from molecules that are drawn with replacement, each of its decisions asks for one of a few bits that are drawn
//! anew, and grows until what is left is alike; draws are a pure function of tree and property.

use super::linear::bits;
use super::{BITS, MoleculeProperty};
use crate::task::Data;
use anyhow::Result;
use rayon::prelude::*;
use retune_data::Random;

/// Trees for each property.
const TREES: usize = 200;
/// Of numbers, a decision looks at one of so many bits; of classes, at as many as the root of all.
const SHARE_OF_NUMBERS: usize = 3;
/// Tells these draws from others.
const DRAWS: u64 = 0x666f_7265;
const WORDS: usize = BITS / 64;

/// Bits of a molecule, one after another.
type Row = [u64; WORDS];

fn row(bits: &[u32]) -> Row {
    let mut row = [0; WORDS];
    bits.iter().for_each(|&bit| row[bit as usize / 64] |= 1 << (bit % 64));
    row
}

fn has(row: &Row, bit: u32) -> bool {
    row[bit as usize / 64] >> (bit % 64) & 1 == 1
}

/// A decision, or what is said.
#[derive(Debug, Clone, Copy)]
enum Node {
    /// Of molecules without and with the bit: the places of what follows.
    Asks {
        bit: u32,
        next: [u32; 2],
    },
    Says(f32),
}

type Tree = Vec<Node>;

/// A forest for each property.
pub(super) struct Forest {
    models: Vec<Vec<Tree>>,
}

impl Forest {
    /// Learns from the training data.
    pub(super) fn fit(train: &Data<MoleculeProperty>, properties: usize, numbers: bool) -> Result<Self> {
        let rows = train.medium().molecule_rows();
        let all = train.inner_examples().into_iter().map(|example| Ok(row(&bits(&rows.smiles(example)?))));
        let all = all.collect::<Result<Vec<Row>>>()?;
        let golds = train.golds()?;
        let of = |property: usize| {
            let known = all.iter().zip(&golds).map(|(row, gold)| (row, gold[property]));
            grow(&known.filter(|(_, gold)| !gold.is_nan()).collect::<Vec<_>>(), numbers, property as u64)
        };
        Ok(Self { models: (0..properties).map(of).collect() })
    }

    /// A probability or number for each property: the mean of its trees.
    pub(super) fn predict(&self, bits: &[u32]) -> Vec<f32> {
        let row = row(bits);
        let mean = |trees: &Vec<Tree>| {
            trees.iter().map(|tree| f64::from(said(tree, &row))).sum::<f64>() / trees.len().max(1) as f64
        };
        self.models.iter().map(|trees| mean(trees) as f32).collect()
    }
}

fn said(tree: &Tree, row: &Row) -> f32 {
    let mut at = 0;
    loop {
        match tree[at] {
            Node::Says(number) => return number,
            Node::Asks { bit, next } => at = next[usize::from(has(row, bit))] as usize,
        }
    }
}

/// Trees that learn what is known of one property.
fn grow(known: &[(&Row, f32)], numbers: bool, property: u64) -> Vec<Tree> {
    // Bits that all molecules have, or none, decide nothing.
    let count = |bit: u32| known.iter().filter(|(row, _)| has(row, bit)).count();
    let varied: Vec<u32> = (0..BITS as u32).filter(|&bit| (1..known.len()).contains(&count(bit))).collect();
    let looks = if numbers { BITS / SHARE_OF_NUMBERS } else { BITS.isqrt() };
    // As many as there would be among all bits.
    let looks = (looks * varied.len()).div_ceil(BITS).max(1);
    (0..TREES).into_par_iter().map(|tree| one(known, varied.clone(), looks, &[DRAWS, property, tree as u64])).collect()
}

fn one(known: &[(&Row, f32)], mut bits: Vec<u32>, looks: usize, key: &[u64]) -> Tree {
    if known.is_empty() {
        return vec![Node::Says(0.0)];
    }
    let mut random = Random::at(key);
    let mut drawn: Vec<usize> = (0..known.len()).map(|_| random.below(known.len())).collect();
    let mut tree = vec![Node::Says(0.0)];
    let mut open = vec![(0, 0..drawn.len())];
    while let Some((place, range)) = open.pop() {
        let part = &mut drawn[range.clone()];
        let sum: f64 = part.iter().map(|&it| f64::from(known[it].1)).sum();
        let alike = part.iter().all(|&it| known[it].1 == known[part[0]].1);
        let asks = if alike { None } else { best(known, part, (sum, looks), &mut bits, &mut random) };
        let Some(bit) = asks else {
            tree[place] = Node::Says((sum / part.len() as f64) as f32);
            continue;
        };
        part.sort_by_key(|&it| has(known[it].0, bit));
        let without = range.start + part.partition_point(|&it| !has(known[it].0, bit));
        let next = [tree.len() as u32, tree.len() as u32 + 1];
        tree[place] = Node::Asks { bit, next };
        tree.extend([Node::Says(0.0); 2]);
        open.extend([(next[0] as usize, range.start..without), (next[1] as usize, without..range.end)]);
    }
    tree
}

/// Of a few bits that are drawn, the one that leaves the least variance, which of classes is Gini's impurity; one at least that tells
/// molecules apart, where there is any.
fn best(
    known: &[(&Row, f32)],
    part: &[usize],
    (sum, looks): (f64, usize),
    bits: &mut [u32],
    random: &mut Random,
) -> Option<u32> {
    let all = part.len() as f64;
    let mut found: Option<(f64, u32)> = None;
    for looked in 0..bits.len() {
        if looked >= looks && found.is_some() {
            break;
        }
        let other = looked + random.below(bits.len() - looked);
        bits.swap(looked, other);
        let bit = bits[looked];
        let (mut count, mut with) = (0.0, 0.0);
        for &it in part.iter().filter(|&&it| has(known[it].0, bit)) {
            (count, with) = (count + 1.0, with + f64::from(known[it].1));
        }
        if count == 0.0 || count == all {
            continue;
        }
        // The larger the squares of the means, the less variance is left.
        let gain = with * with / count + (sum - with) * (sum - with) / (all - count);
        if found.is_none_or(|(most, _)| gain > most) {
            found = Some((gain, bit));
        }
    }
    found.map(|(_, bit)| bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_bits_decide_together_is_learnt() {
        // One bit or the other, but not both: nothing that a sum of weights could say.
        let rows: Vec<(Row, f32)> = (0..160u32)
            .map(|i| {
                let (a, b) = (i % 2, i / 2 % 2);
                let mut bits = vec![200 + i % 7];
                bits.extend((a == 1).then_some(7));
                bits.extend((b == 1).then_some(90));
                (row(&bits), (a ^ b) as f32)
            })
            .collect();
        let known: Vec<(&Row, f32)> = rows.iter().map(|(row, gold)| (row, *gold)).collect();
        for numbers in [false, true] {
            let trees = grow(&known, numbers, 0);
            let mean = |row: &Row| trees.iter().map(|tree| said(tree, row)).sum::<f32>() / trees.len() as f32;
            assert!(known.iter().all(|(row, gold)| (mean(row) - gold).abs() < 0.3), "{numbers}");
            let again = grow(&known, numbers, 0);
            assert!(
                trees.iter().zip(&again).all(|(a, b)| a.len() == b.len() && said(a, known[5].0) == said(b, known[5].0))
            );
        }
    }

    #[test]
    fn where_nothing_tells_molecules_apart_the_mean_is_said() {
        let same = row(&[3]);
        let known: Vec<(&Row, f32)> = (0..40).map(|i| (&same, (i % 4) as f32)).collect();
        let forest = Forest { models: vec![grow(&known, true, 0), grow(&[], false, 1)] };
        let said = forest.predict(&[3]);
        assert!((said[0] - 1.5).abs() < 0.1 && said[1] == 0.0, "{said:?}");
    }
}
