//! Run lengths of polygons, as pycocotools makes them (`rleFrPoly`): their edges are walked in fifths of pixels.

const SCALE: f64 = 5.0;

/// COCO's run lengths of the inside of a polygon, x and y of its corners by turns, in an image of this width and height.
pub(in crate::image) fn polygon_runs(corners: &[f64], (width, height): (usize, usize)) -> Vec<u32> {
    // Nobody draws farther out, and so an edge has an end.
    let most = 4.0 * width.max(height).max(1) as f64;
    let scaled = |number: f64| (SCALE * number.clamp(-most, most) + 0.5) as i64;
    let points: Vec<(i64, i64)> = corners.chunks_exact(2).map(|at| (scaled(at[0]), scaled(at[1]))).collect();
    let mut edge: Vec<(i64, i64)> = Vec::new();
    for (&from, &to) in points.iter().zip(points.iter().cycle().skip(1)) {
        walk(from, to, &mut edge);
    }
    // Where the outline crosses the middle of a column.
    let mut places: Vec<i64> = Vec::new();
    for pair in edge.windows(2) {
        let [(before, above), (here, below)] = [pair[0], pair[1]];
        if here == before {
            continue;
        }
        let near = if here < before { here } else { here - 1 };
        let column = (near as f64 + 0.5) / SCALE - 0.5;
        if column.floor() != column || column < 0.0 || column > width as f64 - 1.0 {
            continue;
        }
        let row = ((below.min(above) as f64 + 0.5) / SCALE - 0.5).clamp(0.0, height as f64).ceil();
        places.push(column as i64 * height as i64 + row as i64);
    }
    places.push((width * height) as i64);
    places.sort_unstable();
    let mut before = 0;
    let mut steps = places.into_iter().map(|place| (place - std::mem::replace(&mut before, place)) as u32);
    let mut runs = vec![steps.next().unwrap_or(0)];
    // Two crossings at one place are none: what is on both sides of them is one run.
    while let Some(step) = steps.next() {
        match (step, runs.last_mut()) {
            (0, Some(last)) => *last += steps.next().unwrap_or(0),
            _ => runs.push(step),
        }
    }
    runs
}

/// Points of an edge, one for each step along its longer direction.
fn walk((from_x, from_y): (i64, i64), (to_x, to_y): (i64, i64), into: &mut Vec<(i64, i64)>) {
    let (across, down) = ((to_x - from_x).abs(), (to_y - from_y).abs());
    let flat = across >= down;
    let turned = if flat { from_x > to_x } else { from_y > to_y };
    let ((x, y), (end_x, end_y)) = match turned {
        true => ((to_x, to_y), (from_x, from_y)),
        false => ((from_x, from_y), (to_x, to_y)),
    };
    let length = across.max(down);
    let slope = match (length, flat) {
        (0, _) => 0.0,
        (_, true) => (end_y - y) as f64 / length as f64,
        (_, false) => (end_x - x) as f64 / length as f64,
    };
    for step in 0..=length {
        let t = if turned { length - step } else { step };
        let aside = |start: i64| (start as f64 + slope * t as f64 + 0.5) as i64;
        into.push(if flat { (x + t, aside(y)) } else { (aside(x), y + t) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `pycocotools.mask.frPyObjects` of the same polygons.
    #[test]
    fn polygons_are_those_of_pycocotools() {
        for (corners, size, expected) in CASES {
            assert_eq!(polygon_runs(corners, *size), *expected, "{corners:?}");
        }
    }

    type Case = (&'static [f64], (usize, usize), &'static [u32]);
    const CASES: &[Case] = &[
        (&[1.0, 1.0, 8.4, 2.2, 6.0, 9.7], (12, 11), &[12, 1, 10, 3, 8, 4, 8, 5, 6, 7, 4, 6, 5, 3, 50]),
        (&[0.0, 0.0, 4.0, 0.0, 4.0, 3.0, 0.0, 3.0], (4, 3), &[0, 12]),
        (&[2.5, -3.0, 15.0, 4.0, 7.2, 20.1, -2.0, 6.0], (10, 9), &[1, 80, 1, 8]),
        (&[1.2, 1.2, 1.9, 1.2, 1.9, 1.9], (5, 5), &[25]),
        (&[3.0, 3.0, 3.0, 3.0, 7.0, 3.0, 7.0, 8.0, 3.0, 8.0], (12, 12), &[39, 5, 7, 5, 7, 5, 7, 5, 64]),
        (&[0.5, 9.5, 9.5, 0.5, 9.5, 9.5, 0.5, 0.5], (10, 10), &[11, 8, 3, 6, 5, 4, 7, 2, 18, 2, 7, 4, 5, 6, 3, 8, 1]),
    ];
}
