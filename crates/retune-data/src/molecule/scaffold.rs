//! Scaffolds (Bemis and Murcko 1996): rings and what links them, and atoms that a double bond holds to either, as RDKit's
//! `MurckoScaffold` keeps them.

use super::graph::{Molecule, Order};
use super::hash;
use super::valence::allowed;

impl Molecule {
    /// A number that is equal for molecules of equal scaffolds, and 0 without rings. Chirality does not count.
    pub fn scaffold(&self) -> u64 {
        let kept = self.kept();
        let nodes: Vec<u32> = (0..self.atoms.len() as u32).filter(|&atom| kept[atom as usize]).collect();
        if nodes.is_empty() {
            return 0;
        }
        let place = |atom: u32| nodes.binary_search(&atom).ok();
        let label = |&atom: &u32| {
            let it = &self.atoms[atom as usize];
            let (mut lost, mut left) = (0, 0);
            for (other, bond) in self.neighbours(atom) {
                *if kept[other as usize] { &mut left } else { &mut lost } += bond.order.number();
            }
            // What is cut off leaves hydrogens behind, as many as the least valence needs.
            let hydrogens = match allowed(self, atom).iter().find(|&&valence| valence >= left) {
                Some(valence) if lost > 0 && !it.aromatic => valence - left,
                _ => it.hydrogens + lost,
            };
            let hydrogens = u64::from(hydrogens);
            let numbers =
                [u64::from(it.element), it.charge as u64, u64::from(it.isotope), u64::from(it.aromatic), hydrogens];
            hash::of(&numbers)
        };
        let edges = nodes.iter().map(|&atom| {
            let near = self.neighbours(atom).filter_map(|(other, bond)| Some((place(other)?, label_of(bond.order))));
            near.collect::<Vec<(usize, u64)>>()
        });
        hash::graph(&nodes.iter().map(label).collect::<Vec<u64>>(), &edges.collect::<Vec<_>>())
    }

    /// Which atoms belong to the scaffold.
    fn kept(&self) -> Vec<bool> {
        let count = self.atoms.len();
        let ring: Vec<bool> = (0..count as u32).map(|atom| self.in_ring(atom)).collect();
        if !ring.contains(&true) {
            return vec![false; count];
        }
        let mut kept = vec![true; count];
        let mut left: Vec<u32> = (0..count as u32).collect();
        // Side chains lose their ends until they are gone.
        while let Some(atom) = left.pop() {
            let near = |kept: &[bool]| self.neighbours(atom).filter(|(other, _)| kept[*other as usize]).count();
            if kept[atom as usize] && !ring[atom as usize] && near(&kept) <= 1 {
                kept[atom as usize] = false;
                left.extend(self.neighbours(atom).map(|(other, _)| other));
            }
        }
        let held =
            |atom: u32| self.neighbours(atom).any(|(other, bond)| kept[other as usize] && bond.order == Order::Double);
        (0..count as u32).map(|atom| kept[atom as usize] || held(atom)).collect()
    }
}

/// A number of its own for each.
pub(super) fn label_of(order: Order) -> u64 {
    match order {
        Order::Single => 1,
        Order::Double => 2,
        Order::Triple => 3,
        Order::Quadruple => 4,
        Order::Aromatic => 5,
    }
}
