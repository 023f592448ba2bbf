//! Two files of which each line of one belongs to the same line of the other, as OPUS, WMT and Multi30k have their translations:
//! `train.en` and `train.fr`.

use std::fs;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::{Builder, Layout, Origin, TableRows};
use crate::error::quoted;
use crate::problems::Problems;
use crate::table::{self, Cell, Encoding};
use crate::{DataError, OnBadExample, RowProblem};

/// Endings of files that are packed, behind that of the language.
const PACKED: [&str; 4] = [".gz", ".gzip", ".zst", ".zstd"];
/// Endings that say a side and no language.
const SIDES: [[&str; 2]; 3] = [["source", "target"], ["src", "tgt"], ["src", "trg"]];
/// Endings that look like a language and are none.
const OTHERS: [&str; 10] = ["csv", "tsv", "tab", "txt", "log", "xls", "zip", "bak", "md", "tmp"];

/// The two files of a parallel corpus, or the one whose lines are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParallelFiles {
    /// What is read.
    pub source: PathBuf,
    /// What is to be written, where that is known.
    pub target: Option<PathBuf>,
}

impl ParallelFiles {
    /// The files that one of them means: those of the languages (source, target) where these are given, else the named one is the
    /// source, and the only other one of the same name with another language's ending the target. `None` where the file is
    /// no such one. Where a target need not be there (`required`), the named file is the source.
    ///
    /// # Errors
    /// It is not known which files are meant.
    pub fn of(path: &Path, languages: [Option<&str>; 2], required: bool) -> Result<Option<Self>, DataError> {
        let Some((stem, ending)) = parted(path).filter(|_| !path.is_dir()) else { return Ok(None) };
        let all = beside(path, &stem);
        let refuse = |what: String| {
            let endings: Vec<String> = all.iter().map(|(ending, _)| ending.clone()).collect();
            let remedy = "name one of two files that differ in this ending, and the languages with --source-language and \
                          --target-language";
            let message = format!("{what}; beside `{stem}.` there are the endings {}: {remedy}", quoted(&endings, 20));
            DataError::Schema { file: path.to_owned(), message }
        };
        let find = |language: &str| all.iter().find(|(ending, _)| is_of(ending, language));
        let given = languages.map(|language| language.and_then(find));
        if !required {
            let is_of = |language: Option<&str>| language.map(|language| is_of(&ending, language));
            match languages.map(is_of) {
                [Some(true) | None, None] | [Some(true), _] | [None, Some(false)] => {}
                [_, Some(true)] => return Err(refuse(format!("the ending `{ending}` is that of the target"))),
                [Some(false), _] => return Ok(None),
            }
            return Ok(Some(Self { source: path.to_owned(), target: None }));
        }
        let mut unknown =
            languages.iter().zip(&given).filter_map(|(language, found)| language.filter(|_| found.is_none()));
        if let Some(language) = unknown.next() {
            if all.len() < 2 && !languages.iter().flatten().any(|language| is_of(&ending, language)) {
                return Ok(None);
            }
            return Err(refuse(format!("there is no file for the language `{language}`")));
        }
        let named = (ending, path.to_owned());
        let other = || {
            let mut others = all.iter().filter(|(ending, _)| *ending != named.0);
            let first = others.next();
            let known = SIDES.iter().find(|side| side.contains(&named.0.as_str()));
            match (known, first, others.next()) {
                // Sides go together, whatever else there is.
                (Some(side), ..) => {
                    all.iter().find(|(ending, _)| *ending != named.0 && side.contains(&ending.as_str()))
                }
                (None, first, None) => first,
                _ => None,
            }
        };
        let is_target = SIDES.iter().any(|side| side[1] == named.0);
        let (source, target) = match given {
            [Some(source), Some(target)] => (Some(source), Some(target)),
            [Some(source), None] if source.0 == named.0 => (Some(source), other()),
            [Some(source), None] => (Some(source), Some(&named)),
            [None, Some(target)] if target.0 == named.0 => (other(), Some(target)),
            [None, Some(target)] => (Some(&named), Some(target)),
            [None, None] if is_target => (other(), Some(&named)),
            [None, None] => (Some(&named), other()),
        };
        match (source, target) {
            _ if all.len() < 2 => Ok(None),
            (Some(source), Some(target)) if source.0 == target.0 => {
                Err(refuse("both languages have one ending".to_owned()))
            }
            (Some(source), Some(target)) if source.0 != named.0 && target.0 != named.0 => {
                Err(refuse(format!("the ending `{}` is of neither language", named.0)))
            }
            (Some(source), Some(target)) => Ok(Some(Self { source: source.1.clone(), target: Some(target.1.clone()) })),
            _ => Err(refuse("it is not known which files belong together".to_owned())),
        }
    }
}

/// A file's name without the ending of its language, and that ending; `None` where it has none.
fn parted(path: &Path) -> Option<(String, String)> {
    let name = path.file_name()?.to_str()?;
    let name = PACKED.iter().find_map(|packed| name.strip_suffix(packed)).unwrap_or(name);
    let (stem, ending) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?;
    let (first, rest) = ending.split_once(['_', '-']).unwrap_or((ending, "x"));
    let code = matches!(first.len(), 2 | 3) && first.bytes().all(|byte| byte.is_ascii_lowercase());
    let code = code && !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let language = code && !OTHERS.contains(&ending);
    (language || SIDES.iter().any(|side| side.contains(&ending))).then(|| (stem.to_owned(), ending.to_owned()))
}

/// The files of one name, each with the ending of its language, in the order of these.
fn beside(path: &Path, stem: &str) -> Vec<(String, PathBuf)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| {
        let (found, ending) = parted(&entry.path())?;
        (found == stem && !entry.path().is_dir()).then(|| (ending, path.with_file_name(entry.file_name())))
    };
    let mut all: Vec<(String, PathBuf)> = entries.filter_map(of).collect();
    all.sort();
    // Of a file and its packed copy the named one counts.
    all.dedup_by(|later, first| {
        let same = later.0 == first.0;
        if same && later.1 == path {
            first.1.clone_from(&later.1);
        }
        same
    });
    all
}

/// Whether an ending is that of a language: its code, or what codes of models begin with (`en_XX`, `eng_Latn`).
fn is_of(ending: &str, language: &str) -> bool {
    let short = language.split(['_', '-']).next().unwrap_or(language);
    ending == language || ending == short || (short != language && ending.len() == 2 && short.starts_with(ending))
}

impl TableRows {
    /// Reads the lines of parallel files: those of the source as the layout's first column, those of the target as its second,
    /// input or label. Lines that are blank in both are none.
    ///
    /// # Errors
    /// Files that cannot be read or have unequal numbers of lines, lines that cannot be used, up to ten together, or none that can.
    pub fn read_parallel(
        files: &ParallelFiles,
        layout: &Layout,
        required: bool,
        on_bad_example: OnBadExample,
    ) -> Result<Self, DataError> {
        let (source, target) = (files.source.as_path(), files.target.as_deref());
        if let Some(group) = &layout.group {
            let message =
                format!("there is no column `{group}` (--group-column): lines of parallel files have no columns");
            return Err(DataError::Schema { file: source.to_owned(), message });
        }
        let mut builder = Builder::new(layout.clone(), required)?;
        let mut problems = Problems::that(on_bad_example, source);
        let mut sides = [Some(Side::open(source)?), target.map(Side::open).transpose()?];
        let width = layout.width();
        loop {
            let mut some = false;
            for side in sides.iter_mut().flatten() {
                some |= side.next()?;
            }
            if !some {
                break;
            }
            if sides.iter().flatten().all(Side::is_blank) {
                continue;
            }
            let line = sides.iter().flatten().map(|side| side.line).max().unwrap_or(0);
            let used = cells(&sides, width, line).and_then(|cells| builder.check(line, cells, &vec![true; width]));
            match used {
                Ok(row) => builder.push(row)?,
                Err(_) if sides.iter().flatten().any(|side| side.ended) => {}
                Err(problem) => problems.push_row(builder.len(), problem)?,
            }
        }
        if let [Some(one), Some(other)] = &sides
            && one.last != other.last
        {
            let message = format!(
                "has {} lines, but {} has {}; line by line they must be translations of each other",
                one.last,
                other.path.display(),
                other.last
            );
            return Err(DataError::Schema { file: source.to_owned(), message });
        }
        if problems.is_empty() && builder.len() == 0 {
            return Err(DataError::Empty { file: source.to_owned(), header: false });
        }
        let left_out = problems.leave_out(builder.len() > 0)?;
        let rows = builder.finish(source, PathBuf::new(), Origin::Table, left_out)?;
        let note = target.map(|target| {
            format!("{} is the source and {} the target, line by line", source.display(), target.display())
        });
        Ok(rows.with_remarks(note))
    }
}

/// One of the files, at a line.
struct Side {
    path: PathBuf,
    input: Box<dyn BufRead>,
    text: Vec<u8>,
    /// Lines read so far, and the last of them that is not blank.
    line: u64,
    last: u64,
    ended: bool,
}

impl Side {
    fn open(path: &Path) -> Result<Self, DataError> {
        let input = table::open_text(path, Encoding::Utf8)?;
        Ok(Self { path: path.to_owned(), input, text: Vec::new(), line: 0, last: 0, ended: false })
    }

    /// Goes to the next line; false at the end.
    fn next(&mut self) -> Result<bool, DataError> {
        self.text.clear();
        let read = table::read_line(&mut self.input, &mut self.text, self.line == 0);
        let failed = |source| DataError::Read { file: self.path.clone(), source };
        self.ended = read.map_err(failed)?.is_none();
        if !self.ended {
            self.line += 1;
        }
        if !self.is_blank() {
            self.last = self.line;
        }
        Ok(!self.ended)
    }

    fn is_blank(&self) -> bool {
        self.text.trim_ascii().is_empty()
    }
}

/// What stands in a line of both files.
fn cells(sides: &[Option<Side>; 2], width: usize, line: u64) -> Result<Vec<Cell>, RowProblem> {
    let mut cells = vec![Cell::Null; width];
    for (cell, side) in cells.iter_mut().zip(sides).filter_map(|(cell, side)| Some((cell, side.as_ref()?))) {
        let path = side.path.display();
        if side.is_blank() {
            let message = format!("is blank in {path} alone; fill it in or remove it from both files");
            return Err(RowProblem::new(line, None, message));
        }
        let text = std::str::from_utf8(&side.text);
        let text =
            text.map_err(|_| RowProblem::new(line, None, format!("is not valid UTF-8 in {path}; save it as UTF-8")))?;
        *cell = Cell::Text(text.to_owned());
    }
    Ok(cells)
}

#[cfg(all(test, feature = "text"))]
mod tests;
