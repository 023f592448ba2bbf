//! A saved model at use: users, whose histories are in files of interactions, or histories that are given.

use super::loss::ItemLoss;
use super::order::Order;
use super::saved::SavedItems;
use super::settings::InteractionSettings;
use super::split::{asked_of, is_same_file, timelines};
use super::{Recommendation, reads};
use crate::Recipe;
use crate::task::{Data, Opening, Parts, parts};
use anyhow::{Context, Result, bail, ensure};
use parts::NextRows;
use retune_data::{
    Asked, Catalogue, Cell, Events, Examples, HistoryOptions, ItemHistories, Names, NextItems, OnBadExample, Sequences,
    table,
};
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// Column, or key of a line, with a history: items, oldest first.
const HISTORY: &str = "history";

/// Who or what is asked about.
enum Query {
    User(String),
    History(Vec<String>),
    /// Neither, and why.
    Unusable(String),
}

/// Rows of a use, before they are histories.
enum Rows {
    Queries(PathBuf, Vec<(u64, Query)>),
    Held(Sequences),
}

struct Use {
    settings: InteractionSettings,
    catalogue: Arc<Catalogue>,
    options: HistoryOptions,
    on_bad_example: OnBadExample,
    files: Vec<PathBuf>,
    /// Those of them that come before what is judged.
    earlier: Vec<PathBuf>,
    /// What each user met, once it was asked for.
    met: OnceCell<HashMap<String, Vec<u32>>>,
}

/// Files with users' interactions: one that is named, else those of the run that are still there, the test file perhaps not.
fn files(recipe: &Recipe, settings: &InteractionSettings, test: bool) -> Vec<PathBuf> {
    let data = &recipe.data;
    let all = [&data.train, &data.validation, &data.test];
    let own = all.into_iter().take(if test { 3 } else { 2 }).flatten().filter(|path| path.is_file());
    settings.interactions.as_ref().map_or_else(|| own.cloned().collect(), |path| vec![path.clone()])
}

pub(super) fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let recipe = from.recipe;
    let settings = recipe.read::<InteractionSettings>()?;
    let saved = SavedItems::of(from.model)?;
    let saved = saved.with_context(|| format!("{}: no items.json, which names the items", from.model.display()))?;
    let items = from.config.size("num_items")? as usize;
    ensure!(items == saved.items.len(), "items.json names {} items, but the model has {items}", saved.items.len());
    let (longest, both_ways) = reads(from.config)?;
    let (catalogue, known) = (Arc::new(saved.catalogue()), Arc::new(saved.known()));
    let task = Recommendation {
        catalogue: Arc::clone(&catalogue),
        known,
        loss: ItemLoss::All,
        given: None,
        learnt: None,
        identities: false,
        positions: None,
        recommendations: settings.recommendations,
        protocol: format!(
            "Each interaction of the file is asked for by all of the user's before it; all {items} items of the model are \
             ranked, save those that the history holds; of equal scores the item that comes first in the catalogue stands \
             first. Intervals draw users."
        )
        .into(),
        files: Vec::new(),
        _folder: None,
    };
    let it = Use {
        files: files(recipe, &settings, true),
        earlier: files(recipe, &settings, false),
        catalogue,
        options: HistoryOptions { longest, items, masked: both_ways.then_some(0.0), negatives: 0 },
        on_bad_example: recipe.data.on_bad_example.parse()?,
        settings,
        met: OnceCell::new(),
    };
    let it = Rc::new(it);
    let (of_file, of_lines, targets) = (Rc::clone(&it), Rc::clone(&it), from.targets);
    let file = move |path: &Path| if targets { of_file.held(path) } else { of_file.table(path) };
    let lines = move |reader| Ok(of_lines.lines(reader));
    parts::parts(task, from.input, file, lines, move |rows| it.encode(rows, targets))
}

impl Use {
    /// Interactions whose items are asked for, by those before them.
    fn held(&self, path: &Path) -> Result<Rows> {
        let (mut users, mut items) = (Names::default(), self.catalogue.as_ref().clone());
        let known = items.len();
        let columns = self.settings.columns();
        let mut read = |path: &Path| Events::read(path, &columns, self.on_bad_example, &mut users, &mut items);
        let asked = read(path)?;
        let others = self.earlier.iter().filter(|file| !is_same_file(file, path));
        let others = others.map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
        let is_known = |events: &Events, at: usize| events.items[at] as usize <= known;
        let (asked, unknown) = keep(&asked, &|at| is_known(&asked, at));
        let others: Vec<Events> = others.iter().map(|events| keep(events, &|at| is_known(events, at)).0).collect();
        ensure!(!asked.is_empty(), "{}: none of its items is in the model's catalogue", path.display());
        // What the file holds out itself may stand in the others, too: it is told by user, item and time.
        let mut rows = asked_of(&asked, &others.iter().collect::<Vec<_>>(), &users, &self.catalogue);
        if unknown > 0 {
            rows.remark(format!(
                "{}: {unknown} interactions are of items that the model does not know",
                path.display()
            ));
        }
        Ok(Rows::Held(rows))
    }

    /// Users or histories of a table.
    fn table(&self, path: &Path) -> Result<Rows> {
        let wanted = |name: &str, flag| table::Wanted { name: name.to_owned(), flag, required: false, bytes: false };
        let wanted = [wanted(&self.settings.user_column, "--user-column"), wanted(HISTORY, "")];
        let mut reader = table::open(path, &wanted)?;
        let mut queries = Vec::new();
        while let Some(record) = reader.next_record() {
            match record? {
                Ok(record) => queries.push((record.line, self.query(&record.cells[0], &record.cells[1]))),
                Err(problem) => queries.push((problem.line, Query::Unusable(problem.message))),
            }
        }
        Ok(Rows::Queries(path.to_owned(), queries))
    }

    fn query(&self, user: &Cell, history: &Cell) -> Query {
        let listed = match history {
            Cell::List(cells) => Some(cells.iter().filter_map(Cell::name).collect::<Vec<_>>()),
            cell => cell.name().filter(|text| !text.is_empty()).map(|text| {
                text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
            }),
        };
        match (listed.filter(|items| !items.is_empty()), user.name().filter(|name| !name.is_empty())) {
            (Some(items), _) => Query::History(items),
            (None, Some(user)) => Query::User(user),
            (None, None) => {
                Query::Unusable(format!("names neither a user (`{}`) nor a `{HISTORY}`", self.settings.user_column))
            }
        }
    }

    /// Lines: a user, or an object with a user or a history.
    fn lines<'a>(self: &Rc<Self>, reader: Box<dyn BufRead + 'a>) -> NextRows<'a, Rows> {
        let (it, mut lines, mut number) = (Rc::clone(self), reader.lines(), 0);
        Box::new(move |most| {
            let mut queries = Vec::new();
            while queries.len() < most {
                let Some(line) = lines.next().transpose().context("cannot read the standard input")? else { break };
                number += 1;
                if !line.trim().is_empty() {
                    queries.push((number, it.line(&line)));
                }
            }
            Ok((!queries.is_empty()).then(|| Rows::Queries(PathBuf::from(parts::STREAM), queries)))
        })
    }

    fn line(&self, line: &str) -> Query {
        if !line.trim_start().starts_with('{') {
            return Query::User(line.trim().to_owned());
        }
        let object: serde_json::Map<String, Value> = match serde_json::from_str(line) {
            Ok(object) => object,
            Err(error) => return Query::Unusable(format!("is no JSON object: {error}")),
        };
        let cell = |key: &str| match object.get(key) {
            None | Some(Value::Null) => Cell::Null,
            Some(Value::Array(all)) => Cell::List(all.iter().map(|one| Cell::Text(plain(one))).collect()),
            Some(one) => Cell::Text(plain(one)),
        };
        self.query(&cell(&self.settings.user_column), &cell(HISTORY))
    }

    fn encode(&self, rows: Rows, targets: bool) -> Result<Data<Recommendation>> {
        let rows = Arc::new(match rows {
            Rows::Held(rows) => rows,
            Rows::Queries(file, queries) => self.histories(&file, queries)?,
        });
        let known = targets.then(|| NextItems(Arc::clone(&rows)));
        Ok(Examples::new(Arc::clone(&rows) as _, ItemHistories::new(&rows, self.options), known)?)
    }

    fn histories(&self, file: &Path, queries: Vec<(u64, Query)>) -> Result<Sequences> {
        let mut rows = Sequences::new(file, &self.catalogue);
        let (mut problems, mut unknown) = (Vec::new(), 0);
        for (line, query) in queries {
            let (user, found) = match query {
                Query::Unusable(why) => (None, Err(why)),
                Query::User(user) => {
                    let met = self.met()?.get(&user).cloned();
                    let why = || {
                        format!("user `{user}` has no interaction in the files; give a `{HISTORY}` or --interactions")
                    };
                    let met = met.ok_or_else(why);
                    (Some(user), met)
                }
                Query::History(items) => {
                    let known: Vec<u32> = items.iter().filter_map(|item| self.catalogue.find(item)).collect();
                    unknown += items.len() - known.len();
                    let why = || format!("the model knows none of the items {}", items.join(", "));
                    (None, if known.is_empty() { Err(why()) } else { Ok(known) })
                }
            };
            match found {
                Ok(items) => rows.push(user.as_deref(), line, &items, Asked::Unknown),
                Err(why) if self.on_bad_example == OnBadExample::Fail => {
                    problems.push(format!("{}:{line}: {why}", file.display()))
                }
                Err(why) => rows.push_left_out(user.as_deref(), line, why),
            }
        }
        if !problems.is_empty() {
            const MOST: usize = 10;
            let more = problems.len().saturating_sub(MOST);
            problems.truncate(MOST);
            problems.extend((more > 0).then(|| format!("and {more} more")));
            bail!(problems.join("\n"));
        }
        if unknown > 0 {
            rows.remark(format!(
                "{}: {unknown} items of histories are not in the model's catalogue and say nothing",
                file.display()
            ));
        }
        Ok(rows)
    }

    /// What each user met, oldest first, of the items that the model knows.
    fn met(&self) -> Result<&HashMap<String, Vec<u32>>> {
        if let Some(met) = self.met.get() {
            return Ok(met);
        }
        ensure!(
            !self.files.is_empty(),
            "the interactions of users are not at hand: the files of the run are not there; give --interactions, or a `{HISTORY}`"
        );
        let (mut users, mut items) = (Names::default(), self.catalogue.as_ref().clone());
        let columns = self.settings.columns();
        let mut read = |path: &PathBuf| Events::read(path, &columns, self.on_bad_example, &mut users, &mut items);
        let all = self.files.iter().map(&mut read).collect::<Result<Vec<_>, _>>()?;
        let known = self.catalogue.len() as u32;
        let all: Vec<&Events> = all.iter().collect();
        let timelines = timelines(&all, users.all().len(), Order::of_files(&all));
        let items = |met: &[super::split::Met]| met.iter().map(|it| it.item).filter(|&item| item <= known).collect();
        let met = users.all().iter().cloned().zip(timelines.iter().map(|met| items(met)));
        Ok(self.met.get_or_init(|| met.filter(|(_, items): &(_, Vec<u32>)| !items.is_empty()).collect()))
    }
}

/// A value as the name of an item or user.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Some of the interactions, and how many others there are.
fn keep(events: &Events, wanted: &dyn Fn(usize) -> bool) -> (Events, usize) {
    let mut kept = Events { file: events.file.clone(), timed: events.timed, ..Events::default() };
    for at in (0..events.len()).filter(|&at| wanted(at)) {
        kept.users.push(events.users[at]);
        kept.items.push(events.items[at]);
        kept.times.push(events.times[at]);
        kept.lines.push(events.lines[at]);
    }
    let others = events.len() - kept.len();
    (kept, others)
}
