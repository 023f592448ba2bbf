//! Atoms and bonds.

/// How the neighbours of an atom lie, seen from the first of them in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Chirality {
    /// Nothing is said.
    #[default]
    None,
    /// The others counterclockwise: `@`.
    Left,
    /// Clockwise: `@@`.
    Right,
    /// Another class than the tetrahedral one.
    Other,
}

/// In place of a neighbour: a hydrogen that is no atom of its own.
pub(super) const HYDROGEN: u32 = u32::MAX;

/// An atom.
#[derive(Debug, Clone, Default)]
pub(super) struct Atom {
    /// Atomic number; 0 is any atom.
    pub(super) element: u8,
    pub(super) aromatic: bool,
    pub(super) isotope: u16,
    pub(super) charge: i8,
    /// Hydrogens that brackets name; `None` without brackets.
    pub(super) named_hydrogens: Option<u8>,
    /// All hydrogens that are no atoms of their own, once they are known.
    pub(super) hydrogens: u8,
    pub(super) chirality: Chirality,
    /// Class of `[C:1]`.
    pub(super) class: Option<u32>,
    /// Neighbours in the order in which they were written, [`HYDROGEN`] among them; for chirality.
    pub(super) order: Vec<u32>,
    /// Character where it was written, from 1.
    pub(super) at: usize,
}

/// How strong a bond is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Order {
    Single,
    Double,
    Triple,
    Quadruple,
    Aromatic,
}

impl Order {
    /// Bonds that it stands for; an aromatic one counts as single.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Single | Self::Aromatic => 1,
            Self::Double => 2,
            Self::Triple => 3,
            Self::Quadruple => 4,
        }
    }
}

/// Which way a single bond beside a double bond points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// `/` from the first atom to the second.
    Up,
    /// `\`.
    Down,
}

impl Direction {
    /// Seen from the other end.
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// A bond.
#[derive(Debug, Clone)]
pub(super) struct Bond {
    pub(super) ends: [u32; 2],
    pub(super) order: Order,
    /// From the first end to the second.
    pub(super) direction: Option<Direction>,
    /// Whether it is in a ring.
    pub(super) ring: bool,
}

impl Bond {
    /// The end that is not this one.
    pub(super) fn other(&self, atom: u32) -> u32 {
        if self.ends[0] == atom { self.ends[1] } else { self.ends[0] }
    }
}

/// A molecule, or several that are written together.
#[derive(Debug, Clone, Default)]
pub struct Molecule {
    pub(super) atoms: Vec<Atom>,
    pub(super) bonds: Vec<Bond>,
    /// Bonds of each atom.
    pub(super) around: Vec<Vec<u32>>,
}

impl Molecule {
    /// Number of atoms, hydrogens without a symbol of their own left out.
    pub fn atoms(&self) -> usize {
        self.atoms.len()
    }

    pub(super) fn add_atom(&mut self, atom: Atom) -> u32 {
        self.atoms.push(atom);
        self.around.push(Vec::new());
        self.atoms.len() as u32 - 1
    }

    pub(super) fn add_bond(&mut self, bond: Bond) -> u32 {
        let index = self.bonds.len() as u32;
        bond.ends.iter().for_each(|&end| self.around[end as usize].push(index));
        self.bonds.push(bond);
        index
    }

    /// Neighbours of an atom with the bonds to them.
    pub(super) fn neighbours(&self, atom: u32) -> impl Iterator<Item = (u32, &Bond)> {
        self.around[atom as usize].iter().map(move |&bond| {
            let bond = &self.bonds[bond as usize];
            (bond.other(atom), bond)
        })
    }

    /// Whether two atoms are bonded.
    pub(super) fn bonded(&self, a: u32, b: u32) -> bool {
        self.neighbours(a).any(|(other, _)| other == b)
    }

    /// Whether an atom is in a ring.
    pub(super) fn in_ring(&self, atom: u32) -> bool {
        self.neighbours(atom).any(|(_, bond)| bond.ring)
    }

    /// Sum of the orders of an atom's bonds.
    pub(super) fn bond_sum(&self, atom: u32) -> u8 {
        self.neighbours(atom).map(|(_, bond)| bond.order.number()).sum()
    }
}
