//! The first text of a shape: ties between atoms are broken in every way that is not known to be the same (McKay and Piperno 2014).

use std::collections::HashMap;

use super::super::hash;
use super::Shape;

/// Orders of the atoms that are tried at most: far more than any molecule needs that chemists draw.
const MOST_TRIED: usize = 2000;
/// Mixed into the colour of an atom that is told apart.
const APART: u64 = 0xa9a7;

/// Ties broken in every way that is not known to be the same.
struct Search<'a> {
    shape: &'a Shape,
    edges: Vec<Vec<(usize, u64)>>,
    /// Texts with the atoms that were told apart for them, and all atoms as they come in them.
    leaves: HashMap<String, (Vec<u32>, Vec<u32>)>,
    /// At each depth, atoms that a symmetry makes of each other which leaves those told apart before where they are.
    orbits: Vec<Vec<u32>>,
    best: Option<String>,
    tried: usize,
    /// Whether something could not be written.
    lost: bool,
}

/// The first of all texts of a shape; `None` where it cannot be written.
pub(super) fn first(shape: &Shape) -> Option<String> {
    let (labels, edges) = shape.labels();
    let mut search =
        Search { shape, edges, leaves: HashMap::new(), orbits: Vec::new(), best: None, tried: 0, lost: false };
    search.go(labels, &mut Vec::new());
    search.best.filter(|_| !search.lost)
}

impl Search<'_> {
    /// Goes on from colours of the atoms; where the same text was found before, the depth at which both ways part.
    fn go(&mut self, mut colours: Vec<u64>, path: &mut Vec<u32>) -> Option<usize> {
        hash::refine(&mut colours, &self.edges);
        let mut order: Vec<u32> = (0..colours.len() as u32).collect();
        order.sort_by_key(|&atom| (self.edges[atom as usize].len(), colours[atom as usize]));
        let tied = order.chunk_by(|&a, &b| colours[a as usize] == colours[b as usize]).find(|class| class.len() > 1);
        let Some(class) = tied else { return self.leaf(&order, path) };
        let depth = path.len();
        self.orbits.push((0..colours.len() as u32).collect());
        let mut explored: Vec<u32> = Vec::new();
        for &atom in class {
            let orbit = |it: u32| find(&self.orbits[depth], it);
            if explored.iter().any(|&other| orbit(other) == orbit(atom)) {
                continue;
            }
            if self.tried >= MOST_TRIED {
                break;
            }
            explored.push(atom);
            let mut apart = colours.clone();
            apart[atom as usize] = hash::mix(apart[atom as usize] ^ APART);
            path.push(atom);
            let parted = self.go(apart, path);
            path.pop();
            if parted.is_some_and(|parted| parted < depth) || self.lost {
                self.orbits.pop();
                return parted;
            }
        }
        self.orbits.pop();
        None
    }

    fn leaf(&mut self, order: &[u32], path: &[u32]) -> Option<usize> {
        self.tried += 1;
        let mut rank = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, &atom)| rank[atom as usize] = place);
        let Some((text, atoms)) = self.shape.written(&rank) else {
            self.lost = true;
            return None;
        };
        let Some((known, others)) = self.leaves.get(&text) else {
            if self.best.as_ref().is_none_or(|best| text < *best) {
                self.best = Some(text.clone());
            }
            self.leaves.insert(text, (path.to_vec(), atoms));
            return None;
        };
        let parted = known.iter().zip(path).take_while(|(a, b)| a == b).count();
        for orbits in &mut self.orbits[..=parted.min(path.len().saturating_sub(1))] {
            for (&one, &other) in others.iter().zip(&atoms) {
                let (one, other) = (find(orbits, one), find(orbits, other));
                orbits[one.max(other) as usize] = one.min(other);
            }
        }
        Some(parted)
    }
}

/// The first of those that are one.
fn find(orbits: &[u32], mut atom: u32) -> u32 {
    while orbits[atom as usize] != atom {
        atom = orbits[atom as usize];
    }
    atom
}
