//! A text with marked places. Kinds differ in colour, in the line below and in a word beside the mark, so that neither
//! colour nor line alone has to be seen.

use std::collections::BTreeSet;

use crate::metric::detail::{Mark, Marked, Span};
use crate::report::html::{escape, excerpt};

/// Characters that are shown before, behind and between marks.
const CONTEXT: usize = 160;
/// Characters shown in all, at most.
const MAX_TEXT: usize = 1500;
const MAX_LABEL: usize = 60;

/// Class and word of a kind; what is right needs no word.
fn look(kind: Mark) -> (&'static str, &'static str) {
    match kind {
        Mark::Right => ("hit", ""),
        Mark::Missed => ("missed", "missed"),
        Mark::Invented => ("invented", "invented"),
        Mark::Mistaken => ("mistaken", "mistaken"),
        Mark::Rests(level) => (rests(level), ""),
    }
}

/// The class of how much an answer rests on a place.
fn rests(level: u8) -> &'static str {
    ["rests-a-little", "rests-more", "rests-most"][usize::from(level.clamp(1, 3)) - 1]
}

/// What the marks mean; nothing without any.
pub(in crate::report) fn legend(kinds: &[Mark]) -> String {
    let items: String = kinds
        .iter()
        .map(|kind| {
            let (class, words) = match kind {
                Mark::Right => ("hit", "found"),
                Mark::Missed => ("missed", "gold, but missed"),
                Mark::Invented => ("invented", "predicted, but not gold"),
                Mark::Mistaken => ("mistaken", "taken for something else"),
                Mark::Rests(1) => (rests(1), "the answer rests on it a little"),
                Mark::Rests(2) => (rests(2), "more"),
                Mark::Rests(_) => (rests(3), "most"),
            };
            format!("<span><mark class=\"{class}\">text</mark> {words}</span>")
        })
        .collect();
    if items.is_empty() { items } else { format!("<p class=\"note marks\">{items}</p>\n") }
}

/// The text, shortened where nothing is marked for long.
pub(in crate::report) fn draw(marked: &Marked) -> String {
    let letters: Vec<char> = marked.text.chars().collect();
    let spans: Vec<&Span> =
        marked.spans.iter().filter(|span| span.start < span.end && span.end <= letters.len()).collect();
    let mut cuts: BTreeSet<usize> = [0, letters.len()].into();
    cuts.extend(spans.iter().flat_map(|span| [span.start, span.end]));
    let cuts: Vec<usize> = cuts.into_iter().collect();
    let mut out = String::new();
    let mut shown = 0;
    for ends in cuts.windows(2) {
        let (start, end) = (ends[0], ends[1]);
        if shown >= MAX_TEXT {
            out.push('…');
            break;
        }
        let here: Vec<&Span> = spans.iter().copied().filter(|span| span.start <= start && end <= span.end).collect();
        let piece = &letters[start..end];
        // Of what is not marked only so much is shown.
        shown += if here.is_empty() { piece.len().min(2 * CONTEXT) } else { piece.len() };
        if here.is_empty() {
            out += &unmarked(piece, start == 0, end == letters.len());
            continue;
        }
        // Where marks overlap, a piece has the classes of all of them.
        let mut classes: Vec<&str> = here.iter().map(|span| look(span.kind).0).collect();
        classes.dedup();
        let text = escape(&piece.iter().collect::<String>());
        out += &format!("<mark class=\"{}\">{text}{}</mark>", classes.join(" "), labels(&here, end));
    }
    format!("<p class=\"text marked\" dir=\"auto\">{out}</p>")
}

/// What is written at the end of the marks that end here.
fn labels(here: &[&Span], end: usize) -> String {
    let label = |span: &&&Span| {
        let words = [excerpt(&span.label, MAX_LABEL), look(span.kind).1.to_owned()];
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        if words.is_empty() { String::new() } else { format!("<small>{}</small>", words.join(" ")) }
    };
    here.iter().filter(|span| span.end == end).map(|span| label(&span)).collect()
}

/// A piece between marks; at the ends of the text only what is near a mark.
fn unmarked(piece: &[char], first: bool, last: bool) -> String {
    let text = |letters: &[char]| escape(&letters.iter().collect::<String>());
    let most = if first && last { MAX_TEXT } else { 2 * CONTEXT };
    if piece.len() <= most {
        return text(piece);
    }
    let (head, tail) = (&piece[..most / 2], &piece[piece.len() - most / 2..]);
    match (first, last) {
        (true, true) => format!("{}…", text(&piece[..most])),
        (true, false) => format!("…{}", text(tail)),
        (false, true) => format!("{}…", text(head)),
        (false, false) => format!("{} … {}", text(head), text(tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: usize, end: usize, label: &str, kind: Mark) -> Span {
        Span { start, end, label: label.into(), kind }
    }

    #[test]
    fn overlapping_marks_keep_their_own_ends_and_words() {
        let spans = vec![span(0, 4, "PER", Mark::Missed), span(2, 7, "ORG", Mark::Invented)];
        let html = draw(&Marked { text: "Jörg <Ü> sah".into(), spans });
        let expected = "<mark class=\"missed\">Jö</mark><mark class=\"missed invented\">rg<small>PER missed</small></mark>\
                        <mark class=\"invented\"> &lt;Ü<small>ORG invented</small></mark>&gt; sah";
        assert!(html.contains(expected), "{html}");
    }

    #[test]
    fn long_texts_are_shown_around_their_marks() {
        let text = format!("{}x{}", "a".repeat(5000), "b".repeat(5000));
        let html = draw(&Marked { text, spans: vec![span(5000, 5001, "", Mark::Right)] });
        assert!(
            html.contains("…aaa") && html.contains("<mark class=\"hit\">x</mark>bbb") && html.len() < 600,
            "{html}"
        );
        let beyond = draw(&Marked { text: "ab".into(), spans: vec![span(1, 9, "", Mark::Right)] });
        assert!(!beyond.contains("<mark"), "{beyond}");
    }
}
