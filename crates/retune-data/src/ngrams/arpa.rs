//! Files in the ARPA format, which SRILM, KenLM and others write: counts behind `\data\`, then a section for each order, in whose
//! lines stand the logarithm to base 10 of a probability, the words, and that of a back-off weight where there is one.

use std::collections::HashMap;
use std::f32::consts::LN_10;
use std::io::BufRead;
use std::path::Path;

use super::{BEGIN, END, NGrams, Node, UNKNOWN, UNSEEN};
use crate::error::shortened;
use crate::problems::Problems;
use crate::table::{Encoding, open_text};
use crate::{DataError, RowProblem};

/// How a binary file of KenLM begins.
const BINARY: &[u8] = b"mmap lm http";
/// Longest n-grams that are read, and the most of one order: numbers in a file must not ask for all memory.
const MOST_WORDS: usize = 16;
const MOST: u64 = 1 << 31;

impl NGrams {
    /// Reads a file, packed or not.
    ///
    /// # Errors
    /// It cannot be read, or is malformed: lines that are no n-grams of their section, words that no unigram has, n-grams that
    /// stand twice, counts that are not those of `\data\`, an end that is missing; up to ten lines are named together.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let mut input = open_text(path, Encoding::Utf8)?;
        let failed = |source| DataError::Read { file: path.to_owned(), source };
        let head = input.fill_buf().map_err(failed)?;
        let malformed =
            |line, message: &str| DataError::Malformed { file: path.to_owned(), line, message: message.to_owned() };
        if head.starts_with(BINARY) {
            return Err(malformed(1, "is a binary file of KenLM; give the ARPA file that it was made of"));
        }
        let mut reading = Reading::default();
        let mut problems = Problems::new(path);
        let (mut bytes, mut line) = (Vec::new(), 0);
        loop {
            bytes.clear();
            if reading.part == Part::Ended || input.read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
                break;
            }
            line += 1;
            let text = std::str::from_utf8(&bytes).map_err(|_| "is not UTF-8; convert the file".to_owned());
            if let Err(message) = text.and_then(|text| reading.line(line, text)) {
                problems.push(RowProblem::new(line, None, message))?;
            }
            for (line, message) in reading.late.drain(..) {
                problems.push(RowProblem::new(line, None, message))?;
            }
        }
        match reading.part {
            Part::Before => {
                return Err(malformed(1, r"has no line `\data\`: this is no file of n-grams in the ARPA format"));
            }
            Part::Ended => {}
            Part::Counts | Part::Section(_) => {
                problems.push(RowProblem::new(line, None, r"is the last line, but no `\end\`: the file is cut off"))?;
            }
        }
        problems.finish()?;
        reading.done().map_err(|message| malformed(1, &message))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Part {
    /// `\data\`, what stands there is free.
    #[default]
    Before,
    Counts,
    /// N-grams of so many words.
    Section(usize),
    Ended,
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    part: Part,
    /// Of each order, with their lines.
    counts: Vec<(u64, u64)>,
    /// N-grams of the section.
    found: u64,
    words: HashMap<Box<str>, u32>,
    nodes: Vec<Node>,
    longer: HashMap<(u32, u32), u32>,
    /// Problems of earlier lines.
    late: Vec<(u64, String)>,
}

impl Reading {
    fn line(&mut self, number: u64, text: &str) -> Result<(), String> {
        let text = text.trim_start_matches(if number == 1 { "\u{feff}" } else { "" }).trim_matches(is_blank);
        match self.part {
            Part::Before if text == r"\data\" => self.part = Part::Counts,
            Part::Before | Part::Ended => {}
            _ if text.is_empty() => {}
            _ if text.starts_with('\\') => return self.heading(text),
            Part::Counts => return self.count(number, text),
            Part::Section(order) => {
                // A line that is no n-gram is said once, not again by the count.
                self.found += 1;
                return self.ngram(order, text);
            }
        }
        Ok(())
    }

    /// `\N-grams:` or `\end\`.
    fn heading(&mut self, text: &str) -> Result<(), String> {
        let done = match self.part {
            Part::Section(order) => order,
            _ => 0,
        };
        if done > 0 {
            let (said, line) = self.counts[done - 1];
            if said != self.found {
                self.late.push((line, format!("says {said} {done}-grams, but there are {}", self.found)));
            }
        }
        self.found = 0;
        let next = (done < self.counts.len()).then(|| format!(r"\{}-grams:", done + 1));
        let expected = next.as_deref().unwrap_or(r"\end\");
        if text == expected {
            self.part = if next.is_some() { Part::Section(done + 1) } else { Part::Ended };
            return Ok(());
        }
        // Nothing behind it can be read as what it is.
        self.part = Part::Ended;
        let why =
            if self.counts.is_empty() { r"no line `ngram 1=…` stands behind `\data\`" } else { "is out of place" };
        Err(format!("`{}`: {why}; `{expected}` is expected, and the rest of the file was not checked", shortened(text)))
    }

    /// `ngram N=COUNT`.
    fn count(&mut self, line: u64, text: &str) -> Result<(), String> {
        let parts = text.strip_prefix("ngram").and_then(|rest| rest.split_once('='));
        let read = |(order, count): (&str, &str)| {
            let count = count.trim_matches(is_blank).parse::<u64>().ok()?;
            Some((order.trim_matches(is_blank).parse::<usize>().ok()?, count))
        };
        let expected = self.counts.len() + 1;
        match parts.and_then(read) {
            Some((order, count)) if order == expected && order <= MOST_WORDS && count < MOST => {
                self.counts.push((count, line));
                Ok(())
            }
            _ => Err(format!(
                "`{}` is no count; `ngram {expected}=COUNT` is expected, of {MOST_WORDS} words at most",
                shortened(text)
            )),
        }
    }

    fn ngram(&mut self, order: usize, text: &str) -> Result<(), String> {
        let fields: Vec<&str> = text.split(is_blank).filter(|field| !field.is_empty()).collect();
        let names = fields.get(1..=order).unwrap_or_default();
        let twice = || format!("`{}` stands twice", shortened(&names.join(" ")));
        // A word of a line that is malformed is one, so that n-grams of it are not named, too.
        let first = self.nodes.len() as u32;
        let known = order == 1 && names.first().is_some_and(|&name| self.words.insert(name.into(), first).is_some());
        self.nodes.extend((order == 1).then_some(Node { log: None, back_off: 0.0 }));
        let highest = order == self.counts.len();
        if fields.len() != order + 1 && (highest || fields.len() != order + 2) {
            let weight = if highest { ", without a back-off weight" } else { ", and a back-off weight or none" };
            return Err(format!(
                "`{}` has {} fields; a logarithm and {order} {} are expected{weight}",
                shortened(&fields.join(" ")),
                fields.len(),
                if order == 1 { "word" } else { "words" }
            ));
        }
        let number = |field: &str, what: &str| {
            let number = field.parse::<f32>().ok().filter(|it| it.is_finite());
            number.ok_or_else(|| format!("{what} `{}` is no number", shortened(field)))
        };
        let log = number(fields[0], "the logarithm of the probability")?;
        if log > 0.0 {
            return Err(format!("the logarithm of the probability is {log}, above 0"));
        }
        let back_off = fields.get(order + 1).map_or(Ok(0.0), |field| number(field, "the back-off weight"))?;
        let node = Node { log: Some(log * LN_10), back_off: back_off * LN_10 };
        if order == 1 {
            self.nodes[first as usize] = node;
            return if known { Err(twice()) } else { Ok(()) };
        }
        let words = names.iter().map(|&name| {
            let known = self.words.get(name).copied();
            known.ok_or_else(|| format!("the word `{}` is not among the 1-grams", shortened(name)))
        });
        let words = words.collect::<Result<Vec<u32>, String>>()?;
        let mut at = words[0];
        for (place, &word) in words.iter().enumerate().skip(1) {
            let next = self.nodes.len() as u32;
            let last = place + 1 == order;
            match self.longer.get(&(at, word)) {
                Some(_) if last => return Err(twice()),
                Some(&known) => at = known,
                None => {
                    self.longer.insert((at, word), next);
                    self.nodes.push(if last { node } else { Node { log: None, back_off: 0.0 } });
                    at = next;
                }
            }
        }
        Ok(())
    }

    fn done(mut self) -> Result<NGrams, String> {
        let mut take = |word: &str| self.words.remove(word);
        let missing = |word: &str| format!("has no 1-gram `{word}`, which stands where texts begin or end");
        let begin = take(BEGIN).ok_or_else(|| missing(BEGIN))?;
        let end = take(END).ok_or_else(|| missing(END))?;
        let [first, other] = UNKNOWN.map(&mut take);
        let unknown = first.or(other).unwrap_or_else(|| {
            self.nodes.push(Node { log: Some(UNSEEN * LN_10), back_off: 0.0 });
            self.nodes.len() as u32 - 1
        });
        let mut words: Vec<(Box<str>, u32)> = self.words.into_iter().collect();
        words.sort_unstable();
        Ok(NGrams { order: self.counts.len(), words, begin, end, unknown, nodes: self.nodes, longer: self.longer })
    }
}

/// What stands between fields; other spaces are parts of words.
fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}
