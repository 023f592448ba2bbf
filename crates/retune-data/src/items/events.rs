//! Tables of interactions: who met what, when, and how it was liked.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::time::time_of;
use super::{Catalogue, Names};
use crate::problems::Problems;
use crate::table::{self, Wanted};
use crate::{DataError, OnBadExample, RowProblem};

/// The largest number that is taken for a rating: more than anybody counts or pays.
const MOST_OF_A_RATING: f64 = 1e12;

/// The columns of a table of interactions.
#[derive(Debug, Clone)]
pub struct EventColumns {
    /// Who.
    pub user: String,
    /// What.
    pub item: String,
    /// When; where the table has no such column, its rows are in order.
    pub time: String,
    /// Whether it must be there.
    pub time_required: bool,
    /// How it was liked, and what at least counts; `None`: every row counts.
    pub rating: Option<(String, f64)>,
}

/// Interactions of one file, in its order, without repetitions.
#[derive(Debug, Clone, Default)]
pub struct Events {
    /// Where they come from.
    pub file: PathBuf,
    /// Who, by number.
    pub users: Vec<u32>,
    /// What, by number from 1.
    pub items: Vec<u32>,
    /// When: what is later is larger.
    pub times: Vec<f64>,
    /// Where each begins.
    pub lines: Vec<u64>,
    /// Whether the file says when.
    pub timed: bool,
    /// What a person should know about how the file was read.
    pub remarks: Vec<String>,
}

impl Events {
    /// Reads a table; users and items that are new get numbers.
    ///
    /// # Errors
    /// An unreadable file, missing columns, rows without user, item or a time, up to ten together.
    pub fn read(
        path: &Path,
        columns: &EventColumns,
        on_bad_example: OnBadExample,
        users: &mut Names,
        items: &mut Catalogue,
    ) -> Result<Self, DataError> {
        let wanted = |name: &str, flag, required| Wanted { name: name.to_owned(), flag, required, bytes: false };
        let mut all = vec![
            wanted(&columns.user, "--user-column", true),
            wanted(&columns.item, "--item-column", true),
            wanted(&columns.time, "--time-column", columns.time_required),
        ];
        all.extend(columns.rating.iter().map(|(name, _)| wanted(name, "--rating-column", true)));
        let mut reader = table::open(path, &all)?;
        let mut events = Self { file: path.to_owned(), ..Self::default() };
        let mut problems = Problems::that(on_bad_example, path);
        let (mut seen, mut twice, mut disliked) = (HashSet::new(), 0, 0);
        while let Some(record) = reader.next_record() {
            let good = events.lines.len();
            events.timed = reader.present()[2];
            let read = record?.and_then(|record| {
                let named = |place: usize, column: &str, what: &str| {
                    let name = record.cells[place].name().filter(|name| !name.is_empty());
                    name.ok_or_else(|| {
                        let message = format!("names no {what}; fill it in or remove the row");
                        RowProblem::new(record.line, Some(column), message)
                    })
                };
                let user = named(0, &columns.user, "user")?;
                let item = named(1, &columns.item, "item")?;
                let time = match &record.cells[2] {
                    _ if !events.timed => 0.0,
                    cell => time_of(cell).map_err(|why| RowProblem::new(record.line, Some(&columns.time), why))?,
                };
                let liked = match &columns.rating {
                    None => true,
                    Some((name, least)) => {
                        let found = record.cells[3].name().unwrap_or_default();
                        let rating = found.parse::<f64>().ok().filter(|rating| rating.abs() <= MOST_OF_A_RATING);
                        let why = || format!("`{found}` is no rating; mend it or remove the row");
                        rating.ok_or_else(|| RowProblem::new(record.line, Some(name), why()))? >= *least
                    }
                };
                Ok((record.line, user, item, time, liked))
            });
            match read {
                Err(problem) => problems.push_row(good, problem)?,
                Ok((_, _, _, _, false)) => disliked += 1,
                Ok((line, user, item, time, true)) => {
                    let (user, item) = (users.number(&user), items.add(&item));
                    if seen.insert((user, item, time.to_bits())) {
                        events.users.push(user);
                        events.items.push(item);
                        events.times.push(time);
                        events.lines.push(line);
                    } else {
                        twice += 1;
                    }
                }
            }
        }
        let left_out = problems.leave_out(!events.lines.is_empty())?;
        let file = path.display();
        let mut say = |count: usize, what: &str| {
            events.remarks.extend((count > 0).then(|| format!("{file}: {count} {what}")));
        };
        say(twice, "rows repeat an interaction and count once");
        say(disliked, "interactions are rated lower than --min-rating and do not count");
        say(left_out.len(), "rows cannot be used and are left out");
        if !events.timed {
            events.remarks.push(format!("{file}: has no column `{}`, which would say what came first", columns.time));
        }
        events.remarks.extend(reader.remarks());
        Ok(events)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(rating: Option<(String, f64)>) -> EventColumns {
        let (user, item, time) = ("user_id".to_owned(), "item_id".to_owned(), "timestamp".to_owned());
        EventColumns { user, item, time, time_required: false, rating }
    }

    #[test]
    fn rows_are_read_once_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "user_id,item_id,rating,timestamp\nu,a,5,10\nu,a,5,10\nv,b,1,2024-05-31\nu,c,4,9\n")
            .unwrap();
        let (mut users, mut items) = (Names::default(), Catalogue::default());
        let rating = Some(("rating".to_owned(), 3.0));
        let events = Events::read(&path, &columns(rating), OnBadExample::Fail, &mut users, &mut items).unwrap();
        assert_eq!((&events.items[..], &events.users[..], events.timed), (&[1, 2][..], &[0, 0][..], true));
        assert_eq!(events.remarks.len(), 2, "{:?}", events.remarks);
        let broken = "user_id,item_id,rating,timestamp\nu,a,1e300,3\nu,b,5,1e99\nu,c,5,-5\nu,d,nan,4\n";
        std::fs::write(&path, broken).unwrap();
        let read = |bad| {
            let rating = Some(("rating".to_owned(), 3.0));
            Events::read(&path, &columns(rating), bad, &mut Names::default(), &mut Catalogue::default())
        };
        let said = read(OnBadExample::Fail).unwrap_err().to_string();
        for part in
            ["a.csv:2: column `rating`: `1e300`", "a.csv:3: column `timestamp`: `1e99`", "a.csv:5: column `rating`"]
        {
            assert!(said.contains(part), "{said}");
        }
        let kept = read(OnBadExample::Skip).unwrap();
        assert_eq!((kept.times.as_slice(), kept.lines.as_slice()), (&[-5.0][..], &[4][..]));
        assert!(kept.remarks.iter().any(|remark| remark.contains("3 rows cannot be used")), "{:?}", kept.remarks);
        std::fs::write(&path, "user_id,item_id,timestamp\n,a,10\nu,,3\nu,a,soon\n").unwrap();
        let said =
            Events::read(&path, &columns(None), OnBadExample::Fail, &mut users, &mut items).unwrap_err().to_string();
        for part in
            ["a.csv:2: column `user_id`: names no user", "a.csv:3", "a.csv:4: column `timestamp`: `soon` is no time"]
        {
            assert!(said.contains(part), "{said}");
        }
    }
}
