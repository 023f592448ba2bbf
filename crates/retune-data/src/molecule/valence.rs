//! Hydrogens, the double bonds of aromatic rings, and whether every atom can have the bonds that it has.
//!
//! As RDKit's sanitization decides: usual valences by element, those of charged atoms by the element with as many electrons.

use super::element::{symbol, valences};
use super::error::{SmilesError, error};
use super::graph::{Molecule, Order};
use super::matching::matching;

/// Places double bonds, counts hydrogens and checks valences. Bonds of aromatic rings become single and double ones.
pub(super) fn settle(molecule: &mut Molecule) -> Result<(), SmilesError> {
    charge_separated(molecule);
    for atom in &molecule.atoms {
        if atom.aromatic && !molecule.in_ring(index(molecule, atom.at)) {
            return error(atom.at, "an aromatic atom is in no ring");
        }
    }
    place_double_bonds(molecule)?;
    for atom in 0..molecule.atoms.len() as u32 {
        molecule.atoms[atom as usize].hydrogens = hydrogens(molecule, atom)?;
    }
    Ok(())
}

/// The atom that was written at a character.
fn index(molecule: &Molecule, at: usize) -> u32 {
    molecule.atoms.partition_point(|atom| atom.at < at) as u32
}

/// Valences that an atom may have.
pub(super) fn allowed(molecule: &Molecule, atom: u32) -> &'static [u8] {
    let atom = &molecule.atoms[atom as usize];
    let element = i32::from(atom.element);
    match (element, i32::from(atom.charge)) {
        // A proton.
        (1, 1) => &[0],
        (element, 0) => valences(element),
        // Of metals any.
        (element, _) if valences(element).is_empty() || element < 5 => &[],
        (element, charge) => match valences(element - charge) {
            [0] | [] => &[],
            list => list,
        },
    }
}

/// Five bonds at an uncharged nitrogen, as older writers have nitro groups, become charges on both ends.
fn charge_separated(molecule: &mut Molecule) {
    for nitrogen in 0..molecule.atoms.len() as u32 {
        let atom = &molecule.atoms[nitrogen as usize];
        if atom.element != 7 || atom.charge != 0 {
            continue;
        }
        let pi = u8::from(atom.aromatic && molecule.around[nitrogen as usize].len() > 2);
        let sum = molecule.bond_sum(nitrogen) + atom.named_hydrogens.unwrap_or(0) + pi;
        if sum < 5 && !(pi == 1 && sum == 5) {
            continue;
        }
        let oxygen = molecule.around[nitrogen as usize].iter().copied().find(|&bond| {
            let it = &molecule.bonds[bond as usize];
            let other = it.other(nitrogen);
            let end = &molecule.atoms[other as usize];
            it.order == Order::Double
                && end.element == 8
                && end.charge == 0
                && molecule.around[other as usize].len() == 1
        });
        if let Some(bond) = oxygen {
            let other = molecule.bonds[bond as usize].other(nitrogen);
            molecule.bonds[bond as usize].order = Order::Single;
            molecule.atoms[nitrogen as usize].charge = 1;
            molecule.atoms[other as usize].charge = -1;
            molecule.atoms[other as usize].named_hydrogens.get_or_insert(0);
            molecule.atoms[nitrogen as usize].named_hydrogens.get_or_insert(0);
        }
    }
}

/// Whether an aromatic atom needs a double bond beside its other bonds.
fn needs_double(molecule: &Molecule, atom: u32) -> bool {
    let it = &molecule.atoms[atom as usize];
    if it.element == 0 {
        return false;
    }
    let bonds = molecule.bond_sum(atom) + it.named_hydrogens.unwrap_or(0);
    // A carbon without brackets has a hydrogen where it has two neighbours.
    let bonds = if it.named_hydrogens.is_none() && it.element == 6 { bonds.max(3) } else { bonds };
    allowed(molecule, atom).iter().find(|&&valence| valence >= bonds).is_some_and(|&valence| valence > bonds)
}

fn place_double_bonds(molecule: &mut Molecule) -> Result<(), SmilesError> {
    let open: Vec<u32> = (0..molecule.atoms.len() as u32)
        .filter(|&atom| molecule.atoms[atom as usize].aromatic && needs_double(molecule, atom))
        .collect();
    let aromatic = |bond: u32| molecule.bonds[bond as usize].order == Order::Aromatic;
    let edges: Vec<Vec<usize>> = open
        .iter()
        .map(|&atom| {
            let bonds = molecule.around[atom as usize].iter().filter(|&&bond| aromatic(bond));
            bonds.filter_map(|&bond| open.binary_search(&molecule.bonds[bond as usize].other(atom)).ok()).collect()
        })
        .collect();
    let partner = matching(&edges);
    if let Some(alone) = partner.iter().position(Option::is_none) {
        let at = molecule.atoms[open[alone] as usize].at;
        return error(
            at,
            "the double bonds of the aromatic ring cannot be placed; a hydrogen may be missing, as in [nH]",
        );
    }
    for bond in &mut molecule.bonds {
        if bond.order == Order::Aromatic {
            let place = |end: u32| open.binary_search(&end).ok();
            let pair = place(bond.ends[0]).zip(place(bond.ends[1]));
            bond.order = match pair {
                Some((a, b)) if partner[a] == Some(b) => Order::Double,
                _ => Order::Single,
            };
        }
    }
    Ok(())
}

/// Hydrogens of an atom that are no atoms of their own.
fn hydrogens(molecule: &Molecule, atom: u32) -> Result<u8, SmilesError> {
    let it = &molecule.atoms[atom as usize];
    let bonds = molecule.bond_sum(atom);
    let allowed = allowed(molecule, atom);
    let named = it.named_hydrogens.unwrap_or(0);
    let (Some(&most), false) = (allowed.last(), it.element == 0) else { return Ok(named) };
    let sum = bonds + named;
    if sum > most {
        let charge = match it.charge {
            0 => String::new(),
            charge => format!(" of charge {charge:+}"),
        };
        let name = symbol(it.element);
        return error(it.at, format!("{name}{charge} has {sum} bonds, more than the {most} that it can have"));
    }
    if it.named_hydrogens.is_some() {
        return Ok(named);
    }
    let valence = allowed.iter().copied().find(|&valence| valence >= bonds).unwrap_or(bonds);
    Ok(valence - bonds)
}
