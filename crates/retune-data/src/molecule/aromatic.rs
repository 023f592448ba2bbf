//! Which atoms and bonds are aromatic, by Hückel's rule over rings and sums of fused rings, as RDKit's model counts electrons.

use std::collections::BTreeSet;

use super::element::{outer_electrons, valences};
use super::graph::{Molecule, Order};
use super::rings::{Ring, smallest};

/// Atoms of a ring at most.
const LARGEST_RING: usize = 24;
/// Fused rings that are looked at together at most.
const MOST_FUSED: usize = 6;
/// Rings of a system beyond which their sums are not looked at.
const MOST_RINGS: usize = 300;

/// Pi electrons that an atom gives, at least and at most.
type Gives = (i32, i32);

/// Marks aromatic atoms and bonds anew, whatever the text said. Bonds are single and double ones before.
pub(super) fn perceive(molecule: &mut Molecule) {
    let rings = smallest(molecule);
    let gives: Vec<Option<Gives>> = (0..molecule.atoms.len() as u32).map(|atom| gives(molecule, atom)).collect();
    let rings: Vec<Ring> = rings
        .into_iter()
        .filter(|ring| {
            ring.atoms.len() <= LARGEST_RING && ring.atoms.iter().all(|&atom| gives[atom as usize].is_some())
        })
        .collect();
    let mut atoms = vec![false; molecule.atoms.len()];
    let mut bonds = vec![false; molecule.bonds.len()];
    for system in systems(&rings) {
        fused(&rings, &system, &gives, &mut atoms, &mut bonds);
    }
    for (atom, aromatic) in molecule.atoms.iter_mut().zip(atoms) {
        atom.aromatic = aromatic;
    }
    for (bond, aromatic) in molecule.bonds.iter_mut().zip(bonds) {
        if aromatic {
            bond.order = Order::Aromatic;
        }
    }
}

/// Rings that share a bond, directly or through others.
fn systems(rings: &[Ring]) -> Vec<Vec<usize>> {
    let mut left: BTreeSet<usize> = (0..rings.len()).collect();
    let mut systems = Vec::new();
    while let Some(first) = left.pop_first() {
        let mut system = vec![first];
        let mut at = 0;
        while at < system.len() {
            let near: Vec<usize> = left.iter().copied().filter(|&it| share(&rings[system[at]], &rings[it])).collect();
            left.retain(|ring| !near.contains(ring));
            system.extend(near);
            at += 1;
        }
        system.sort_unstable();
        systems.push(system);
    }
    systems
}

fn share(a: &Ring, b: &Ring) -> bool {
    a.bonds.iter().any(|bond| b.bonds.binary_search(bond).is_ok())
}

/// Tries rings of a system alone, then two and more of them together, until all bonds are aromatic.
fn fused(rings: &[Ring], system: &[usize], gives: &[Option<Gives>], atoms: &mut [bool], bonds: &mut [bool]) {
    let all: BTreeSet<u32> = system.iter().flat_map(|&ring| rings[ring].bonds.iter().copied()).collect();
    let most = if system.len() > MOST_RINGS { 1 } else { MOST_FUSED.min(system.len()) };
    for size in 1..=most {
        for chosen in connected(rings, system, size) {
            let mut count = std::collections::BTreeMap::<u32, usize>::new();
            chosen.iter().flat_map(|&ring| &rings[ring].atoms).for_each(|&atom| *count.entry(atom).or_default() += 1);
            // An atom of three rings gives its electrons to the inside.
            let outside = count.iter().filter(|(_, rings)| **rings <= 2).map(|(&atom, _)| atom);
            if !is_hueckel(outside.filter_map(|atom| gives[atom as usize])) {
                continue;
            }
            let mut of_bonds = std::collections::BTreeMap::<u32, usize>::new();
            chosen
                .iter()
                .flat_map(|&ring| &rings[ring].bonds)
                .for_each(|&bond| *of_bonds.entry(bond).or_default() += 1);
            count.keys().for_each(|&atom| atoms[atom as usize] = true);
            of_bonds.iter().filter(|(_, rings)| **rings == 1).for_each(|(&bond, _)| bonds[bond as usize] = true);
        }
        if all.iter().all(|&bond| bonds[bond as usize]) {
            return;
        }
    }
}

/// All sets of so many rings of a system of which each shares a bond with another.
fn connected(rings: &[Ring], system: &[usize], size: usize) -> Vec<Vec<usize>> {
    let mut sets: BTreeSet<Vec<usize>> = system.iter().map(|&ring| vec![ring]).collect();
    for _ in 1..size {
        let mut larger = BTreeSet::new();
        for set in &sets {
            let near = |ring: &&usize| !set.contains(ring) && set.iter().any(|&it| share(&rings[it], &rings[**ring]));
            for &ring in system.iter().filter(near) {
                let mut set = set.clone();
                set.push(ring);
                set.sort_unstable();
                larger.insert(set);
            }
        }
        sets = larger;
    }
    sets.into_iter().collect()
}

fn is_hueckel(gives: impl Iterator<Item = Gives>) -> bool {
    let (least, most) = gives.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    if most >= 6 { (least..=most).any(|electrons| electrons % 4 == 2) } else { most == 2 }
}

/// Electrons that an atom may give to a ring; `None` where it cannot be part of an aromatic one.
fn gives(molecule: &Molecule, atom: u32) -> Option<Gives> {
    let it = &molecule.atoms[atom as usize];
    if it.element == 0 {
        return Some((1, 2));
    }
    if it.element > 18 && !matches!(it.element, 34 | 52) {
        return None;
    }
    let default = i32::from(*valences(i32::from(it.element)).first()?);
    let neighbours = molecule.around[atom as usize].len() as i32;
    let bonds = i32::from(molecule.bond_sum(atom));
    let total = bonds + i32::from(it.hydrogens);
    let charged = valences(i32::from(it.element) - i32::from(it.charge)).first().copied().unwrap_or(0);
    if total > i32::from(charged) {
        return None;
    }
    // More than one double bond.
    let multiple = |order: Order| order.number() > 1;
    let several = molecule.neighbours(atom).filter(|(_, bond)| multiple(bond.order)).count();
    if bonds - neighbours > 1 && several > 1 {
        return None;
    }
    let degree = neighbours + i32::from(it.hydrogens);
    if default <= 1 || degree > 3 {
        return None;
    }
    let pairs = (outer_electrons(it.element)? - default - i32::from(it.charge)).max(0);
    let mut electrons = default - degree + pairs;
    if electrons > 1 && bonds - neighbours > 1 {
        electrons = 1;
    }
    let outside = molecule.neighbours(atom).find(|(_, bond)| !bond.ring && multiple(bond.order));
    let inside = molecule.neighbours(atom).any(|(_, bond)| bond.ring && multiple(bond.order));
    let steals = |(other, _): (u32, &super::graph::Bond)| more_electronegative(molecule, other, atom);
    let one = |electrons: i32| Some((electrons, electrons));
    match electrons {
        i32::MIN..0 => None,
        0 if outside.is_some() => one(0),
        0 if inside => one(1),
        0 => None,
        1 => match outside {
            Some(outside) if steals(outside) => one(0),
            Some(_) => one(1),
            None if inside => one(1),
            None if it.charge == 1 => one(0),
            None => None,
        },
        _ => {
            let electrons = electrons - i32::from(outside.is_some_and(steals));
            one(if electrons % 2 == 1 { 1 } else { 2 })
        }
    }
}

/// Whether one atom draws electrons from another: it has more outer electrons, or as many and is lighter.
fn more_electronegative(molecule: &Molecule, one: u32, other: u32) -> bool {
    let element = |atom: u32| molecule.atoms[atom as usize].element;
    let outer = |atom: u32| outer_electrons(element(atom)).unwrap_or(0);
    outer(one) > outer(other) || (outer(one) == outer(other) && element(one) < element(other))
}
