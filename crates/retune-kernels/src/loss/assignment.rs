//! The assignment problem: shortest augmenting paths (Jonker & Volgenant 1987, as Crouse 2016 has it), SciPy's
//! `linear_sum_assignment`.

/// For each of `columns` the row that it is assigned so that the sum of `costs` [rows, columns], row by row, is least; `None`
/// where there are fewer rows than columns. Costs must be finite.
pub(super) fn assign(costs: &[f64], rows: usize, columns: usize) -> Vec<Option<usize>> {
    if rows < columns {
        // The smaller side is assigned wholly.
        let turned: Vec<f64> = (0..columns * rows).map(|i| costs[i % rows * columns + i / rows]).collect();
        let mut of_columns = vec![None; columns];
        for (row, column) in assign_all(&turned, columns, rows).into_iter().enumerate() {
            of_columns[column] = Some(row);
        }
        return of_columns;
    }
    assign_all(costs, rows, columns).into_iter().map(Some).collect()
}

/// The row of each column, where there are at least as many rows.
fn assign_all(costs: &[f64], rows: usize, columns: usize) -> Vec<usize> {
    let cost = |row: usize, column: usize| costs[row * columns + column];
    let (mut of_rows, mut of_columns) = (vec![None; rows], vec![usize::MAX; columns]);
    let (mut row_price, mut column_price) = (vec![0.0; rows], vec![0.0; columns]);
    for first in 0..columns {
        // The shortest path from an unassigned column to an unassigned row.
        let mut distance = vec![f64::INFINITY; rows];
        let mut from = vec![first; rows];
        let (mut seen_rows, mut seen_columns) = (vec![false; rows], vec![false; columns]);
        let (mut column, mut length) = (first, 0.0);
        let last = loop {
            seen_columns[column] = true;
            let mut nearest: Option<usize> = None;
            for row in (0..rows).filter(|&row| !seen_rows[row]) {
                let through = length + cost(row, column) - column_price[column] - row_price[row];
                if through < distance[row] {
                    (distance[row], from[row]) = (through, column);
                }
                let nearer = nearest.is_none_or(|other: usize| {
                    distance[row] < distance[other] || (distance[row] == distance[other] && of_rows[row].is_none())
                });
                if nearer {
                    nearest = Some(row);
                }
            }
            let row = nearest.expect("there are more rows than columns");
            length = distance[row];
            seen_rows[row] = true;
            match of_rows[row] {
                None => break row,
                Some(next) => column = next,
            }
        };
        column_price[first] += length;
        for column in (0..columns).filter(|&column| seen_columns[column] && column != first) {
            column_price[column] += length - distance[of_columns[column]];
        }
        for row in (0..rows).filter(|&row| seen_rows[row]) {
            row_price[row] -= length - distance[row];
        }
        let mut row = last;
        loop {
            let column = from[row];
            of_rows[row] = Some(column);
            let before = std::mem::replace(&mut of_columns[column], row);
            if column == first {
                break;
            }
            row = before;
        }
    }
    of_columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    /// The least sum by trying everything.
    fn least(costs: &[f64], rows: usize, columns: usize, column: usize, used: &mut Vec<usize>) -> f64 {
        if column == columns {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for row in 0..rows {
            if used.contains(&row) {
                continue;
            }
            used.push(row);
            best = best.min(costs[row * columns + column] + least(costs, rows, columns, column + 1, used));
            used.pop();
        }
        best
    }

    #[test]
    fn nothing_is_cheaper() {
        for seed in 0..60u64 {
            let (rows, columns) = (3 + seed as usize % 4, 1 + seed as usize % 3);
            let costs: Vec<f64> = random::normal(seed, rows * columns).into_iter().map(f64::from).collect();
            let found = assign(&costs, rows, columns);
            let mut taken: Vec<usize> = found.iter().map(|row| row.unwrap()).collect();
            let sum: f64 = taken.iter().enumerate().map(|(column, row)| costs[row * columns + column]).sum();
            assert!((sum - least(&costs, rows, columns, 0, &mut Vec::new())).abs() < 1e-9, "{seed}");
            taken.sort_unstable();
            taken.dedup();
            assert_eq!(taken.len(), columns);
        }
    }

    #[test]
    fn the_smaller_side_is_assigned_wholly() {
        // One row for three columns: the cheapest takes it.
        assert_eq!(assign(&[3.0, 1.0, 2.0], 1, 3), [None, Some(0), None]);
        assert_eq!(assign(&[], 4, 0), []);
        assert_eq!(assign(&[], 0, 2), [None, None]);
        // Equal costs: any, but each once.
        let mut rows: Vec<usize> = assign(&[1.0; 12], 4, 3).into_iter().flatten().collect();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), 3);
    }
}
