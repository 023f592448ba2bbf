//! SMILES to a graph, with the place of what is wrong.

use std::collections::BTreeMap;

use super::element;
use super::error::{SmilesError, error};
use super::graph::{Atom, Bond, Chirality, Direction, HYDROGEN, Molecule, Order};
use super::{aromatic, rings, valence};
use crate::Random;

impl Molecule {
    /// Reads a SMILES: its grammar, and whether every atom can have its bonds.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Self, SmilesError> {
        let mut molecule = Self::spelled(text)?;
        valence::settle(&mut molecule)?;
        aromatic::perceive(&mut molecule);
        Ok(molecule)
    }

    /// Reads the grammar alone: atoms and bonds as they are spelled.
    fn spelled(text: &str) -> Result<Self, SmilesError> {
        let mut molecule = Parser::new(text).parse()?;
        rings::find(&mut molecule);
        // Aromatic atoms are joined by an aromatic bond in a ring only.
        for bond in &mut molecule.bonds {
            if bond.order == Order::Aromatic && !bond.ring {
                bond.order = Order::Single;
            }
        }
        Ok(molecule)
    }

    /// The same molecule written from a random atom on, atoms and bonds spelled as they were; the text itself where that
    /// cannot be done.
    pub fn rewritten(text: &str, random: &mut Random) -> String {
        let molecule = Self::spelled(text).ok();
        molecule.and_then(|molecule| molecule.written(random)).unwrap_or_else(|| text.to_owned())
    }
}

/// A bond as it stands between two atoms.
#[derive(Debug, Clone, Copy)]
struct Written {
    order: Order,
    direction: Option<Direction>,
    at: usize,
}

/// A ring that is not closed yet.
struct Open {
    atom: u32,
    bond: Option<Written>,
    /// Place among the neighbours of its atom.
    place: usize,
    at: usize,
}

struct Parser<'a> {
    text: &'a str,
    /// Byte of the next character, and how many characters stand before it.
    at: usize,
    seen: usize,
    molecule: Molecule,
    previous: Option<u32>,
    bond: Option<Written>,
    branches: Vec<(u32, usize)>,
    open: BTreeMap<u32, Open>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let molecule = Molecule::default();
        Self { text, at: 0, seen: 0, molecule, previous: None, bond: None, branches: Vec::new(), open: BTreeMap::new() }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        self.seen += 1;
        Some(next)
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let found = self.text[self.at..].starts_with(wanted);
        if found {
            self.at += wanted.len();
            self.seen += wanted.chars().count();
        }
        found
    }

    /// A number of at most so many digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let rest = &self.text[self.at..];
        let length = rest.bytes().take(digits).take_while(u8::is_ascii_digit).count();
        let number = rest[..length].parse().ok()?;
        self.at += length;
        self.seen += length;
        Some(number)
    }

    fn parse(mut self) -> Result<Molecule, SmilesError> {
        if self.text.is_empty() {
            return error(1, "there is no atom");
        }
        while let Some(next) = self.peek() {
            let at = self.seen + 1;
            match next {
                '[' => {
                    let atom = self.bracket()?;
                    self.push(atom)?;
                }
                '(' => {
                    let Some(previous) = self.previous.filter(|_| self.bond.is_none()) else {
                        return error(at, "a branch begins at no atom");
                    };
                    self.next();
                    self.branches.push((previous, at));
                }
                ')' => {
                    let Some((atom, _)) = self.branches.pop().filter(|_| self.bond.is_none()) else {
                        return error(at, "`)` closes no branch");
                    };
                    self.next();
                    self.previous = Some(atom);
                }
                '.' => {
                    if self.previous.is_none() || self.bond.is_some() || !self.branches.is_empty() {
                        return error(at, "`.` stands between no whole molecules");
                    }
                    self.next();
                    self.previous = None;
                    if self.peek().is_none() {
                        return error(at, "nothing follows `.`");
                    }
                }
                '-' | '=' | '#' | '$' | ':' | '/' | '\\' => self.written(next, at)?,
                '0'..='9' | '%' => self.ring(at)?,
                '>' => return error(at, "this is a reaction, not a molecule"),
                _ => {
                    let atom = self.organic(at)?;
                    self.push(atom)?;
                }
            }
        }
        let end = self.seen + 1;
        if let Some(bond) = self.bond {
            return error(bond.at, "no atom follows the bond");
        }
        if let Some((_, at)) = self.branches.last() {
            return error(*at, "the branch is not closed");
        }
        if let Some((number, open)) = self.open.first_key_value() {
            return error(open.at, format!("ring {number} is not closed"));
        }
        if self.molecule.atoms.is_empty() {
            return error(end, "there is no atom");
        }
        Ok(self.molecule)
    }

    fn written(&mut self, symbol: char, at: usize) -> Result<(), SmilesError> {
        if self.previous.is_none() || self.bond.is_some() {
            return error(at, format!("the bond `{symbol}` follows no atom"));
        }
        self.next();
        let (order, direction) = match symbol {
            '=' => (Order::Double, None),
            '#' => (Order::Triple, None),
            '$' => (Order::Quadruple, None),
            ':' => (Order::Aromatic, None),
            '/' => (Order::Single, Some(Direction::Up)),
            '\\' => (Order::Single, Some(Direction::Down)),
            _ => (Order::Single, None),
        };
        self.bond = Some(Written { order, direction, at });
        Ok(())
    }

    /// An atom without brackets.
    fn organic(&mut self, at: usize) -> Result<Atom, SmilesError> {
        for symbol in ["Cl", "Br", "B", "C", "N", "O", "P", "S", "F", "I", "*"] {
            if self.takes(symbol) {
                return Ok(Atom { element: element::number(symbol).unwrap_or(0), at, ..Atom::default() });
            }
        }
        for symbol in ["b", "c", "n", "o", "p", "s"] {
            if self.takes(symbol) {
                let element = element::number(&symbol.to_ascii_uppercase()).unwrap_or(0);
                return Ok(Atom { element, aromatic: true, at, ..Atom::default() });
            }
        }
        let found = self.peek().unwrap_or(' ');
        if found.is_whitespace() {
            return error(at, "a space; only the SMILES itself may stand in the cell");
        }
        error(at, format!("`{found}` is no atom or bond; other elements stand in brackets"))
    }

    /// An atom in brackets.
    fn bracket(&mut self) -> Result<Atom, SmilesError> {
        let at = self.seen + 1;
        self.next();
        let mut atom = Atom { at, named_hydrogens: Some(0), ..Atom::default() };
        if let Some(isotope) = self.number(3) {
            atom.isotope = isotope as u16;
        }
        let place = self.seen + 1;
        let aromatic = ["se", "as", "te", "si", "b", "c", "n", "o", "p", "s"];
        if let Some(symbol) = aromatic.into_iter().find(|symbol| self.takes(symbol)) {
            let mut name = symbol.to_owned();
            name[..1].make_ascii_uppercase();
            (atom.element, atom.aromatic) = (element::number(&name).unwrap_or(0), true);
        } else {
            let rest = &self.text[self.at..];
            let found = [2, 1].into_iter().find_map(|length| element::number(rest.get(..length)?));
            let Some(element) = found else { return error(place, "there is no such element") };
            self.takes(element::symbol(element));
            atom.element = element;
        }
        if self.takes("@@") {
            atom.chirality = Chirality::Right;
        } else if self.takes("@") {
            let class = ["TH1", "TH2", "AL1", "AL2", "SP", "TB", "OH"].into_iter().find(|class| self.takes(class));
            atom.chirality = match class {
                None | Some("TH1") => Chirality::Left,
                Some("TH2") => Chirality::Right,
                Some(_) => Chirality::Other,
            };
            if atom.chirality == Chirality::Other {
                self.number(2);
            }
        }
        if self.takes("H") {
            atom.named_hydrogens = Some(self.number(1).unwrap_or(1) as u8);
        }
        for (sign, unit) in [("+", 1), ("-", -1)] {
            if self.takes(sign) {
                let mut charge = 1;
                if let Some(number) = self.number(2) {
                    charge = number as i8;
                } else {
                    while self.takes(sign) {
                        charge += 1;
                    }
                }
                atom.charge = unit * charge;
                break;
            }
        }
        if self.takes(":") {
            let Some(class) = self.number(5) else { return error(self.seen + 1, "a number of an atom follows `:`") };
            atom.class = Some(class);
        }
        if !self.takes("]") {
            return error(self.seen + 1, "`]` is missing, or what stands here belongs to no atom");
        }
        Ok(atom)
    }

    /// Adds an atom behind the one before it.
    fn push(&mut self, mut atom: Atom) -> Result<(), SmilesError> {
        let hydrogens = atom.named_hydrogens.unwrap_or(0);
        if atom.chirality != Chirality::None && hydrogens > 1 {
            // Two equal neighbours are not told apart.
            atom.chirality = Chirality::None;
        }
        let hydrogen = (atom.chirality != Chirality::None && hydrogens == 1).then_some(HYDROGEN);
        atom.order.extend(self.previous.iter().copied().chain(hydrogen));
        let index = self.molecule.add_atom(atom);
        if let Some(previous) = self.previous {
            self.molecule.atoms[previous as usize].order.push(index);
            let bond = self.bond.take();
            self.join(previous, index, bond);
        }
        self.previous = Some(index);
        Ok(())
    }

    fn join(&mut self, from: u32, to: u32, written: Option<Written>) {
        let aromatic = |atom: u32| self.molecule.atoms[atom as usize].aromatic;
        let usual = if aromatic(from) && aromatic(to) { Order::Aromatic } else { Order::Single };
        let (order, direction) = written.map_or((usual, None), |bond| (bond.order, bond.direction));
        // A direction says nothing of how strong the bond of two aromatic atoms is, and they have none.
        let order = if direction.is_some() && order == Order::Single { Order::Single } else { order };
        self.molecule.add_bond(Bond { ends: [from, to], order, direction, ring: false });
    }

    fn ring(&mut self, at: usize) -> Result<(), SmilesError> {
        let Some(atom) = self.previous else { return error(at, "the number of a ring follows no atom") };
        let number = if self.takes("%(") {
            let number = self.number(5);
            number.filter(|_| self.takes(")"))
        } else if self.takes("%") {
            let begin = self.at;
            self.number(2).filter(|_| self.at == begin + 2)
        } else {
            self.number(1)
        };
        let Some(number) = number else { return error(at, "`%` is followed by two digits") };
        let bond = self.bond.take();
        let Some(open) = self.open.remove(&number) else {
            let place = self.molecule.atoms[atom as usize].order.len();
            self.molecule.atoms[atom as usize].order.push(HYDROGEN);
            self.open.insert(number, Open { atom, bond, place, at });
            return Ok(());
        };
        if open.atom == atom {
            return error(at, format!("ring {number} joins an atom with itself"));
        }
        if self.molecule.bonded(open.atom, atom) {
            return error(at, format!("ring {number} joins two atoms that are bonded already"));
        }
        // The direction at the end is seen from there.
        let turned = bond.map(|bond| Written { direction: bond.direction.map(Direction::reversed), ..bond });
        let both = match (open.bond, turned) {
            (Some(a), Some(b)) if a.order != b.order => {
                return error(at, format!("ring {number} is closed by another bond than it was opened with"));
            }
            (Some(a), Some(b)) => Some(Written { direction: a.direction.or(b.direction), ..a }),
            (a, b) => a.or(b),
        };
        self.molecule.atoms[open.atom as usize].order[open.place] = atom;
        self.molecule.atoms[atom as usize].order.push(open.atom);
        self.join(open.atom, atom, both);
        Ok(())
    }
}
