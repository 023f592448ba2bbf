//! Rows of a text with its entities: `{start, end, label}` (spaCy, Label Studio's small export), `{start_offset, end_offset,
//! label}` and `[start, end, label]` (doccano).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::parts::{RawGold, RawTagged, TagOptions};
use super::{Entity, Tagged};
use crate::RowProblem;
use crate::annotations::repair::Mends;
use crate::annotations::{Characters, Repair, Span, literal};
use crate::error::shortened;

/// The columns that may hold entities, the likeliest first.
pub(super) fn columns(options: &TagOptions) -> Vec<String> {
    let mut all = vec![options.entities.clone()];
    all.extend(["entities", "spans", "label", "labels"].map(str::to_owned));
    let mut kept = Vec::new();
    for column in all {
        if !kept.contains(&column) && column != options.text && column != options.tokens && column != options.tags {
            kept.push(column);
        }
    }
    kept
}

/// Reads one row.
///
/// # Errors
/// What is wrong with the row.
pub(super) fn row(
    line: u64,
    mut row: Map<String, Value>,
    options: &TagOptions,
    column: &str,
    names: Option<&[String]>,
    mends: &mut Mends,
) -> Result<RawTagged, Vec<RowProblem>> {
    let refuse = |column: &str, message: String| vec![RowProblem::new(line, Some(column), message)];
    let text = match row.remove(&options.text) {
        Some(Value::String(text)) => text,
        Some(Value::Null) | None => {
            return Err(refuse(&options.text, "has no text; fill it in or remove the row".to_owned()));
        }
        Some(other) => {
            return Err(refuse(&options.text, format!("is `{}`, not a text", shortened(&other.to_string()))));
        }
    };
    let id = row.remove("id").filter(|id| !id.is_null());
    let tagged = Tagged { id, ..Tagged::of_text(line, text) };
    let items = match row.remove(column).unwrap_or(Value::Null) {
        Value::String(cell) => match literal::parse(&cell) {
            Some(parsed) => parsed.map_err(|reason| refuse(column, format!("is a broken list: {reason}")))?,
            None if cell.trim().is_empty() => Value::Null,
            None => Value::String(cell),
        },
        other => other,
    };
    let items = match items {
        Value::Null if options.required => {
            let message = "has no entities; write [] where there are none, or remove the row";
            return Err(refuse(column, message.to_owned()));
        }
        Value::Null => return Ok(RawTagged { tagged, gold: RawGold::None, comments: None }),
        Value::Array(items) => items,
        other => {
            return Err(refuse(column, format!("is `{}`, not a list of entities", shortened(&other.to_string()))));
        }
    };
    let gold = gathered(&tagged, items.iter().map(|item| item_of(item, names)), options.repair, mends);
    let gold = gold.map_err(|messages| {
        messages.into_iter().map(|message| RowProblem::new(line, Some(column), message)).collect::<Vec<_>>()
    })?;
    Ok(RawTagged { tagged, gold, comments: None })
}

/// An entity as a file has it, perhaps with the text it means.
pub(super) struct Item {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) label: String,
    pub(super) text: Option<String>,
}

/// Reads one entity.
fn item_of(item: &Value, names: Option<&[String]>) -> Result<Item, String> {
    let shown = || shortened(&item.to_string());
    let whole = |value: Option<&Value>| value.and_then(|it| it.as_i64().or_else(|| it.as_str()?.trim().parse().ok()));
    let (start, end, label, text) = match item {
        Value::Array(parts) if parts.len() == 3 => (parts.first(), parts.get(1), parts.get(2), None),
        Value::Object(object) => {
            let either = |names: &[&str]| names.iter().find_map(|name| object.get(*name));
            let label = either(&["label", "labels", "type", "entity_group"]);
            (either(&["start", "start_offset"]), either(&["end", "end_offset"]), label, object.get("text"))
        }
        _ => return Err(format!("`{}` is no entity; write {{\"start\": …, \"end\": …, \"label\": …}}", shown())),
    };
    let (Some(start), Some(end)) = (whole(start), whole(end)) else {
        return Err(format!("entity `{}` needs whole numbers as start and end", shown()));
    };
    let label = match label {
        Some(Value::Array(labels)) if labels.len() > 1 => {
            return Err(format!("entity `{}` has {} labels; a word has one tag", shown(), labels.len()));
        }
        Some(Value::Array(labels)) => labels.first(),
        label => label,
    };
    let label = match (label, names) {
        (Some(Value::String(label)), _) if !label.trim().is_empty() => label.trim().to_owned(),
        (Some(Value::Number(id)), Some(names)) => {
            let name = id.as_u64().and_then(|id| names.get(usize::try_from(id).ok()?));
            name.cloned().ok_or_else(|| format!("entity `{}`: there is no name for label {id}", shown()))?
        }
        (Some(Value::Number(id)), None) => {
            return Err(format!(
                "entity `{}` has label {id} by number; write names, or give them with --tag-names",
                shown()
            ));
        }
        _ => return Err(format!("entity `{}` has no label", shown())),
    };
    Ok(Item { start, end, label, text: text.and_then(Value::as_str).map(str::to_owned) })
}

/// The entities of a text. Where an item says which text it means, its offsets are compared with it: those that fit in other
/// units only are told of, and mended if that is wished.
pub(super) fn gathered(
    tagged: &Tagged,
    items: impl Iterator<Item = Result<Item, String>>,
    repair: Repair,
    mends: &mut Mends,
) -> Result<RawGold, Vec<String>> {
    let characters = Characters::of(&tagged.text);
    let (mut entities, mut problems) = (Vec::new(), Vec::new());
    let mut labels: Vec<Arc<str>> = Vec::new();
    for item in items {
        let item = match item {
            Ok(item) => item,
            Err(message) => {
                problems.push(message);
                continue;
            }
        };
        let (Ok(start), Ok(end)) = (usize::try_from(item.start), usize::try_from(item.end)) else {
            problems.push(format!(
                "entity {}..{} ({}) begins before the text",
                item.start,
                item.end,
                shortened(&item.label)
            ));
            continue;
        };
        let mut span = Span::new(start, end);
        if let Some(text) = item.text.filter(|text| !text.is_empty() && characters.part(span) != Some(text.as_str())) {
            let there = shortened(characters.part(span).unwrap_or(""));
            let place = format!("entity {start}..{end} should be `{}`, but there stands `{there}`", shortened(&text));
            match characters.other_unit(span, &text) {
                Some((_, meant)) if repair == Repair::Mend => {
                    mends.count("offsets of an entity were counted in other units than characters", tagged.line);
                    span = meant;
                }
                Some((unit, _)) => {
                    problems.push(format!(
                        "{place}; the offsets count {}: count characters, or convert them with --on-bad-annotation mend",
                        unit.name()
                    ));
                    continue;
                }
                None => {
                    problems.push(format!("{place}; offsets are characters from 0, the end behind the last"));
                    continue;
                }
            }
        }
        let label = labels.iter().find(|label| ***label == *item.label).cloned().unwrap_or_else(|| {
            labels.push(Arc::from(item.label.as_str()));
            labels[labels.len() - 1].clone()
        });
        entities.push(Entity { span, label });
    }
    if problems.is_empty() { Ok(RawGold::Entities(entities)) } else { Err(problems) }
}
