//! Whether an answer stands where it says, and where else it does.

use super::Answer;
use super::raw::RawAnswer;
use crate::annotations::span::Unit;
use crate::annotations::{Characters, Repair, Span};
use crate::error::shortened;

/// Finds an answer in its context; with [`Repair::Mend`] also one that stands elsewhere, with the kind of the mend.
///
/// # Errors
/// Where it does not stand, and where it does; continues "has the answer".
pub(super) fn placed(
    answer: &RawAnswer,
    context: &Characters<'_>,
    repair: Repair,
) -> Result<(Answer, Option<&'static str>), String> {
    let text = answer.text.as_str();
    let length = text.chars().count();
    let at = |start: usize| Answer { span: Span::new(start, start + length), text: text.to_owned() };
    let shown = shortened(text);
    if text.trim().is_empty() {
        return Err(format!("`{shown}`, which is empty; write its text, or leave the answers empty if there is none"));
    }
    let said = answer.start.and_then(|start| usize::try_from(start).ok());
    if let Some(start) = said
        && context.part(Span::new(start, start.saturating_add(length))) == Some(text)
    {
        return Ok((at(start), None));
    }
    let places = context.occurrences(text);
    if places.is_empty()
        && let Some(span) = spaced_otherwise(answer, context)
    {
        let own = context.part(span).unwrap_or_default();
        if repair == Repair::Mend {
            let kind = "an answer has other space than its context, as which it is taken";
            return Ok((Answer { span, text: own.to_owned() }, Some(kind)));
        }
        return Err(format!(
            "`{shown}`, which stands at character {} with other space{}; write it as it stands there, or have it taken so with \
             --on-bad-annotation mend",
            span.start,
            difference(text, own)
        ));
    }
    let mend = "; or let it be moved with --on-bad-annotation mend";
    let Some(start) = answer.start else {
        return match places.as_slice() {
            [] => Err(format!("`{shown}`, which does not stand in the context; correct its text")),
            [first, ..] if repair == Repair::Mend => {
                Ok((at(*first), Some("an answer without a start is taken where it stands first")))
            }
            [one] => Err(format!("`{shown}` without a start; it stands at character {one}{mend}")),
            several => {
                Err(format!("`{shown}` without a start; it stands {} times in the context{mend}", several.len()))
            }
        };
    };
    let there = said.and_then(|start| {
        let end = start.saturating_add(length).min(context.len());
        context.part(Span::new(start.min(end), end))
    });
    let there = there
        .filter(|there| !there.is_empty())
        .map_or_else(|| "nothing".to_owned(), |there| format!("`{}`{}", shortened(there), difference(text, there)));
    let place = format!("`{shown}` at character {start}, but there stands {there}");
    let unit = said.and_then(|start| in_other_unit(start, text, context));
    let nearest = places.iter().min_by_key(|&&place| (place as i128 - i128::from(start)).unsigned_abs());
    match (unit, nearest, repair) {
        (Some((_, start)), _, Repair::Mend) => {
            Ok((at(start), Some("the start of an answer was counted in other units than characters")))
        }
        (Some((unit, start)), ..) => {
            Err(format!("{place}; the start counts {}, in characters it is {start}{mend}", unit.name()))
        }
        (None, Some(&start), Repair::Mend) => {
            Ok((at(start), Some("an answer is moved to the nearest place where it stands")))
        }
        (None, Some(start), Repair::Fail) => {
            Err(format!("{place}; the nearest `{shown}` is at character {start}{mend}"))
        }
        (None, None, _) => Err(format!("{place}, nor does it stand elsewhere in the context; correct its text")),
    }
}

/// Where an answer stands nearest to its start if all characters of space are one.
fn spaced_otherwise(answer: &RawAnswer, context: &Characters<'_>) -> Option<Span> {
    let plain = |text: &str| text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect::<String>();
    let whole = plain(context.part(Span::new(0, context.len()))?);
    let places = Characters::of(&whole).occurrences(&plain(&answer.text));
    let start = i128::from(answer.start.unwrap_or(0));
    let nearest = places.into_iter().min_by_key(|&place| (place as i128 - start).unsigned_abs())?;
    Some(Span::new(nearest, nearest + answer.text.chars().count()))
}

/// What tells two texts apart where that may not be seen: the first characters that differ, where one of them is beyond ASCII.
fn difference(text: &str, there: &str) -> String {
    let differ = text.chars().zip(there.chars()).find(|(one, other)| one != other);
    match differ.filter(|(one, other)| !one.is_ascii() || !other.is_ascii()) {
        Some((one, other)) => {
            format!(" (U+{:04X} where the context has U+{:04X})", u32::from(one), u32::from(other))
        }
        None => String::new(),
    }
}

/// The unit in which `start` would be right, with the start in characters.
fn in_other_unit(start: usize, text: &str, context: &Characters<'_>) -> Option<(Unit, usize)> {
    let utf16: usize = text.chars().map(char::len_utf16).sum();
    [(Unit::Utf16, utf16), (Unit::Bytes, text.len())].into_iter().find_map(|(unit, length)| {
        let (found, span) = context.other_unit(Span::new(start, start.checked_add(length)?), text)?;
        (found == unit).then_some((unit, span.start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str, start: Option<i64>, context: &str, repair: Repair) -> Result<usize, String> {
        let raw = RawAnswer { text: text.to_owned(), start };
        placed(&raw, &Characters::of(context), repair).map(|it| it.0.span.start)
    }

    #[test]
    fn an_answer_at_its_place_needs_no_mending() {
        assert_eq!(found("é", Some(3), "a 😀é", Repair::Fail), Ok(3));
        assert_eq!(found("b", Some(3), "a b b", Repair::Mend), Ok(2));
        assert_eq!(found("b", Some(2), "a b b", Repair::Fail), Ok(2));
    }

    #[test]
    fn a_wrong_place_is_said_with_the_right_one() {
        let said = found("Paris", Some(1), "In Paris", Repair::Fail).unwrap_err();
        assert!(
            said.starts_with("`Paris` at character 1, but there stands `n Par`; the nearest `Paris` is at character 3"),
            "{said}"
        );
        assert_eq!(found("Paris", Some(1), "In Paris", Repair::Mend), Ok(3));
        assert!(found("Rome", Some(90), "In Paris", Repair::Mend).unwrap_err().contains("nor does it stand elsewhere"));
        assert!(found("Paris", Some(-1), "In Paris", Repair::Fail).unwrap_err().contains("stands nothing"));
        assert!(found(" ", Some(0), "a", Repair::Mend).unwrap_err().contains("empty"));
        let huge = found("Paris", Some(i64::MAX), "In Paris", Repair::Fail).unwrap_err();
        assert!(huge.contains("nearest"), "{huge}");
    }

    #[test]
    fn other_units_are_told() {
        let said = found("Paris", Some(3), "😀 Paris", Repair::Fail).unwrap_err();
        assert!(said.contains("UTF-16 units (as JavaScript counts), in characters it is 2"), "{said}");
        let said = found("Paris", Some(5), "😀 Paris", Repair::Fail).unwrap_err();
        assert!(said.contains("bytes of UTF-8, in characters it is 2"), "{said}");
        assert_eq!(found("Paris", Some(3), "😀 Paris", Repair::Mend), Ok(2));
    }

    #[test]
    fn a_missing_start_is_found_where_the_text_stands() {
        assert!(found("b", None, "a b b", Repair::Fail).unwrap_err().contains("stands 2 times"));
        assert!(found("a", None, "a b b", Repair::Fail).unwrap_err().contains("at character 0"));
        assert_eq!(found("b", None, "a b b", Repair::Mend), Ok(2));
        assert!(found("c", None, "a b b", Repair::Mend).is_err());
    }

    #[test]
    fn other_space_is_told_by_code_points_and_mended() {
        let context = "from 3.1\u{2009}kg to\u{a0}4\u{2009}kg";
        let said = found("3.1 kg to 4", Some(5), context, Repair::Fail).unwrap_err();
        assert!(said.contains("at character 5 with other space (U+0020 where the context has U+2009)"), "{said}");
        let raw = |start| RawAnswer { text: "3.1 kg to 4".to_owned(), start };
        for start in [Some(5), Some(90), None] {
            let (answer, kind) = placed(&raw(start), &Characters::of(context), Repair::Mend).unwrap();
            assert_eq!((answer.span, answer.text.as_str()), (Span::new(5, 16), "3.1\u{2009}kg to\u{a0}4"));
            assert!(kind.unwrap().contains("other space"));
        }
        let said = found("Cafe\u{301}", Some(0), "Café x", Repair::Fail).unwrap_err();
        assert!(said.contains("(U+0065 where the context has U+00E9)"), "{said}");
    }

    proptest! {
        #[test]
        fn mending_finds_the_nearest_occurrence(context in "[abé]{1,12}", text in "[ab]{1,2}", start in -3i64..15) {
            let all: Vec<char> = context.chars().collect();
            let wanted: Vec<char> = text.chars().collect();
            let places: Vec<i64> = (0..all.len()).filter(|&at| all[at..].starts_with(&wanted)).map(|at| at as i64).collect();
            let result = found(&text, Some(start), &context, Repair::Mend);
            prop_assert_eq!(result.is_err(), places.is_empty());
            if let Ok(place) = result {
                prop_assert!(places.contains(&(place as i64)));
                if context.is_ascii() {
                    let nearest = places.iter().map(|it| (it - start).abs()).min();
                    prop_assert_eq!(nearest, Some((place as i64 - start).abs()));
                }
            }
        }
    }
}
