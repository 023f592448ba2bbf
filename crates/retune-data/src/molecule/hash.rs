//! Numbers that are equal for equal labelled graphs, however their nodes are numbered.
//!
//! Colours are refined by those of neighbours (Weisfeiler and Leman 1968), once for each node that is told apart first: what
//! that leaves alike are graphs that no molecule has.

/// SplitMix64's finalizer.
pub(super) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number for a list of numbers.
pub(super) fn of(numbers: &[u64]) -> u64 {
    numbers.iter().fold(numbers.len() as u64, |state, &number| mix(state.wrapping_mul(3) ^ mix(number)))
}

/// The number of a graph: `labels` of its nodes, and of each node its neighbours with the labels of the edges to them.
pub(super) fn graph(labels: &[u64], edges: &[Vec<(usize, u64)>]) -> u64 {
    let mut all: Vec<u64> = (0..labels.len())
        .map(|apart| {
            let mut colours = labels.to_vec();
            colours[apart] = mix(colours[apart] ^ 0x5eed);
            refine(&mut colours, edges);
            colours.sort_unstable();
            of(&colours)
        })
        .collect();
    all.sort_unstable();
    of(&all)
}

/// Colours of neighbours go into a node's until no more nodes are told apart.
pub(super) fn refine(colours: &mut Vec<u64>, edges: &[Vec<(usize, u64)>]) {
    let count = |colours: &[u64]| {
        let mut sorted = colours.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        sorted.len()
    };
    let mut classes = count(colours);
    for _ in 0..colours.len() {
        let next: Vec<u64> = colours
            .iter()
            .zip(edges)
            .map(|(&own, near)| {
                let near =
                    near.iter().fold(0u64, |sum, &(node, edge)| sum.wrapping_add(mix(colours[node] ^ mix(edge))));
                mix(own.wrapping_mul(5) ^ mix(near))
            })
            .collect();
        *colours = next;
        let more = count(colours);
        if more <= classes {
            break;
        }
        classes = more;
    }
}
