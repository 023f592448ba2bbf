//! A molecule written anew from any atom on: the same molecule, another text (Bjerrum 2017).

use super::element::{is_organic, symbol};
use super::graph::{Atom, Chirality, Direction, HYDROGEN, Molecule, Order};
use crate::Random;

impl Molecule {
    /// Writes it from a random atom on, branches in random order, atoms and bonds spelled as they were. `None` where it says
    /// something of its shape that cannot be turned into another order.
    pub(super) fn written(&self, random: &mut Random) -> Option<String> {
        let movable = |atom: &Atom| match atom.chirality {
            Chirality::None => true,
            Chirality::Other => false,
            // With three neighbours the text's begin counts as one more.
            _ => atom.order.len() == 4,
        };
        if !self.atoms.iter().all(movable) {
            return None;
        }
        let mut parts = self.parts();
        random.shuffle(&mut parts);
        let mut writer = Writer::new(self);
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                writer.text.push('.');
            }
            let root = part[random.below(part.len())];
            writer.part(root, &mut |_, bonds| random.shuffle(bonds));
        }
        Some(writer.text)
    }

    /// Atoms that are joined by bonds.
    pub(super) fn parts(&self) -> Vec<Vec<u32>> {
        let mut seen = vec![false; self.atoms.len()];
        let mut parts = Vec::new();
        for first in 0..self.atoms.len() as u32 {
            if std::mem::replace(&mut seen[first as usize], true) {
                continue;
            }
            let mut part = vec![first];
            let mut at = 0;
            while at < part.len() {
                for (other, _) in self.neighbours(part[at]) {
                    if !std::mem::replace(&mut seen[other as usize], true) {
                        part.push(other);
                    }
                }
                at += 1;
            }
            parts.push(part);
        }
        parts
    }
}

/// A molecule of one part from an atom on, neighbours of lower rank first, and its atoms as they come in the text.
pub(super) fn written_by(molecule: &Molecule, root: u32, rank: &dyn Fn(u32) -> usize) -> (String, Vec<u32>) {
    let mut writer = Writer::new(molecule);
    // The last one is taken first.
    writer.part(root, &mut |atom, bonds| {
        bonds.sort_by_key(|&bond| std::cmp::Reverse(rank(molecule.bonds[bond as usize].other(atom))));
    });
    (writer.text, writer.order)
}

/// Puts the bonds of an atom into the order in which they are followed, the first one last.
type Arrange<'a> = &'a mut dyn FnMut(u32, &mut Vec<u32>);

struct Writer<'a> {
    molecule: &'a Molecule,
    text: String,
    /// Atoms as they come.
    order: Vec<u32>,
    /// Of each atom the bonds to what follows it, in their order, and the rings that open or close at it.
    children: Vec<Vec<u32>>,
    rings: Vec<Vec<u32>>,
    entered: Vec<bool>,
    /// Number of each ring that is open, by its bond.
    numbers: Vec<Option<u32>>,
}

impl<'a> Writer<'a> {
    fn new(molecule: &'a Molecule) -> Self {
        let atoms = molecule.atoms.len();
        Self {
            molecule,
            text: String::new(),
            order: Vec::new(),
            children: vec![Vec::new(); atoms],
            rings: vec![Vec::new(); atoms],
            entered: vec![false; atoms],
            numbers: Vec::new(),
        }
    }

    fn part(&mut self, root: u32, arrange: Arrange<'_>) {
        self.walk(root, arrange);
        // Atom to be written with the bond to it, or text between branches.
        enum Task {
            Atom(u32, Option<u32>),
            Text(char),
        }
        let mut tasks = vec![Task::Atom(root, None)];
        while let Some(task) = tasks.pop() {
            let (atom, from) = match task {
                Task::Text(text) => {
                    self.text.push(text);
                    continue;
                }
                Task::Atom(atom, from) => (atom, from),
            };
            if let Some(bond) = from {
                let before = self.molecule.bonds[bond as usize].other(atom);
                self.bond(bond, before);
            }
            self.atom(atom, from);
            for ring in self.rings[atom as usize].clone() {
                self.ring(ring, atom);
            }
            let children = self.children[atom as usize].clone();
            for (place, &bond) in children.iter().enumerate().rev() {
                let child = self.molecule.bonds[bond as usize].other(atom);
                if place + 1 == children.len() {
                    tasks.push(Task::Atom(child, Some(bond)));
                } else {
                    tasks.push(Task::Text(')'));
                    tasks.push(Task::Atom(child, Some(bond)));
                    tasks.push(Task::Text('('));
                }
            }
        }
    }

    /// Decides what follows what, and which bonds close rings.
    fn walk(&mut self, root: u32, arrange: Arrange<'_>) {
        let mut done = vec![false; self.molecule.bonds.len()];
        let mut stack = vec![(root, self.arranged(root, arrange))];
        self.entered[root as usize] = true;
        while let Some((atom, bonds)) = stack.last_mut() {
            let atom = *atom;
            let Some(bond) = bonds.pop() else {
                stack.pop();
                continue;
            };
            if std::mem::replace(&mut done[bond as usize], true) {
                continue;
            }
            let other = self.molecule.bonds[bond as usize].other(atom);
            if std::mem::replace(&mut self.entered[other as usize], true) {
                self.rings[atom as usize].push(bond);
                self.rings[other as usize].push(bond);
            } else {
                self.children[atom as usize].push(bond);
                stack.push((other, self.arranged(other, arrange)));
            }
        }
    }

    fn arranged(&self, atom: u32, arrange: Arrange<'_>) -> Vec<u32> {
        let mut bonds = self.molecule.around[atom as usize].clone();
        arrange(atom, &mut bonds);
        bonds
    }

    /// The number of a ring, with its bond where it opens.
    fn ring(&mut self, bond: u32, atom: u32) {
        let number = match self.numbers.iter().position(|open| *open == Some(bond)) {
            Some(open) => {
                self.numbers[open] = None;
                open + 1
            }
            None => {
                self.bond(bond, atom);
                let free = self.numbers.iter().position(Option::is_none);
                let free = free.unwrap_or_else(|| {
                    self.numbers.push(None);
                    self.numbers.len() - 1
                });
                self.numbers[free] = Some(bond);
                free + 1
            }
        };
        self.text.push_str(&if number < 10 { number.to_string() } else { format!("%{number:02}") });
    }

    /// A bond, seen from one of its ends.
    fn bond(&mut self, bond: u32, from: u32) {
        let bond = &self.molecule.bonds[bond as usize];
        let aromatic = bond.ends.iter().all(|&end| self.molecule.atoms[end as usize].aromatic);
        let direction = bond.direction.map(|it| if bond.ends[0] == from { it } else { it.reversed() });
        self.text.push_str(match (bond.order, direction) {
            (Order::Single | Order::Aromatic, Some(Direction::Up)) => "/",
            (Order::Single | Order::Aromatic, Some(Direction::Down)) => "\\",
            (Order::Single, None) if aromatic => "-",
            (Order::Aromatic, _) if !aromatic => ":",
            (Order::Double, _) => "=",
            (Order::Triple, _) => "#",
            (Order::Quadruple, _) => "$",
            _ => "",
        });
    }

    fn atom(&mut self, atom: u32, from: Option<u32>) {
        self.order.push(atom);
        let it = &self.molecule.atoms[atom as usize];
        let name = symbol(it.element);
        let name = if it.aromatic { name.to_ascii_lowercase() } else { name.to_owned() };
        let Some(hydrogens) = it.named_hydrogens else {
            debug_assert!(is_organic(it.element) || it.element == 0);
            return self.text.push_str(&name);
        };
        self.text.push('[');
        if it.isotope > 0 {
            self.text.push_str(&it.isotope.to_string());
        }
        self.text.push_str(&name);
        self.text.push_str(match self.turned(atom, from) {
            Chirality::Left => "@",
            Chirality::Right => "@@",
            _ => "",
        });
        match hydrogens {
            0 => {}
            1 => self.text.push('H'),
            more => self.text.push_str(&format!("H{more}")),
        }
        match it.charge {
            0 => {}
            1 => self.text.push('+'),
            -1 => self.text.push('-'),
            charge => self.text.push_str(&format!("{charge:+}")),
        }
        if let Some(class) = it.class {
            self.text.push_str(&format!(":{class}"));
        }
        self.text.push(']');
    }

    /// The chirality of an atom in the order in which its neighbours are written now.
    fn turned(&self, atom: u32, from: Option<u32>) -> Chirality {
        let it = &self.molecule.atoms[atom as usize];
        if it.chirality == Chirality::None {
            return Chirality::None;
        }
        let other = |&bond: &u32| self.molecule.bonds[bond as usize].other(atom);
        let mut now: Vec<u32> = from.iter().map(other).collect();
        now.extend(it.order.contains(&HYDROGEN).then_some(HYDROGEN));
        now.extend(self.rings[atom as usize].iter().chain(&self.children[atom as usize]).map(other));
        let places: Vec<usize> =
            now.iter().filter_map(|node| it.order.iter().position(|other| other == node)).collect();
        let swaps = (0..places.len())
            .flat_map(|a| (a + 1..places.len()).map(move |b| (a, b)))
            .filter(|&(a, b)| places[a] > places[b])
            .count();
        match (it.chirality, swaps % 2) {
            (Chirality::Left, 1) => Chirality::Right,
            (Chirality::Right, 1) => Chirality::Left,
            (same, _) => same,
        }
    }
}
