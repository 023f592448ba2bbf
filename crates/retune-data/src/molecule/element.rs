//! Elements: symbols, usual valences, outer electrons.

/// Symbols by atomic number; 0 stands for any atom.
const SYMBOLS: [&str; 119] = [
    "*", "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca",
    "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",
    "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce",
    "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir",
    "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm",
    "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc",
    "Lv", "Ts", "Og",
];

/// The atomic number of a symbol.
pub(super) fn number(symbol: &str) -> Option<u8> {
    SYMBOLS.iter().position(|it| *it == symbol).map(|at| at as u8)
}

/// The symbol of an atomic number.
pub(super) fn symbol(number: u8) -> &'static str {
    SYMBOLS.get(number as usize).copied().unwrap_or("*")
}

/// Valences that an uncharged atom may have, ascending; nothing where any is possible.
pub(super) fn valences(number: i32) -> &'static [u8] {
    match number {
        1 | 9 | 17 | 35 => &[1],
        2 | 10 | 18 | 36 => &[0],
        3 | 11 | 19 | 37 | 55 => &[1],
        4 | 12 | 20 | 38 | 56 => &[2],
        5 => &[3],
        6 | 14 | 32 => &[4],
        7 => &[3],
        8 => &[2],
        15 | 33 => &[3, 5, 7],
        16 | 34 | 52 => &[2, 4, 6],
        53 => &[1, 3, 5],
        _ => &[],
    }
}

/// Electrons in the outer shell of a main-group atom.
pub(super) fn outer_electrons(number: u8) -> Option<i32> {
    Some(match number {
        1 | 3 | 11 | 19 => 1,
        4 | 12 | 20 => 2,
        5 | 13 | 31 => 3,
        6 | 14 | 32 => 4,
        7 | 15 | 33 => 5,
        8 | 16 | 34 | 52 => 6,
        9 | 17 | 35 | 53 => 7,
        _ => return None,
    })
}

/// Whether an atom may be written without brackets.
pub(super) fn is_organic(number: u8) -> bool {
    matches!(number, 5 | 6 | 7 | 8 | 9 | 15 | 16 | 17 | 35 | 53)
}
