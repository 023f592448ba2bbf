//! Inference of the label schema from a training file, in one or two passes over the labels.

use std::collections::HashMap;

use super::cells::{shown, whole};
use super::lists::{self, Lists};
use super::{LabelSchema, Problem};
use crate::error::shortened;
use crate::problems::Problems;
use crate::table::Cell;
use crate::{DataError, LabelRows, RowProblem};

/// More class names than this are not collected: the column is no class column.
const MOST_CLASSES: usize = 100_000;

/// `known` are names for lists of 0 and 1, which name nothing themselves.
pub(super) fn infer(
    rows: &dyn LabelRows,
    problem: Option<Problem>,
    known: Option<&[String]>,
) -> Result<LabelSchema, DataError> {
    let columns = rows.label_columns();
    let in_folder = !rows.is_empty() && rows.line(0) == 0;
    if columns.is_empty() || !rows.has_labels() {
        let remedy = if in_folder {
            "put each class into a folder of its own"
        } else {
            "name the label column with --label-column"
        };
        return Err(schema_error(rows, &format!("has rows without a label; {remedy}")));
    }
    if columns.len() > 1 {
        return several_columns(rows, problem);
    }
    let stated = problem.is_some();
    let problem = match problem {
        Some(problem) => problem,
        None => one_column(rows)?,
    };
    match problem {
        Problem::Regression => regression(rows),
        Problem::SingleLabel => {
            let names = names(rows, stated, &|cell| match cell {
                Cell::List(_) => Err("is a list; set the problem to multi-label".to_owned()),
                cell if !stated && cell.is_unread_list() => Err(unread(cell)),
                cell => Ok(vec![cell.clone()]),
            })?;
            match names.as_slice() {
                [only] if in_folder => Err(schema_error(
                    rows,
                    &format!(
                        "holds one class folder, `{}`; training needs at least two classes, each in a folder of its own",
                        shortened(only)
                    ),
                )),
                [only] => Err(schema_error(
                    rows,
                    &format!(
                        "every label is `{}`; training needs at least two classes (is `{}` the right --label-column?)",
                        shortened(only),
                        columns[0]
                    ),
                )),
                _ => Ok(LabelSchema::SingleLabel { names }),
            }
        }
        Problem::MultiLabel => {
            if let Lists::Flags(width) = Lists::of(rows)? {
                return flags(rows, width, known);
            }
            let separator = rows.label_separator();
            let names = names(rows, stated, &|cell| items(cell, separator))?;
            if names.is_empty() {
                return Err(schema_error(rows, "no row has any label; training needs at least one"));
            }
            Ok(LabelSchema::MultiLabel { names })
        }
    }
}

/// Lists of one 0 or 1 for each label.
fn flags(rows: &dyn LabelRows, width: usize, known: Option<&[String]>) -> Result<LabelSchema, DataError> {
    let mut any = false;
    for_each_cell(rows, &mut |_, _, cell| {
        any |= !Lists::named(cell, width)?.is_empty();
        Ok(())
    })?;
    if !any {
        return Err(schema_error(rows, "no row has any label; training needs at least one"));
    }
    let names = match known.filter(|known| known.len() == width) {
        Some(known) => known.to_vec(),
        None => (0..width).map(|number| number.to_string()).collect(),
    };
    Ok(LabelSchema::MultiLabel { names })
}

/// The single labels inside a cell of several.
pub(super) fn items(cell: &Cell, separator: Option<char>) -> Result<Vec<Cell>, String> {
    match (cell, separator) {
        (Cell::List(items), _) => {
            if items.iter().any(|item| item.name().is_none_or(|name| name.is_empty())) {
                return Err("has a list with an entry that is empty or no label".to_owned());
            }
            Ok(items.clone())
        }
        (Cell::Text(text), Some(separator)) => {
            let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
            Ok(parts.map(|part| Cell::Text(part.to_owned())).collect())
        }
        (cell, _) if cell.is_unread_list() => Err(unread(cell)),
        (cell, _) => Ok(vec![cell.clone()]),
    }
}

fn unread(cell: &Cell) -> String {
    format!(
        "is {}, which looks like a list but is none that can be read; write its entries in quotes, as in ['red', 'blue']",
        shown(cell)
    )
}

fn schema_error(rows: &dyn LabelRows, message: &str) -> DataError {
    DataError::Schema { file: rows.file().to_owned(), message: message.to_owned() }
}

/// Calls `look` with each label cell; what it finds wrong is collected.
fn for_each_cell(
    rows: &dyn LabelRows,
    look: &mut dyn FnMut(usize, u64, &Cell) -> Result<(), String>,
) -> Result<(), DataError> {
    let mut problems = Problems::new(rows.file());
    for row in 0..rows.len() {
        let Some(cells) = rows.label(row)? else {
            continue;
        };
        for (column, cell) in cells.into_iter().map(Cell::with_list).enumerate() {
            if let Err(message) = look(column, rows.line(row), &cell) {
                let name = rows.label_columns().get(column).map(String::as_str);
                problems.push(RowProblem::new(rows.line(row), name, message))?;
            }
        }
    }
    problems.finish()
}

fn several_columns(rows: &dyn LabelRows, problem: Option<Problem>) -> Result<LabelSchema, DataError> {
    let columns = rows.label_columns();
    let mut flags = true;
    for_each_cell(rows, &mut |_, _, cell| {
        flags &= cell.flag().is_some();
        Ok(())
    })?;
    match problem {
        Some(Problem::SingleLabel) => Err(schema_error(
            rows,
            &format!("a single label cannot come from {} columns; name one with --label-column", columns.len()),
        )),
        Some(Problem::Regression) => regression(rows),
        None if !flags => regression(rows),
        _ => {
            for_each_cell(rows, &mut |_, _, cell| flag(cell).map(|_| ()))?;
            Ok(LabelSchema::MultiLabel { names: columns.to_vec() })
        }
    }
}

/// A 0/1 cell of a multi-label column.
pub(super) fn flag(cell: &Cell) -> Result<bool, String> {
    cell.flag().ok_or_else(|| format!("is {}, not 0 or 1", shown(cell)))
}

/// A finite number of a regression column.
pub(super) fn finite(cell: &Cell) -> Result<f64, String> {
    match cell.number() {
        Some(value) if value.is_finite() && (value as f32).is_finite() => Ok(value),
        Some(_) => Err(format!("is {}, not a finite number; remove the row or give its value", shown(cell))),
        None if has_decimal_comma(cell) => Err(format!(
            "is {}, a number with a decimal comma; write a point, or set the problem to single-label if these are class names",
            shown(cell)
        )),
        None => Err(format!(
            "is {}, not a number; correct it, or set the problem to single-label if these are class names",
            shown(cell)
        )),
    }
}

fn regression(rows: &dyn LabelRows) -> Result<LabelSchema, DataError> {
    let columns = rows.label_columns().len();
    let mut outputs = None;
    for_each_cell(rows, &mut |_, _, cell| {
        let numbers = match cell {
            Cell::List(items) if columns == 1 => {
                items.iter().try_for_each(|item| finite(item).map(|_| ()))?;
                items.len()
            }
            cell => {
                finite(cell)?;
                columns
            }
        };
        match *outputs.get_or_insert(numbers) {
            0 => Err("is an empty list".to_owned()),
            expected if expected != numbers => Err(format!("has {numbers} numbers where the first row has {expected}")),
            _ => Ok(()),
        }
    })?;
    Ok(LabelSchema::Regression { outputs: outputs.unwrap_or(columns) })
}

/// Whether a text spells a number with a comma where Rust has a point.
fn has_decimal_comma(cell: &Cell) -> bool {
    let Cell::Text(text) = cell else { return false };
    let Some((whole, fraction)) = text.trim().split_once(',') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole.trim_start_matches(['-', '+'])) && digits(fraction)
}

/// Decides what one label column is.
fn one_column(rows: &dyn LabelRows) -> Result<Problem, DataError> {
    let (mut lists, mut words, mut whole, mut fractions, mut not_finite) = (0usize, 0usize, 0usize, 0usize, 0usize);
    let (mut commas, mut comma) = (0usize, String::new());
    let named = rows.label_names().is_some();
    for_each_cell(rows, &mut |_, _, cell| {
        if has_decimal_comma(cell) {
            commas += 1;
            comma = shown(cell);
        }
        match cell {
            Cell::Text(_) if named => words += 1,
            Cell::List(_) => lists += 1,
            Cell::Bool(_) => words += 1,
            cell => match cell.number() {
                None => words += 1,
                Some(value) if !value.is_finite() => not_finite += 1,
                Some(value) if value.fract() != 0.0 => fractions += 1,
                Some(_) => whole += 1,
            },
        }
        Ok(())
    })?;
    if rows.label_separator().is_some() {
        return Ok(Problem::MultiLabel);
    }
    if lists > 0 {
        for_each_cell(rows, &mut |_, _, cell| match cell {
            Cell::List(_) => Ok(()),
            cell => Err(format!("is {} where other rows have lists; write a list in each row", shown(cell))),
        })?;
        return lists::problem(rows)?.map_err(|message| schema_error(rows, &format!("the label column {message}")));
    }
    // `0,5` among nothing but numbers is one; so may `1,2` be, or the labels 1 and 2.
    if commas > 0 && words == commas {
        return Err(schema_error(
            rows,
            &format!(
                "the label column has {comma}: if it is a number, write a decimal point; if it is several labels, give \
                 --label-separator ,; if it is a name, --problem single-label"
            ),
        ));
    }
    // Mostly fractional numbers with a few words among them are a number column with mistakes,
    // which `regression` names line by line.
    if fractions > 0 && fractions + whole + not_finite > words {
        return Ok(Problem::Regression);
    }
    if whole > 0 && not_finite > 0 && words == 0 {
        for_each_cell(rows, &mut |_, _, cell| finite(cell).map(|_| ()))?;
    }
    Ok(Problem::SingleLabel)
}

/// The distinct labels in their order, with the check that they can be classes at all unless that was `stated`.
fn names(
    rows: &dyn LabelRows,
    stated: bool,
    split: &dyn Fn(&Cell) -> Result<Vec<Cell>, String>,
) -> Result<Vec<String>, DataError> {
    let mut whole = true;
    for_each_cell(rows, &mut |_, _, cell| {
        whole &= split(cell)?.iter().all(|item| item.integer().is_some());
        Ok(())
    })?;
    // Spellings of `true` and of `false` are one class each; other names are as they are written.
    let mut found: HashMap<String, (i64, String)> = HashMap::new();
    let mut labels = 0usize;
    for_each_cell(rows, &mut |_, _, cell| {
        for item in split(cell)? {
            labels += 1;
            let Some(name) = class_name(&item, whole) else {
                return Err(format!("is {}, which cannot be a class", shown(&item)));
            };
            if found.len() < MOST_CLASSES {
                let key = truth(&name).map_or_else(|| name.clone(), str::to_owned);
                let number = if whole { item.integer().unwrap_or(0) } else { 0 };
                let known = found.entry(key).or_insert_with(|| (number, name.clone()));
                if known.1 != name {
                    known.1 = name.to_lowercase();
                }
            }
        }
        Ok(())
    })?;
    // The file's own list, with classes that this file has no example of: the numbers of other files count on it.
    if let Some(names) = rows.label_names().filter(|_| found.len() > 1) {
        return Ok(names.to_vec());
    }
    // A class seen once cannot be learnt; when most are, the column is something else.
    if !stated && labels >= 40 && found.len() * 2 > labels {
        if rows.line(0) == 0 {
            let folders = found.len();
            return Err(schema_error(
                rows,
                &format!(
                    "holds {folders} class folders for {labels} files, too few in each to learn its class; is it the right \
                     folder? If it is, say so with --problem single-label"
                ),
            ));
        }
        return Err(schema_error(
            rows,
            &format!(
                "the label column `{}` has {} different values in {labels} labels, too many for classes; \
                 is it the right --label-column? If it is, say what it means with --problem single-label, multi-label \
                 or regression",
                rows.label_columns()[0],
                found.len()
            ),
        ));
    }
    let mut names: Vec<(i64, String)> = found.into_values().collect();
    names.sort();
    Ok(names.into_iter().map(|(_, name)| name).collect())
}

/// `true` or `false` where a name is one of them in whatever case.
pub(super) fn truth(name: &str) -> Option<&'static str> {
    ["true", "false"].into_iter().find(|truth| name.eq_ignore_ascii_case(truth))
}

/// The name of a class: the string itself, but `1.0` is `1` where all labels are `whole` numbers.
fn class_name(cell: &Cell, all_whole: bool) -> Option<String> {
    match cell {
        Cell::Text(text) if all_whole && text.contains('.') => {
            whole(cell).map(|number| number.to_string()).or_else(|| cell.name())
        }
        cell => cell.name(),
    }
}
