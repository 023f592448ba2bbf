//! Entities of the model and of people, marked in the text.

use super::{Data, Said, TokenClassification, in_text, text, words};
use crate::metric::Said as Shown;
use crate::metric::detail::{Mark, Marked, Span as MarkedSpan};
use crate::metric::entities::{self, compare};
use anyhow::Result;
use retune_data::annotations::tags::Entity;
use retune_data::annotations::{Characters, Span};

/// An answer beside what is right.
pub(super) fn said(
    task: &TokenClassification,
    data: &Data<TokenClassification>,
    example: usize,
    said: &[Said],
) -> Result<Shown> {
    let (text, words) = (text(data, example), words(data, example));
    let in_characters = |entity: &Entity| {
        let span = in_text(entity, words);
        entities::Entity { start: span.start, end: span.end, label: entity.label.to_string() }
    };
    let gold = data.gold(example)?.map_or_else(Vec::new, |gold| gold.entities);
    let gold: Vec<entities::Entity> = gold.iter().map(in_characters).collect();
    let found: Vec<entities::Entity> =
        task.entities(said, words.len()).iter().map(|(it, _)| in_characters(it)).collect();
    let characters = Characters::of(text);
    let listed = |all: &[entities::Entity]| {
        let one = |entity: &entities::Entity| {
            let part = characters.part(Span::new(entity.start, entity.end)).unwrap_or("");
            format!("{part} ({})", entity.label)
        };
        let all: Vec<String> = all.iter().map(one).collect();
        if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
    };
    let span = |it: &entities::Compared| MarkedSpan {
        start: it.entity.start,
        end: it.entity.end,
        label: match (&it.said, it.mark) {
            (Some(said), Mark::Mistaken) => format!("{}, said {said}", it.entity.label),
            _ => it.entity.label.clone(),
        },
        kind: it.mark,
    };
    let spans = compare(&gold, &found).iter().map(span).collect();
    Ok(Shown {
        prediction: listed(&found),
        right: listed(&gold),
        confidence: None,
        marked: Some(Marked { text: text.to_owned(), spans }),
    })
}
