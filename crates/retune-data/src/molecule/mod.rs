//! Molecules written as SMILES (Weininger 1988; the OpenSMILES specification): read, checked, written anew, and compared.
//!
//! | file | holds |
//! |---|---|
//! | `element` | symbols, valences and electrons |
//! | `graph` | atoms and bonds |
//! | `error` | what is wrong with a text, and where |
//! | `smiles` | from text to graph |
//! | `write` | from graph to text, from any atom on |
//! | `rings` | which bonds are in rings, and the smallest rings |
//! | `matching` | maximum matchings of a graph |
//! | `valence` | where double bonds of aromatic rings may stand, and whether every atom can have its bonds |
//! | `aromatic` | which rings are aromatic |
//! | `canonical` | one text for all spellings |
//! | `scaffold` | rings and what links them |
//! | `hash` | numbers that are equal for equal graphs |
//! | `fingerprint` | circular fingerprints |

mod aromatic;
mod canonical;
mod element;
mod error;
mod fingerprint;
mod graph;
mod hash;
mod matching;
mod rings;
mod scaffold;
mod smiles;
mod valence;
mod write;

pub use error::SmilesError;
pub use fingerprint::circular_fingerprint;
pub use graph::Molecule;

#[cfg(test)]
mod tests;
