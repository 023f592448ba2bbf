//! Whether entities can stand in their text, and whether labels are known.

use std::sync::Arc;

use super::parts::{RawGold, RawTagged};
use super::{Entity, Gold, Tagged, TaggedFile};
use crate::annotations::repair::Mends;
use crate::annotations::span::Unit;
use crate::annotations::{Characters, Repair};
use crate::error::{nearest, quoted, shortened};
use crate::problems::Problems;
use crate::{DataError, RowProblem};

/// Checks and sorts the entities of an example: within the text, with a length, none overlapping another. Mending keeps the
/// longer of two that overlap; space at their ends is left out.
pub(super) fn entities(row: RawTagged, repair: Repair, mends: &mut Mends) -> Result<Tagged, Vec<RowProblem>> {
    let RawTagged { tagged, gold: RawGold::Entities(mut entities), .. } = row else {
        return Ok(row.tagged);
    };
    let characters = Characters::of(&tagged.text);
    let mut problems = Vec::new();
    for entity in &mut entities {
        if let Err(message) = placed(entity, &characters) {
            problems.push(RowProblem::new(tagged.line, None, message));
        } else {
            let trimmed = characters.trimmed(entity.span);
            if trimmed != entity.span && !trimmed.is_empty() {
                mends.count("space at an end of an entity is not counted to it", tagged.line);
            }
            entity.span = trimmed;
            if trimmed.is_empty() {
                problems.push(RowProblem::new(
                    tagged.line,
                    None,
                    format!("entity {} is nothing but space", said(entity, &characters)),
                ));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    entities.sort();
    let mut kept: Vec<Entity> = Vec::with_capacity(entities.len());
    for entity in entities {
        let Some(last) = kept.last_mut().filter(|last| last.span.overlaps(entity.span)) else {
            kept.push(entity);
            continue;
        };
        if repair == Repair::Mend {
            mends.count("of two entities that overlap the longer one is kept", tagged.line);
            if entity.span.len() > last.span.len() {
                *last = entity;
            }
            continue;
        }
        let (one, other) = (said(last, &characters), said(&entity, &characters));
        let what = if *last == entity { "stands twice" } else { "overlaps another" };
        let message = format!(
            "entity {one} {what} ({other}); a word has one tag: remove one, or keep the longer with --on-bad-annotation mend"
        );
        problems.push(RowProblem::new(tagged.line, None, message));
    }
    if problems.is_empty() { Ok(Tagged { gold: Some(Gold::Entities(kept)), ..tagged }) } else { Err(problems) }
}

/// Whether an entity has a length and lies within the text.
fn placed(entity: &Entity, characters: &Characters<'_>) -> Result<(), String> {
    let (start, end, label) = (entity.span.start, entity.span.end, shortened(&entity.label));
    if start == end {
        return Err(format!("entity {start}..{end} ({label}) has no length; the end is behind the last character"));
    }
    if start > end {
        return Err(format!("entity {start}..{end} ({label}) ends before it starts"));
    }
    if end <= characters.len() {
        return Ok(());
    }
    let unit = [Unit::Utf16, Unit::Bytes].into_iter().find(|&unit| characters.converted(entity.span, unit).is_some());
    let hint = match unit {
        Some(unit) => format!("; it would fit if these were {}, but characters are counted", unit.name()),
        None => String::new(),
    };
    Err(format!("entity {start}..{end} ({label}) reaches beyond the text's {} characters{hint}", characters.len()))
}

/// An entity as messages show it.
fn said(entity: &Entity, characters: &Characters<'_>) -> String {
    let text = shortened(characters.part(entity.span).unwrap_or(""));
    format!("{}..{} (`{text}`, {})", entity.span.start, entity.span.end, shortened(&entity.label))
}

/// Refuses labels that are not among those that are known, such as labels that only a validation file has: each once, with
/// the line where it is first and how many entities have it.
///
/// # Errors
/// The labels, up to ten together.
pub fn unknown_labels(file: &TaggedFile, known: &[String]) -> Result<(), DataError> {
    let mut unknown: Vec<(Arc<str>, u64, usize)> = Vec::new();
    for example in &file.examples {
        for label in example.labels() {
            if known.iter().any(|name| **name == *label) {
                continue;
            }
            match unknown.iter_mut().find(|it| it.0 == label) {
                Some(found) => found.2 += 1,
                None => unknown.push((label, example.line, 1)),
            }
        }
    }
    let mut problems = Problems::new(&file.file);
    for (label, line, count) in unknown {
        let near = nearest(&label, known).map_or_else(String::new, |near| format!(" (`{near}`?)"));
        let message = format!(
            "label `{}`{near} of {count} {} is not among those of the training file ({}); correct it, or add examples of it",
            shortened(&label),
            if count == 1 { "entity" } else { "entities" },
            quoted(known, 20)
        );
        problems.push(RowProblem::new(line, None, message))?;
    }
    problems.finish()
}
