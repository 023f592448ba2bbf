//! Circular fingerprints (Morgan 1965; Rogers and Hahn 2010): numbers of the surroundings of each atom.

use super::graph::{Molecule, Order};
use super::hash;

/// The surroundings of all atoms up to so many bonds away, as places among `bits`, ascending, each once.
pub fn circular_fingerprint(molecule: &Molecule, radius: usize, bits: usize) -> Vec<u32> {
    let mut numbers: Vec<u64> = (0..molecule.atoms.len() as u32)
        .map(|atom| {
            let it = &molecule.atoms[atom as usize];
            let neighbours = molecule.around[atom as usize].len() as u64;
            let ring = u64::from(molecule.in_ring(atom));
            hash::of(&[
                u64::from(it.element),
                neighbours,
                u64::from(it.hydrogens),
                it.charge as u64,
                u64::from(it.isotope),
                ring,
            ])
        })
        .collect();
    let bits = bits.max(1) as u64;
    let mut all: Vec<u32> = numbers.iter().map(|number| (number % bits) as u32).collect();
    for step in 0..radius as u64 {
        let next = |atom: u32| {
            let near = molecule.neighbours(atom).map(|(other, bond)| {
                let order = match bond.order {
                    Order::Aromatic => 5,
                    order => u64::from(order.number()),
                };
                hash::mix(numbers[other as usize] ^ hash::mix(order))
            });
            let near = near.fold(0u64, u64::wrapping_add);
            hash::of(&[step, numbers[atom as usize], near])
        };
        numbers = (0..molecule.atoms.len() as u32).map(next).collect();
        all.extend(numbers.iter().map(|number| (number % bits) as u32));
    }
    all.sort_unstable();
    all.dedup();
    all
}
