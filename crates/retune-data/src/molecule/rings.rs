//! Which bonds are in rings, and the smallest set of smallest rings (Horton 1987).

use std::collections::{BTreeSet, VecDeque};

use super::graph::Molecule;

/// Marks the bonds that are in rings: all but bridges (Tarjan 1974).
pub(super) fn find(molecule: &mut Molecule) {
    let count = molecule.atoms.len();
    let (mut entered, mut low, mut time) = (vec![0usize; count], vec![0usize; count], 0);
    let mut bridges = vec![false; molecule.bonds.len()];
    for root in 0..count {
        if entered[root] != 0 {
            continue;
        }
        // Atom, bond that led to it, next of its bonds to be looked at.
        let mut stack = vec![(root, usize::MAX, 0)];
        time += 1;
        (entered[root], low[root]) = (time, time);
        while let Some((atom, from, next)) = stack.pop() {
            let Some(&bond) = molecule.around[atom].get(next) else {
                if let Some(&(parent, ..)) = stack.last() {
                    low[parent] = low[parent].min(low[atom]);
                    bridges[from] = low[atom] > entered[parent];
                }
                continue;
            };
            stack.push((atom, from, next + 1));
            if bond as usize == from {
                continue;
            }
            let other = molecule.bonds[bond as usize].other(atom as u32) as usize;
            if entered[other] == 0 {
                time += 1;
                (entered[other], low[other]) = (time, time);
                stack.push((other, bond as usize, 0));
            } else {
                low[atom] = low[atom].min(entered[other]);
            }
        }
    }
    for (bond, bridge) in molecule.bonds.iter_mut().zip(bridges) {
        bond.ring = !bridge;
    }
}

/// A ring as its bonds and atoms, ascending.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    pub(super) atoms: Vec<u32>,
    pub(super) bonds: Vec<u32>,
}

/// The smallest rings that all others are sums of.
pub(super) fn smallest(molecule: &Molecule) -> Vec<Ring> {
    let ring_bonds: Vec<u32> =
        (0..molecule.bonds.len() as u32).filter(|&it| molecule.bonds[it as usize].ring).collect();
    let ring_atoms: BTreeSet<u32> = ring_bonds.iter().flat_map(|&it| molecule.bonds[it as usize].ends).collect();
    let wanted = cycles(molecule, &ring_bonds, ring_atoms.len());
    let mut candidates: BTreeSet<(usize, Vec<u32>)> = BTreeSet::new();
    for &root in &ring_atoms {
        let (parents, distances) = shortest(molecule, root);
        for &bond in &ring_bonds {
            let [a, b] = molecule.bonds[bond as usize].ends;
            let (Some(da), Some(db)) = (distances[a as usize], distances[b as usize]) else { continue };
            if da.abs_diff(db) > 1 || parents[a as usize] == Some(bond) || parents[b as usize] == Some(bond) {
                continue;
            }
            let (mut one, mut two) = (path(molecule, &parents, a), path(molecule, &parents, b));
            // Ways that meet before the root make a smaller ring, which its own root finds.
            if one.iter().any(|bond| two.contains(bond)) {
                continue;
            }
            one.append(&mut two);
            one.push(bond);
            one.sort_unstable();
            let atoms: BTreeSet<u32> = one.iter().flat_map(|&it| molecule.bonds[it as usize].ends).collect();
            if atoms.len() == one.len() {
                candidates.insert((one.len(), one));
            }
        }
    }
    let words = molecule.bonds.len().div_ceil(64);
    let (mut basis, mut rings): (Vec<Vec<u64>>, Vec<Ring>) = (Vec::new(), Vec::new());
    for (_, bonds) in candidates {
        if rings.len() == wanted {
            break;
        }
        let mut row = vec![0u64; words];
        bonds.iter().for_each(|&bond| row[bond as usize / 64] |= 1 << (bond % 64));
        if independent(&mut basis, row) {
            let atoms: BTreeSet<u32> = bonds.iter().flat_map(|&it| molecule.bonds[it as usize].ends).collect();
            rings.push(Ring { atoms: atoms.into_iter().collect(), bonds });
        }
    }
    rings
}

/// How many rings are independent: bonds less atoms, and one for each part.
fn cycles(molecule: &Molecule, ring_bonds: &[u32], atoms: usize) -> usize {
    let mut part: Vec<u32> = (0..molecule.atoms.len() as u32).collect();
    fn root(part: &mut [u32], mut atom: u32) -> u32 {
        while part[atom as usize] != atom {
            part[atom as usize] = part[part[atom as usize] as usize];
            atom = part[atom as usize];
        }
        atom
    }
    let mut joined = 0;
    for &bond in ring_bonds {
        let [a, b] = molecule.bonds[bond as usize].ends;
        let (a, b) = (root(&mut part, a), root(&mut part, b));
        joined += usize::from(a != b);
        part[a.max(b) as usize] = a.min(b);
    }
    ring_bonds.len() + (atoms - joined) - atoms
}

/// The bond that leads to each atom on a shortest way from `root` over ring bonds, and the length of that way.
fn shortest(molecule: &Molecule, root: u32) -> (Vec<Option<u32>>, Vec<Option<usize>>) {
    let count = molecule.atoms.len();
    let (mut parents, mut distances) = (vec![None; count], vec![None; count]);
    distances[root as usize] = Some(0);
    let mut queue = VecDeque::from([root]);
    while let Some(atom) = queue.pop_front() {
        for &bond in &molecule.around[atom as usize] {
            let it = &molecule.bonds[bond as usize];
            let other = it.other(atom) as usize;
            if it.ring && distances[other].is_none() {
                distances[other] = distances[atom as usize].map(|distance: usize| distance + 1);
                parents[other] = Some(bond);
                queue.push_back(other as u32);
            }
        }
    }
    (parents, distances)
}

fn path(molecule: &Molecule, parents: &[Option<u32>], mut atom: u32) -> Vec<u32> {
    let mut bonds = Vec::new();
    while let Some(bond) = parents[atom as usize] {
        bonds.push(bond);
        atom = molecule.bonds[bond as usize].other(atom);
    }
    bonds
}

/// Adds a row to a basis over two elements if it is no sum of others.
fn independent(basis: &mut Vec<Vec<u64>>, mut row: Vec<u64>) -> bool {
    let lead = |row: &[u64]| row.iter().position(|&it| it != 0).map(|at| at * 64 + row[at].trailing_zeros() as usize);
    while let Some(first) = lead(&row) {
        let Some(known) = basis.iter().find(|known| lead(known) == Some(first)) else {
            basis.push(row);
            return true;
        };
        row.iter_mut().zip(known).for_each(|(into, from)| *into ^= from);
    }
    false
}
