//! What the marks of a file mean: its scheme, its tags as IOB2, its entities checked.

use std::path::Path;

use super::parts::{RawGold, RawTagged, Spellings, TagOptions, TagParts, TaggedFile};
use super::scheme::Evidence;
use super::{Gold, Mark, Tag, TagScheme, Tagged, check, to_iob2};
use crate::annotations::Repair;
use crate::annotations::repair::{Mends, usable};
use crate::error::{quoted, shortened};
use crate::{DataError, RowProblem};

/// Finds out the scheme, turns tags into IOB2 and checks entities.
pub(super) fn understood(file: &Path, parts: TagParts, options: &TagOptions) -> Result<TaggedFile, DataError> {
    let TagParts { rows, spellings, mut mends, mut notes, .. } = parts;
    let mut tags: Vec<Option<Tag>> =
        spellings.all.iter().map(|text| meant(named(text, options), options.scheme)).collect();
    unmarked(file, &spellings, &tags)?;
    if !options.untyped && typed(&mut tags) {
        notes.push(format!("{}: tags without a type (`B`) are of the type `{UNTYPED}`", file.display()));
    }
    let tagged =
        |numbers: &[u32]| -> Option<Vec<Tag>> { numbers.iter().map(|&it| tags[it as usize].clone()).collect() };
    let all = rows.iter().flatten().filter_map(|row| match &row.gold {
        RawGold::Tags(numbers) => Some(numbers),
        _ => None,
    });
    let mut evidence = Evidence::default();
    let mut any = false;
    for tags in all.filter_map(|numbers| tagged(numbers)) {
        evidence.look(&tags);
        any = true;
    }
    let bilou =
        spellings.all.iter().any(|text| text.starts_with("L-") || text.starts_with("U-") || text == "L" || text == "U");
    let scheme = any.then(|| options.scheme.unwrap_or_else(|| evidence.scheme(bilou)));
    if let (Some(scheme), None) = (scheme, options.scheme)
        && scheme != TagScheme::Iob2
    {
        notes.push(format!("{}: the tags are {scheme}; they are read as IOB2", file.display()));
    }
    let mut understood = Vec::with_capacity(rows.len());
    for row in rows {
        understood.push(row.and_then(|row| match &row.gold {
            RawGold::None => Ok(row.tagged),
            RawGold::Entities(_) => check::entities(row, options.repair, &mut mends),
            RawGold::Tags(numbers) => match tagged(numbers) {
                Some(tags) => sequence(row, &tags, scheme.unwrap_or(TagScheme::Iob2), options, &mut mends),
                None => Err(unknown(&row, numbers, &tags, &spellings, options, understood.is_empty())),
            },
        }));
    }
    let (examples, left_out) = usable(file, understood, options.on_bad_example)?;
    notes.extend(mends.notes(file));
    Ok(TaggedFile { scheme, notes, ..TaggedFile::of(file, examples, left_out, options) })
}

/// The name of a tag that a CoNLL file gives by number.
fn named<'a>(text: &'a str, options: &'a TagOptions) -> &'a str {
    let name = options.names.as_ref().and_then(|names| names.get(text.parse::<usize>().ok()?));
    name.map_or(text, String::as_str)
}

/// The type of entities whose tags say none.
const UNTYPED: &str = "entity";

/// Gives tags without a type one; whether there were any.
fn typed(tags: &mut [Option<Tag>]) -> bool {
    let mut untyped: Vec<&mut Tag> =
        tags.iter_mut().flatten().filter(|tag| tag.mark != Mark::Outside && tag.label.is_empty()).collect();
    untyped.iter_mut().for_each(|tag| tag.label = UNTYPED.into());
    !untyped.is_empty()
}

/// What a spelling means; without marks for IO.
pub(super) fn meant(text: &str, scheme: Option<TagScheme>) -> Option<Tag> {
    match scheme {
        Some(TagScheme::Io) if text == "O" => Some(Tag::outside()),
        // As IOB1 without a single B-: equal neighbours are one entity.
        Some(TagScheme::Io) if !text.is_empty() => Some(Tag { mark: Mark::Inside, label: text.into() }),
        Some(TagScheme::Io) => None,
        _ => Tag::parse(text),
    }
}

/// Refuses a file whose tags have no marks at all.
fn unmarked(file: &Path, spellings: &Spellings, tags: &[Option<Tag>]) -> Result<(), DataError> {
    let marked = tags.iter().flatten().any(|tag| tag.mark != Mark::Outside);
    let plain = spellings.all.iter().zip(tags).filter(|it| it.1.is_none() && !it.0.is_empty());
    let plain: Vec<String> = plain.map(|it| it.0.clone()).collect();
    if marked || plain.is_empty() {
        return Ok(());
    }
    let shown = quoted(&plain, 8);
    let message = if plain.iter().all(|tag| tag.parse::<i64>().is_ok()) {
        format!("the tags are numbers ({shown}); name a file of their names, in order, with --tag-names")
    } else {
        format!(
            "the tags have no B- and I- ({shown}); say --tag-scheme io if equal neighbours are one entity, or mark \
             beginnings with B-"
        )
    };
    Err(DataError::Schema { file: file.to_owned(), message })
}

/// The place of a word: its own line in CoNLL, else the row's with the word.
fn placed(row: &RawTagged, word: usize, options: &TagOptions, message: &str) -> RowProblem {
    match &row.comments {
        Some(comments) => {
            let before = comments.iter().filter(|&&at| at <= word).count();
            RowProblem::new(row.tagged.line + (word + before) as u64, None, message)
        }
        None => {
            let text = row.tagged.word_texts().and_then(|words| words.get(word).map(|word| shortened(word)));
            let message = format!("word {} (`{}`): {message}", word + 1, text.unwrap_or_default());
            RowProblem::new(row.tagged.line, Some(&options.tags), message)
        }
    }
}

fn unknown(
    row: &RawTagged,
    numbers: &[u32],
    tags: &[Option<Tag>],
    spellings: &Spellings,
    options: &TagOptions,
    first: bool,
) -> Vec<RowProblem> {
    let wrong = numbers.iter().enumerate().filter(|it| tags[*it.1 as usize].is_none());
    let names_columns = |word: usize| word == 0 && first && row.comments.is_some() && wrong.clone().count() == 1;
    let said = |(word, &number): (usize, &u32)| {
        let message = match spellings.all[number as usize].as_str() {
            "" => "has no tag; write O for a word in no entity".to_owned(),
            text if names_columns(word) => {
                let token = row.tagged.word_texts().and_then(|words| words.first().map(|word| shortened(word)));
                format!(
                    "`{}` is no tag; remove this line if it names the columns (`{}`, …), else write O, B-LABEL or I-LABEL",
                    shortened(text),
                    token.unwrap_or_default()
                )
            }
            text => format!("`{}` is no tag; write O, B-LABEL or I-LABEL", shortened(text)),
        };
        placed(row, word, options, &message)
    };
    wrong.clone().map(said).collect()
}

/// An example whose tags are turned into IOB2.
fn sequence(
    row: RawTagged,
    tags: &[Tag],
    scheme: TagScheme,
    options: &TagOptions,
    mends: &mut Mends,
) -> Result<Tagged, Vec<RowProblem>> {
    let (tags, broken) = to_iob2(tags, scheme);
    if options.repair == Repair::Mend {
        for it in &broken {
            let line = placed(&row, it.word, options, "").line;
            mends.count("a tag that its scheme does not allow there begins or ends an entity", line);
        }
    } else if !broken.is_empty() {
        let remedy = "; repair it, or read it as conlleval does with --on-bad-annotation mend";
        return Err(broken
            .iter()
            .map(|it| placed(&row, it.word, options, &format!("{}{remedy}", it.message)))
            .collect());
    }
    Ok(Tagged { gold: Some(Gold::Tags(tags)), ..row.tagged })
}
