//! Interactions become histories: what is learnt from, and what came next for whom.

use super::order::Order;
use anyhow::{Context, Result, ensure};
use retune_data::{Asked, Catalogue, Events, Names, Sequences};
use std::path::Path;
use std::sync::Arc;

/// One interaction in its order: by time, then by file, then by lot where that decides, then by line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Met {
    time: f64,
    file: u8,
    lot: u64,
    line: u64,
    pub(super) item: u32,
}

impl Met {
    fn before(&self, other: &Self) -> bool {
        self.order(other).is_lt()
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let by_file = self.time.total_cmp(&other.time).then(self.file.cmp(&other.file));
        by_file.then(self.lot.cmp(&other.lot)).then(self.line.cmp(&other.line))
    }

    /// Row `at` of `events`, which is the `file`th.
    fn new(events: &Events, file: usize, at: usize, order: Order) -> Self {
        let (user, item) = (events.users[at], events.items[at]);
        let time = if order == Order::Time { events.times[at] } else { 0.0 };
        Self { time, file: file as u8, lot: order.lot(user, item), line: events.lines[at], item }
    }
}

/// What each user met, oldest first.
pub(super) fn timelines(files: &[&Events], users: usize, order: Order) -> Vec<Vec<Met>> {
    let mut all = vec![Vec::new(); users];
    for (file, events) in files.iter().enumerate() {
        for at in 0..events.len() {
            all[events.users[at] as usize].push(Met::new(events, file, at, order));
        }
    }
    all.iter_mut().for_each(|met| met.sort_by(Met::order));
    all
}

/// How many neighbours in time have the same time.
fn ties(timelines: &[Vec<Met>]) -> usize {
    timelines.iter().flat_map(|met| met.windows(2)).filter(|pair| pair[0].time == pair[1].time).count()
}

/// The files of a run.
pub(super) struct Files {
    pub(super) train: Events,
    pub(super) validation: Option<Events>,
    pub(super) test: Option<Events>,
}

/// The histories of a run.
pub(super) struct Held {
    pub(super) train: Sequences,
    pub(super) validation: Sequences,
    pub(super) test: Option<Sequences>,
    /// In words.
    pub(super) protocol: String,
    /// Things a person should know.
    pub(super) notes: Vec<String>,
}

/// How stretches are cut from training histories.
#[derive(Clone, Copy)]
pub(super) struct Stretches {
    /// Items of one.
    pub(super) longest: usize,
    /// Whether the first item of one is the last of the one before, because it is not learnt.
    pub(super) overlap: bool,
}

/// Histories with what came next, out of `asked`: interactions of `users`, whose others are `known`.
fn ask(
    asked: &Events,
    file: usize,
    known: &[Vec<Met>],
    order: Order,
    users: &Names,
    catalogue: &Arc<Catalogue>,
) -> Sequences {
    let mut rows = Sequences::new(&asked.file, catalogue);
    for at in 0..asked.len() {
        let user = asked.users[at] as usize;
        let next = Met::new(asked, file, at, order);
        let name = users.all()[user].as_str();
        // The same interaction may stand in a file of known ones, too.
        let same = |met: &Met| met.item == next.item && met.time == next.time && order == Order::Time;
        let history: Vec<u32> =
            known[user].iter().filter(|met| met.before(&next) && !same(met)).map(|met| met.item).collect();
        if history.is_empty() {
            let reason = format!("user `{name}` has no interaction before this one: there is nothing to go by");
            rows.push_left_out(Some(name), next.line, reason);
        } else {
            rows.push(Some(name), next.line, &history, Asked::Next(next.item));
        }
    }
    rows
}

/// Interactions whose histories are asked of a saved model.
pub(super) fn asked_of(asked: &Events, known: &[&Events], users: &Names, catalogue: &Arc<Catalogue>) -> Sequences {
    let files: Vec<&Events> = known.iter().copied().chain([asked]).collect();
    let order = Order::of_files(&files);
    let timelines = timelines(&files, users.all().len(), order);
    ask(asked, known.len(), &timelines, order, users, catalogue)
}

/// Holds the last interactions out by time where no files do, and cuts the rest into stretches. Where rows say no time and come in the
/// order of their items' names, lots decide which are the last.
///
/// # Errors
/// No user has enough interactions.
pub(super) fn hold_out(files: Files, users: &Names, catalogue: &Arc<Catalogue>, cut: Stretches) -> Result<Held> {
    let Files { mut train, validation, test } = files;
    let mut notes: Vec<String> = Vec::new();
    let given = validation.is_some() || test.is_some();
    let held = match (&validation, &test) {
        (Some(_), _) => 0,
        (None, Some(_)) => 1,
        (None, None) => 2,
    };
    let order = {
        let files: Vec<&Events> = [&train].into_iter().chain(&validation).chain(&test).collect();
        Order::of(&files, users.all().len(), catalogue)
    };
    notes.extend(order.note(&train.file));
    let (mut validation, mut test) = (validation, test);
    if held > 0 {
        let timelines = timelines(&[&train], users.all().len(), order);
        let mut parts = [Events::default(), Events::default(), Events::default()];
        for part in &mut parts {
            (part.file, part.timed) = (train.file.clone(), train.timed);
        }
        let mut kept_whole = 0;
        for (user, met) in timelines.iter().enumerate() {
            let enough = met.len() > held;
            kept_whole += usize::from(!enough && !met.is_empty());
            for (at, met) in met.iter().enumerate() {
                let from_end = timelines[user].len() - at;
                let part = if enough && from_end <= held { &mut parts[held - from_end + 1] } else { &mut parts[0] };
                part.users.push(user as u32);
                part.items.push(met.item);
                part.times.push(met.time);
                part.lines.push(met.line);
            }
        }
        if kept_whole > 0 {
            notes.push(format!(
                "{kept_whole} users have too few interactions for one to be held out; all of theirs are learnt"
            ));
        }
        let [first, second, third] = parts;
        train = Events { remarks: std::mem::take(&mut train.remarks), ..first };
        validation = Some(second);
        if held == 2 {
            test = Some(third);
        }
    }
    let validation = validation.context("validation interactions")?;
    let files: Vec<&Events> = [&train, &validation].into_iter().chain(&test).collect();
    for events in &files {
        notes.extend(events.remarks.iter().cloned());
    }
    let timed = order == Order::Time;
    if !timed && files.iter().any(|events| events.timed) {
        notes.push("one of the files has no times: all are taken in the order given".to_owned());
    }
    let known = timelines(&files, users.all().len(), order);
    let tied = if timed { ties(&known) } else { 0 };
    if tied > 0 {
        notes.push(format!(
            "{tied} interactions have the time of the one before; their order is that of the files and lines"
        ));
    }
    let learnt = timelines(&[&train], users.all().len(), order);
    let last = |user: u32| learnt[user as usize].last().map(|met| met.time);
    let later = |events: &Events| {
        let all =
            (0..events.len()).filter(|&at| timed && last(events.users[at]).is_some_and(|time| time > events.times[at]));
        all.count()
    };
    for (what, events) in [("validation", Some(&validation)), ("test", test.as_ref())] {
        let count = events.map_or(0, later);
        if count > 0 {
            notes.push(format!(
                "{what}: {count} interactions lie before others that are learnt from; what is learnt knows their future"
            ));
        }
    }
    let rows = stretches(&train, &learnt, users, catalogue, cut, &mut notes)?;
    let how = if given { "the given files" } else { order.held_out() };
    let protocol = format!(
        "Held out by {how}. Each interaction that is held out is asked for by all of the user's before it; all {} items are \
         ranked, save those that the history holds; of equal scores the item that comes first in the catalogue stands first. \
         Intervals draw users.",
        catalogue.len()
    );
    Ok(Held {
        train: rows,
        validation: ask(&validation, 1, &known, order, users, catalogue),
        test: test.map(|test| ask(&test, 2, &known, order, users, catalogue)),
        protocol,
        notes,
    })
}

fn stretches(
    train: &Events,
    learnt: &[Vec<Met>],
    users: &Names,
    catalogue: &Arc<Catalogue>,
    cut: Stretches,
    notes: &mut Vec<String>,
) -> Result<Sequences> {
    let mut rows = Sequences::new(&train.file, catalogue);
    let mut single = 0;
    let longest = cut.longest + usize::from(cut.overlap);
    for (user, met) in learnt.iter().enumerate() {
        single += usize::from(met.len() == 1);
        let items: Vec<u32> = met.iter().map(|met| met.item).collect();
        let mut parts = Vec::new();
        let mut end = items.len();
        while end >= 2 {
            let start = end.saturating_sub(longest);
            parts.push(start..end);
            end = if start == 0 { 0 } else { start + usize::from(cut.overlap) };
        }
        // Oldest first.
        for part in parts.into_iter().rev() {
            rows.push(Some(&users.all()[user]), 0, &items[part], Asked::All);
        }
    }
    if single > 0 {
        notes.push(format!("{single} users have a single interaction to learn from: nothing is learnt of them"));
    }
    ensure!(
        !retune_data::Records::is_empty(&rows),
        "{}: no user has two interactions to learn from",
        train.file.display()
    );
    Ok(rows)
}

/// Whether two paths name one file.
pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_data::Records;

    fn events(file: &str, all: &[(u32, u32, f64)]) -> Events {
        let mut events = Events { file: file.into(), timed: true, ..Events::default() };
        for (line, (user, item, time)) in all.iter().enumerate() {
            events.users.push(*user);
            events.items.push(*item);
            events.times.push(*time);
            events.lines.push(line as u64 + 2);
        }
        events
    }

    fn names(count: u32) -> Names {
        let mut names = Names::default();
        for it in 0..count {
            names.number(&format!("u{it}"));
        }
        names
    }

    const CUT: Stretches = Stretches { longest: 2, overlap: true };

    #[test]
    fn the_last_ones_are_held_out_by_time() {
        let catalogue = Arc::new(Catalogue::of(["a", "b", "c", "d", "e"]));
        // Not in order; the second user has too few, the third one only.
        let train = events(
            "t.csv",
            &[(0, 4, 9.0), (0, 1, 1.0), (0, 2, 2.0), (0, 3, 2.0), (1, 5, 1.0), (1, 1, 2.0), (2, 2, 1.0)],
        );
        let held = hold_out(Files { train, validation: None, test: None }, &names(3), &catalogue, CUT).unwrap();
        assert_eq!((held.train.len(), held.train.items(0), held.train.items(1)), (2, &[1, 2][..], &[5, 1][..]));
        assert_eq!((held.validation.items(0), held.validation.row(0).asked), (&[1, 2][..], Asked::Next(3)));
        let test = held.test.unwrap();
        assert_eq!((test.len(), test.items(0), test.row(0).asked), (1, &[1, 2, 3][..], Asked::Next(4)));
        let notes = held.notes.join("\n");
        for part in ["2 users have too few", "1 interactions have the time of the one before", "1 users have a single"]
        {
            assert!(notes.contains(part), "{notes}");
        }
        assert!(held.protocol.contains("leave-one-out by time") && held.protocol.contains("all 5 items"));
    }

    /// Rows as tables of ratings often have them: sorted by user, then by item.
    #[test]
    fn the_order_of_names_tells_nothing_so_lots_decide() {
        let catalogue = Arc::new(Catalogue::of((0..400).map(|it| it.to_string())));
        let all: Vec<(u32, u32, f64)> =
            (0..20).flat_map(|user| (0..20).map(move |at| (user, 1 + user + 19 * at, 0.0))).collect();
        let sorted = || Events { timed: false, ..events("t.csv", &all) };
        let files = |train| Files { train, validation: None, test: None };
        let held = hold_out(files(sorted()), &names(20), &catalogue, Stretches { longest: 50, overlap: true }).unwrap();
        assert!(held.notes.iter().any(|note| note.contains("t.csv") && note.contains("at random")), "{:?}", held.notes);
        assert!(held.protocol.contains("drawn at random"), "{}", held.protocol);
        let test = held.test.unwrap();
        let last = |row: usize| test.row(row).asked == Asked::Next(1 + row as u32 + 19 * 19);
        assert!((0..20).filter(|&row| last(row)).count() < 8, "the last names are not what is held out");
        assert_eq!((test.len(), test.items(0).len(), held.train.items(0).len()), (20, 19, 18));
        // Times, or an order that is not that of names, are kept.
        let timed = hold_out(files(events("t.csv", &all)), &names(20), &catalogue, CUT).unwrap();
        assert!(timed.protocol.contains("leave-one-out by time"));
        let shuffled: Vec<_> = all.iter().map(|&(user, item, time)| (user, 1 + item * 7 % 400, time)).collect();
        let given = Events { timed: false, ..events("t.csv", &shuffled) };
        let given = hold_out(files(given), &names(20), &catalogue, CUT).unwrap();
        assert!(given.protocol.contains("in the order of the rows"), "{}", given.protocol);
    }

    #[test]
    fn given_files_hold_out_what_they_hold() {
        let catalogue = Arc::new(Catalogue::of(["a", "b", "c", "d", "e"]));
        let train = events("t.csv", &[(0, 1, 1.0), (0, 2, 2.0), (0, 3, 5.0)]);
        let validation = Some(events("v.csv", &[(0, 4, 5.0), (1, 4, 5.0)]));
        let test = Some(events("e.csv", &[(0, 5, 5.0)]));
        let held = hold_out(Files { train, validation, test }, &names(2), &catalogue, CUT).unwrap();
        assert_eq!((held.train.len(), held.train.items(0)), (1, &[1, 2, 3][..]));
        assert_eq!((held.validation.len(), held.validation.items(0)), (1, &[1, 2, 3][..]));
        assert!(held.validation.left_out()[0].reason.contains("`u1` has no interaction before"));
        // Of the same time, the files tell which came first.
        assert_eq!(held.test.unwrap().items(0), [1, 2, 3, 4]);
    }

    #[test]
    fn long_histories_are_cut_so_that_each_item_is_learnt_once() {
        let catalogue = Arc::new(Catalogue::of((0..9).map(|it| it.to_string())));
        let all: Vec<(u32, u32, f64)> = (1..=8).map(|item| (0, item, f64::from(item))).collect();
        let cut = |overlap| {
            let train = events("t.csv", &all);
            let learnt = timelines(&[&train], 1, Order::Time);
            let rows =
                stretches(&train, &learnt, &names(1), &catalogue, Stretches { longest: 3, overlap }, &mut Vec::new());
            let rows = rows.unwrap();
            (0..rows.len()).map(|row| rows.items(row).to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(cut(true), [vec![1, 2], vec![2, 3, 4, 5], vec![5, 6, 7, 8]]);
        assert_eq!(cut(false), [vec![1, 2], vec![3, 4, 5], vec![6, 7, 8]]);
    }
}
