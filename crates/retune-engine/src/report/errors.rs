//! The predictions that went most wrong.

use super::blocks::{marked, picture, sound};
use super::data::{ReportData, WorstError};
use super::html::{excerpt, facts, note};
use crate::metric::detail::Mark;
use crate::number;

const MAX_ERRORS: usize = 20;
const MAX_TEXT: usize = 700;
const MAX_ANSWER: usize = 200;

/// The list, with what its reader must know.
pub(super) fn body(data: &ReportData) -> String {
    if data.errors.is_empty() {
        return String::new();
    }
    let shown = data.errors.len().min(MAX_ERRORS);
    let items: String = data.errors[..shown].iter().map(error).collect();
    let rest = if shown < data.errors.len() {
        note(&format!("The {shown} worst of {}.", data.errors.len()))
    } else {
        String::new()
    };
    let about = data.about_errors.as_deref().map_or_else(String::new, note);
    let marks = data.errors[..shown].iter().filter_map(|error| error.said.marked.as_ref());
    let mut kinds: Vec<Mark> = marks.flat_map(|marked| marked.spans.iter().map(|span| span.kind)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    format!("{about}{}<ol class=\"errors\">\n{items}</ol>\n{rest}", marked::legend(&kinds))
}

fn error(error: &WorstError) -> String {
    let said = &error.said;
    let picture = error.picture.as_deref().map_or_else(String::new, |png| picture::image(png, ""));
    let text = match &said.marked {
        Some(text) => marked::draw(text),
        None => fields(&error.fields),
    };
    let answers = facts(
        "inline",
        &[
            ("gold", excerpt(&said.right, MAX_ANSWER)),
            ("predicted", excerpt(&said.prediction, MAX_ANSWER)),
            ("confidence", said.confidence.map_or_else(String::new, number::percent)),
            ("at", excerpt(&error.place, MAX_ANSWER)),
        ],
    );
    let pictures = picture::draw(&error.pictures);
    let sound = error.sound.as_deref().map_or_else(String::new, sound::player);
    format!("<li>{picture}<div>{text}\n{answers}\n{sound}{pictures}</div></li>\n")
}

/// The input; several columns are named.
fn fields(fields: &[(String, String)]) -> String {
    let filled: Vec<&(String, String)> = fields.iter().filter(|(_, text)| !text.is_empty()).collect();
    let named = filled.len() > 1;
    let paragraph = |(name, text): &&(String, String)| {
        let name = if named { format!("<small>{}</small> ", excerpt(name, 40)) } else { String::new() };
        format!("<p class=\"text\" dir=\"auto\">{name}{}</p>", excerpt(text, MAX_TEXT))
    };
    filled.iter().map(paragraph).collect()
}
