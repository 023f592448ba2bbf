//! Folders of sounds with `.trans.txt` files, as LibriSpeech has them: `SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt` holds a line
//! `ID TRANSCRIPT` for each `ID.flac` beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::SOUNDS;
use crate::error::quoted;
use crate::files::{Found, nothing, splits_among};
use crate::problems::Problems;
use crate::rows::{Builder, Layout, Origin, TableRows};
use crate::table::Cell;
use crate::{DataError, OnBadExample, RowProblem};

const ENDING: &str = ".trans.txt";
/// Tables that may lie in a folder without being read.
const TABLES: [&str; 4] = ["csv", "tsv", "jsonl", "parquet"];
/// What a folder says of its sounds, and how many folders above a sound: the names that a group column may have.
const GROUPS: [(&str, usize); 2] = [("chapter", 1), ("speaker", 2)];

/// Transcripts by the paths of their sounds without endings, relative to a folder.
type Transcripts = BTreeMap<PathBuf, String>;

/// Reads a folder, whose folders are no transcripts.
pub(super) fn read(
    folder: &Path,
    layout: &Layout,
    required: bool,
    on_bad_example: OnBadExample,
) -> Result<TableRows, DataError> {
    let fail = |message: String| Err(DataError::Columns { message: format!("{}: {message}", folder.display()) });
    let found = SOUNDS.find(folder)?;
    if let Some(rows) = SOUNDS.in_table(folder, &found, layout, required, on_bad_example)? {
        return Ok(rows);
    }
    let is_one = |path: &&PathBuf| path.to_str().is_some_and(|path| path.ends_with(ENDING));
    let files: Vec<&PathBuf> = found.ignored.iter().filter(is_one).collect();
    if files.is_empty() && (required || found.files.is_empty()) {
        return fail(without(&found, &layout.labels[0]));
    }
    let splits = splits_among(&found.folders);
    if required && !files.is_empty() && splits.len() > 1 {
        return fail(format!(
            "holds the splits {}; name each with --train, --validation or --test",
            quoted(&splits, 8)
        ));
    }
    let mut transcripts = read_all(folder, &files)?;
    let mut builder = Builder::new(layout.clone(), required)?;
    let mut problems = Problems::that(on_bad_example, folder);
    for path in &found.files {
        let Some(text) = path.to_str() else {
            return fail(format!("{} has a name that is not UTF-8; rename it", path.display()));
        };
        let transcript = transcripts.remove(&path.with_extension(""));
        if transcript.is_none() && required {
            let message = format!("{text} has no line in a {ENDING} file beside it; add one, or remove the file");
            problems.push_row(builder.len(), RowProblem::new(0, None, message))?;
            continue;
        }
        let column = layout.group.as_ref().filter(|_| required);
        let group = column.map(|column| group(folder, path, column)).transpose()?;
        builder.push_grouped(text.to_owned(), transcript.map(Cell::Text), group)?;
    }
    let any = builder.len() > 0;
    let left_out = problems.leave_out(any)?;
    if !any {
        return fail(without(&found, &layout.labels[0]));
    }
    let rows = builder.finish(folder, folder.to_owned(), Origin::Folder { classes: false }, left_out)?;
    Ok(rows.with_remarks(alone(folder, &transcripts)))
}

/// What a folder lacks, and what could be named in its place.
fn without(found: &Found, column: &str) -> String {
    if found.files.is_empty() {
        return nothing(&SOUNDS, found);
    }
    let is_table = |path: &&PathBuf| path.extension().is_some_and(|ending| TABLES.iter().any(|it| ending == *it));
    let tables: Vec<String> = found.ignored.iter().filter(is_table).map(|path| path.display().to_string()).collect();
    let instead = if tables.is_empty() {
        "name a table with paths and transcriptions".to_owned()
    } else {
        format!("name a table in it ({})", quoted(&tables, 4))
    };
    format!(
        "nothing says what is said in its audio files (names of folders are no transcriptions): add a metadata.csv with the \
         columns `file_name` and `{column}`, or {ENDING} files as LibriSpeech has them, or {instead}"
    )
}

fn read_all(folder: &Path, files: &[&PathBuf]) -> Result<Transcripts, DataError> {
    let mut all = Transcripts::new();
    for inside in files {
        let file = folder.join(inside);
        let content =
            std::fs::read_to_string(&file).map_err(|source| DataError::Read { file: file.clone(), source })?;
        let mut problems = Problems::new(&file);
        for (line, row) in (1..).zip(content.trim_start_matches('\u{feff}').lines()) {
            let row = row.trim();
            let mut problem = |message: String| problems.push(RowProblem::new(line, None, message));
            match row.split_once(char::is_whitespace) {
                _ if row.is_empty() => {}
                None => problem(format!("has no transcription behind {}", quoted(&[row.to_owned()], 1)))?,
                Some((id, text)) => {
                    // Names of sounds may have points in them, so that nothing is taken for an ending.
                    if all.insert(inside.with_file_name(id), text.trim().to_owned()).is_some() {
                        problem(format!("{} is there twice; remove one", quoted(&[id.to_owned()], 1)))?;
                    }
                }
            }
        }
        problems.finish()?;
    }
    Ok(all)
}

/// The group of a sound: the name of a folder above it.
fn group(folder: &Path, path: &Path, column: &str) -> Result<String, DataError> {
    let fail = |message: String| DataError::Columns { message: format!("{}: {message}", folder.display()) };
    let Some((_, above)) = GROUPS.iter().find(|(name, _)| *name == column) else {
        return Err(fail(format!("a folder has no column `{column}`; its {ENDING} files say `speaker` and `chapter`")));
    };
    let whole = folder.join(path);
    let name = whole.ancestors().nth(*above).and_then(Path::file_name).and_then(|name| name.to_str());
    name.map(str::to_owned)
        .ok_or_else(|| fail(format!("{} lies in no folder of a {column}; name the folder above", path.display())))
}

/// Lines whose sound is not there.
fn alone(folder: &Path, transcripts: &Transcripts) -> Option<String> {
    let (first, count) = (transcripts.keys().next()?, transcripts.len());
    let (are, first) =
        (if count == 1 { "has no audio file and is" } else { "have no audio file and are" }, first.display());
    Some(format!("{}: {count} of the lines in {ENDING} files {are} not read (such as {first})", folder.display()))
}
