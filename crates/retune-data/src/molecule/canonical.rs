//! One text for all spellings of a molecule: atoms are ranked by their surroundings, ties are broken in every way that is not known
//! to be the same, and the first text of all in alphabetical order is taken (Weininger, Weininger and Weininger 1989; McKay and
//! Piperno 2014 for the search).
//!
//! Shapes are kept: the order of neighbours around an atom, and on which side of a double bond they lie, where that says anything.

mod search;

use std::collections::{HashMap, VecDeque};

use super::element::{is_organic, valences};
use super::graph::{Chirality, Direction, HYDROGEN, Molecule, Order};
use super::hash;
use super::scaffold::label_of;
use super::write::written_by;

/// Rings of fewer atoms have both neighbours of a double bond on one side.
const FLEXIBLE: usize = 8;

/// On which side of a double bond a neighbour of one end and one of the other lie.
#[derive(Debug, Clone, Copy)]
struct Side {
    bond: u32,
    /// A neighbour of each end of the bond.
    near: [u32; 2],
    same: bool,
}

/// A molecule without what differs between its spellings.
#[derive(Debug, Clone, Default)]
struct Shape {
    molecule: Molecule,
    sides: Vec<Side>,
}

impl Molecule {
    /// The text that all spellings of this molecule share; `None` where it says something of its shape that is not understood here.
    pub fn canonical(&self) -> Option<String> {
        let shape = Shape::of(self)?;
        let mut texts: Vec<String> =
            shape.molecule.parts().iter().map(|part| shape.part(part).text()).collect::<Option<_>>()?;
        texts.sort();
        Some(texts.join("."))
    }
}

/// The direction of a bond, seen from one of its ends.
fn seen_from(molecule: &Molecule, bond: u32, end: u32) -> Option<Direction> {
    let bond = &molecule.bonds[bond as usize];
    bond.direction.map(|it| if bond.ends[0] == end { it } else { it.reversed() })
}

/// Bonds that may have a direction at an end of a double bond, and the neighbours that they lead to.
fn beside(molecule: &Molecule, double: u32, end: u32) -> Vec<(u32, u32)> {
    let bonds = molecule.around[end as usize].iter().filter(|&&bond| bond != double);
    let single = bonds.filter(|&&bond| matches!(molecule.bonds[bond as usize].order, Order::Single | Order::Aromatic));
    single.map(|&bond| (bond, molecule.bonds[bond as usize].other(end))).collect()
}

/// Whether a bond is in a ring of few atoms.
fn in_small_ring(molecule: &Molecule, bond: u32) -> bool {
    let it = &molecule.bonds[bond as usize];
    if !it.ring {
        return false;
    }
    let mut distance = HashMap::from([(it.ends[0], 1)]);
    let mut queue = VecDeque::from([it.ends[0]]);
    while let Some(atom) = queue.pop_front() {
        let next = distance[&atom] + 1;
        for &near in molecule.around[atom as usize].iter().filter(|&&near| near != bond) {
            let other = molecule.bonds[near as usize].other(atom);
            if other == it.ends[1] {
                return next < FLEXIBLE;
            }
            if next < FLEXIBLE && !distance.contains_key(&other) {
                distance.insert(other, next);
                queue.push_back(other);
            }
        }
    }
    false
}

/// Where directions say something.
fn sides(molecule: &Molecule) -> Vec<Side> {
    let double = (0..molecule.bonds.len() as u32).filter(|&bond| molecule.bonds[bond as usize].order == Order::Double);
    let side = |bond: u32| {
        let ends = molecule.bonds[bond as usize].ends;
        let marked = |end: u32| {
            let found = beside(molecule, bond, end).into_iter();
            found.filter_map(|(single, near)| Some((near, seen_from(molecule, single, end)?))).next()
        };
        let ((one, a), (two, b)) = (marked(ends[0])?, marked(ends[1])?);
        (!in_small_ring(molecule, bond)).then_some(Side { bond, near: [one, two], same: a == b })
    };
    double.filter_map(side).collect()
}

impl Shape {
    /// Hydrogens become numbers, and directions sides. `None` for shapes of other kinds.
    fn of(given: &Molecule) -> Option<Self> {
        let mut molecule = given.clone();
        let mut sides = sides(&molecule);
        for atom in &mut molecule.atoms {
            match (atom.chirality, atom.order.len()) {
                // Of three neighbours the lone pair is the fourth, wherever it is.
                (Chirality::None, _) | (Chirality::Left | Chirality::Right, 3 | 4) => {}
                (Chirality::Other, _) => return None,
                _ => atom.chirality = Chirality::None,
            }
        }
        // Where it is the only neighbour that says a side, it stays.
        let says = |atom: u32, sides: &[Side]| sides.iter().any(|side| side.near.contains(&atom));
        for side in &mut sides {
            for end in 0..2 {
                let hydrogen = is_plain_hydrogen(&molecule, side.near[end]);
                let other = beside(&molecule, side.bond, molecule.bonds[side.bond as usize].ends[end]);
                let other = other.into_iter().find(|(_, near)| *near != side.near[end]);
                if let Some((_, other)) = other.filter(|_| hydrogen) {
                    (side.near[end], side.same) = (other, !side.same);
                }
            }
        }
        let is_number = |atom: &u32| is_plain_hydrogen(&molecule, *atom) && !says(*atom, &sides);
        let numbers: Vec<u32> = (0..molecule.atoms.len() as u32).filter(is_number).collect();
        for &hydrogen in &numbers {
            let Some((holder, _)) = molecule.neighbours(hydrogen).next() else { continue };
            let holder = &mut molecule.atoms[holder as usize];
            holder.hydrogens += 1;
            holder.order.iter_mut().filter(|it| **it == hydrogen).for_each(|it| *it = HYDROGEN);
        }
        for atom in 0..molecule.atoms.len() {
            let hydrogens = molecule.atoms[atom].order.iter().filter(|&&it| it == HYDROGEN).count();
            if hydrogens > 1 || turns_over(&molecule, atom as u32) {
                molecule.atoms[atom].chirality = Chirality::None;
            }
        }
        molecule.bonds.iter_mut().for_each(|bond| bond.direction = None);
        let kept: Vec<u32> = (0..molecule.atoms.len() as u32).filter(|it| numbers.binary_search(it).is_err()).collect();
        Some(Self { molecule, sides }.part(&kept))
    }

    /// Some of the atoms.
    fn part(&self, kept: &[u32]) -> Self {
        let mut place = vec![HYDROGEN; self.molecule.atoms.len()];
        kept.iter().zip(0..).for_each(|(&atom, new)| place[atom as usize] = new);
        let at = |atom: u32| if atom == HYDROGEN { HYDROGEN } else { place[atom as usize] };
        let mut molecule = Molecule::default();
        for &atom in kept {
            let mut atom = self.molecule.atoms[atom as usize].clone();
            atom.order.iter_mut().for_each(|it| *it = at(*it));
            molecule.add_atom(atom);
        }
        let mut bonds = HashMap::new();
        for (index, bond) in (0..).zip(&self.molecule.bonds) {
            let ends = bond.ends.map(at);
            if !ends.contains(&HYDROGEN) {
                let mut bond = bond.clone();
                bond.ends = ends;
                bonds.insert(index, molecule.add_bond(bond));
            }
        }
        let side = |side: &Side| Some(Side { bond: *bonds.get(&side.bond)?, near: side.near.map(at), ..*side });
        Self { molecule, sides: self.sides.iter().filter_map(side).collect() }
    }

    /// The first of all texts, without shapes that say nothing.
    fn text(mut self) -> Option<String> {
        let mut text = self.searched()?;
        let (labels, edges) = self.labels();
        let mut colours = labels;
        hash::refine(&mut colours, &edges);
        let alike = |atoms: &[u32]| {
            let mut colours: Vec<u64> =
                atoms.iter().filter(|&&it| it != HYDROGEN).map(|&it| colours[it as usize]).collect();
            colours.sort_unstable();
            colours.windows(2).any(|pair| pair[0] == pair[1])
        };
        // Whoever turns it round gets the same molecule: it says nothing.
        for atom in 0..self.molecule.atoms.len() {
            let it = &self.molecule.atoms[atom];
            if it.chirality == Chirality::None || !alike(&it.order) {
                continue;
            }
            let mut turned = self.clone();
            turned.molecule.atoms[atom].order.swap(0, 1);
            if turned.searched()? == text {
                self.molecule.atoms[atom].chirality = Chirality::None;
                text = self.searched()?;
            }
        }
        let mut number = 0;
        while let Some(side) = self.sides.get(number).copied() {
            let ends = self.molecule.bonds[side.bond as usize].ends;
            let near = |end: u32| -> Vec<u32> {
                let all = self.molecule.neighbours(end).map(|(other, _)| other);
                all.filter(|other| !ends.contains(other)).collect()
            };
            if alike(&near(ends[0])) || alike(&near(ends[1])) {
                let mut turned = self.clone();
                turned.sides[number].same = !side.same;
                if turned.searched()? == text {
                    self.sides.remove(number);
                    text = self.searched()?;
                    continue;
                }
            }
            number += 1;
        }
        // Marks of neighbouring double bonds must not say more than was meant.
        let again = Molecule::parse(&text).ok()?;
        (sides(&again).len() == self.sides.len()).then_some(text)
    }

    /// What an atom is by itself, and its neighbours with the bonds to them.
    fn labels(&self) -> (Vec<u64>, Vec<Vec<(usize, u64)>>) {
        let it = &self.molecule;
        let label = |index: usize| {
            let atom = &it.atoms[index];
            hash::of(&[
                u64::from(atom.element),
                u64::from(atom.aromatic),
                u64::from(atom.isotope),
                atom.charge as u64,
                u64::from(atom.hydrogens),
                it.around[index].len() as u64,
                atom.class.map_or(0, |class| u64::from(class) + 1),
                u64::from(atom.chirality != Chirality::None),
            ])
        };
        let edge = |atom: usize, &bond: &u32| {
            let says = u64::from(self.sides.iter().any(|side| side.bond == bond));
            let bond = &it.bonds[bond as usize];
            (bond.other(atom as u32) as usize, label_of(bond.order) + 8 * says)
        };
        let edges = (0..it.atoms.len()).map(|atom| it.around[atom].iter().map(|bond| edge(atom, bond)).collect());
        ((0..it.atoms.len()).map(label).collect(), edges.collect())
    }

    /// The first of all texts.
    fn searched(&self) -> Option<String> {
        search::first(self)
    }

    /// The text in an order of the atoms, and the atoms as they come in it.
    fn written(&self, rank: &[usize]) -> Option<(String, Vec<u32>)> {
        let mut molecule = self.molecule.clone();
        for atom in 0..molecule.atoms.len() as u32 {
            molecule.atoms[atom as usize].named_hydrogens = brackets(&self.molecule, atom);
        }
        let mut left = self.sides.clone();
        let ends = |side: &Side| self.molecule.bonds[side.bond as usize].ends;
        left.sort_by_key(|side| {
            let [a, b] = ends(side).map(|end| rank[end as usize]);
            (a.min(b), a.max(b))
        });
        let is_end = |atom: u32| self.sides.iter().any(|side| ends(side).contains(&atom));
        while !left.is_empty() {
            // Double bonds side by side share a bond: what is marked goes on to its neighbours.
            let marked = |side: &Side| {
                let near = ends(side).into_iter().flat_map(|end| beside(&molecule, side.bond, end));
                near.into_iter().any(|(bond, _)| molecule.bonds[bond as usize].direction.is_some())
            };
            let side = left.remove(left.iter().position(marked).unwrap_or(0));
            let mut at = ends(&side);
            let mut near = side.near;
            if rank[at[0] as usize] > rank[at[1] as usize] {
                at.reverse();
                near.reverse();
            }
            let mut same = side.same;
            let mut marks = Vec::new();
            for (end, named) in at.into_iter().zip(near) {
                let mut bonds = beside(&molecule, side.bond, end);
                bonds.sort_by_key(|(bond, atom)| {
                    (molecule.bonds[*bond as usize].direction.is_none(), !is_end(*atom), rank[*atom as usize])
                });
                let (bond, atom) = *bonds.first()?;
                // Two neighbours of an end lie on different sides.
                same ^= atom != named;
                marks.push((end, bond, seen_from(&molecule, bond, end)));
            }
            let turned = |it: Direction| if same { it } else { it.reversed() };
            let outward = match (marks[0].2, marks[1].2) {
                (Some(one), Some(two)) if turned(one) != two => return None,
                (Some(one), _) => [one, turned(one)],
                (None, Some(two)) => [turned(two), two],
                (None, None) => [Direction::Up, turned(Direction::Up)],
            };
            for ((end, bond, _), outward) in marks.into_iter().zip(outward) {
                let it = &mut molecule.bonds[bond as usize];
                it.direction = Some(if it.ends[0] == end { outward } else { outward.reversed() });
            }
        }
        // No end may have two neighbours on one side.
        for side in &self.sides {
            for end in ends(side) {
                let marks: Vec<Direction> = beside(&molecule, side.bond, end)
                    .into_iter()
                    .filter_map(|(bond, _)| seen_from(&molecule, bond, end))
                    .collect();
                if marks.len() == 2 && marks[0] == marks[1] {
                    return None;
                }
            }
        }
        let root = (0..molecule.atoms.len() as u32).min_by_key(|&atom| rank[atom as usize])?;
        Some(written_by(&molecule, root, &|atom| rank[atom as usize]))
    }
}

/// Whether an atom is a nitrogen whose lone pair changes sides: all but those in rings of three, and where rings meet.
fn turns_over(molecule: &Molecule, atom: u32) -> bool {
    let it = &molecule.atoms[atom as usize];
    let near: Vec<u32> = molecule.neighbours(atom).map(|(other, _)| other).collect();
    let held = near.len() == 3 && molecule.neighbours(atom).all(|(_, bond)| bond.ring);
    let tight = near.iter().any(|&one| near.iter().any(|&other| molecule.bonded(one, other)));
    it.element == 7 && it.charge == 0 && near.len() + usize::from(it.hydrogens) == 3 && !held && !tight
}

/// A hydrogen that is nothing but one more hydrogen of its only neighbour.
fn is_plain_hydrogen(molecule: &Molecule, atom: u32) -> bool {
    let it = &molecule.atoms[atom as usize];
    let mut near = molecule.neighbours(atom);
    let (Some((other, bond)), None) = (near.next(), near.next()) else { return false };
    let plain = it.element == 1 && it.isotope == 0 && it.charge == 0 && it.hydrogens == 0 && it.class.is_none();
    plain && bond.order == Order::Single && molecule.atoms[other as usize].element > 1
}

/// Hydrogens that brackets name; `None` where none are needed, because a reader would count as many.
fn brackets(molecule: &Molecule, atom: u32) -> Option<u8> {
    let it = &molecule.atoms[atom as usize];
    let plain = it.isotope == 0 && it.charge == 0 && it.class.is_none() && it.chirality == Chirality::None;
    let neighbours = molecule.around[atom as usize].len() as u8;
    let counted = match (it.element, it.aromatic) {
        (0, _) => 0,
        (6, true) => 3u8.saturating_sub(neighbours),
        (_, true) => 0,
        (element, false) => {
            let sum = molecule.bond_sum(atom);
            valences(i32::from(element)).iter().find(|&&valence| valence >= sum).map_or(0, |valence| valence - sum)
        }
    };
    let bare = plain && counted == it.hydrogens && (is_organic(it.element) || it.element == 0);
    (!bare).then_some(it.hydrogens)
}
