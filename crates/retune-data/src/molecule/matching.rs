//! Maximum matchings of graphs with odd rings (Edmonds 1965).

use std::collections::VecDeque;

/// Pairs of neighbours, as many as possible: the partner of each node. `edges[node]` are its neighbours.
pub(super) fn matching(edges: &[Vec<usize>]) -> Vec<Option<usize>> {
    let count = edges.len();
    let mut partner: Vec<Option<usize>> = vec![None; count];
    for root in 0..count {
        if partner[root].is_some() {
            continue;
        }
        if let Some(free) = edges[root].iter().copied().find(|&other| partner[other].is_none()) {
            (partner[root], partner[free]) = (Some(free), Some(root));
        }
    }
    for root in 0..count {
        if partner[root].is_none() {
            grow(edges, &mut partner, root);
        }
    }
    partner
}

/// Looks for an alternating way from `root` to another free node, and turns it over.
fn grow(edges: &[Vec<usize>], partner: &mut [Option<usize>], root: usize) {
    let count = edges.len();
    let mut base: Vec<usize> = (0..count).collect();
    let mut parent: Vec<Option<usize>> = vec![None; count];
    let mut used = vec![false; count];
    used[root] = true;
    let mut queue = VecDeque::from([root]);
    while let Some(node) = queue.pop_front() {
        for &other in &edges[node] {
            if base[node] == base[other] || partner[node] == Some(other) {
                continue;
            }
            if other == root || partner[other].is_some_and(|mate| parent[mate].is_some()) {
                // An odd ring: it counts as one node from here on.
                let common = common(&base, &parent, partner, node, other);
                let mut blossom = vec![false; count];
                mark(&base, &mut parent, partner, &mut blossom, node, common, other);
                mark(&base, &mut parent, partner, &mut blossom, other, common, node);
                for it in 0..count {
                    if blossom[base[it]] {
                        base[it] = common;
                        if !used[it] {
                            used[it] = true;
                            queue.push_back(it);
                        }
                    }
                }
            } else if parent[other].is_none() {
                parent[other] = Some(node);
                match partner[other] {
                    None => return turn(&parent, partner, other),
                    Some(mate) => {
                        used[mate] = true;
                        queue.push_back(mate);
                    }
                }
            }
        }
    }
}

fn turn(parent: &[Option<usize>], partner: &mut [Option<usize>], end: usize) {
    let mut node = Some(end);
    while let Some(it) = node {
        let Some(before) = parent[it] else { break };
        let next = partner[before];
        (partner[it], partner[before]) = (Some(before), Some(it));
        node = next;
    }
}

fn common(base: &[usize], parent: &[Option<usize>], partner: &[Option<usize>], mut a: usize, mut b: usize) -> usize {
    let mut seen = vec![false; base.len()];
    loop {
        a = base[a];
        seen[a] = true;
        match partner[a].and_then(|mate| parent[mate]) {
            Some(up) => a = up,
            None => break,
        }
    }
    loop {
        b = base[b];
        if seen[b] {
            return b;
        }
        match partner[b].and_then(|mate| parent[mate]) {
            Some(up) => b = up,
            None => return b,
        }
    }
}

fn mark(
    base: &[usize],
    parent: &mut [Option<usize>],
    partner: &[Option<usize>],
    blossom: &mut [bool],
    mut node: usize,
    common: usize,
    mut child: usize,
) {
    while base[node] != common {
        let Some(mate) = partner[node] else { return };
        (blossom[base[node]], blossom[base[mate]]) = (true, true);
        parent[node] = Some(child);
        child = mate;
        let Some(up) = parent[mate] else { return };
        node = up;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By trying all.
    fn most(edges: &[(usize, usize)], used: u32) -> usize {
        let free = |node: usize| used & (1 << node) == 0;
        let one = |(at, &(a, b)): (usize, &(usize, usize))| {
            (a != b && free(a) && free(b)).then(|| 1 + most(&edges[at + 1..], used | 1 << a | 1 << b))
        };
        edges.iter().enumerate().filter_map(one).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_matching_is_larger(pairs in prop::collection::vec((0usize..9, 0usize..9), 0..16)) {
            let mut edges = vec![Vec::new(); 9];
            for &(a, b) in pairs.iter().filter(|(a, b)| a != b) {
                edges[a].push(b);
                edges[b].push(a);
            }
            let partner = matching(&edges);
            for (node, mate) in partner.iter().enumerate() {
                if let Some(mate) = mate {
                    prop_assert_eq!(partner[*mate], Some(node));
                    prop_assert!(edges[node].contains(mate));
                }
            }
            prop_assert_eq!(partner.iter().flatten().count(), 2 * most(&pairs, 0));
        }
    }
}
