//! Folders of files: `FOLDER/class/…/file`, files without labels, or files with a `metadata` table beside them, as the
//! imagefolder and the audiofolder of `datasets` read it.
//!
//! What is of another kind by its name (by its content, where the name has no ending) is counted in a remark; a class folder of
//! nothing else is refused, because its class would silently vanish.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::splits::is_split;
use super::{FileKind, metadata};
use crate::error::quoted;
use crate::rows::{Builder, LabelRows, Layout, Origin, Records, TableRows};
use crate::table::Cell;
use crate::{DataError, OnBadExample};

/// Files that systems leave in folders.
const LITTER: [&str; 4] = ["thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"];
/// Folders inside folders, at most: a link to a parent would never end.
const MOST_DEPTH: usize = 16;

/// What a folder holds, in the order of the paths.
#[derive(Default)]
pub(crate) struct Found {
    /// Files of the kind, relative to the folder.
    pub(crate) files: Vec<PathBuf>,
    /// Files of other kinds.
    pub(crate) ignored: Vec<PathBuf>,
    /// Folders directly inside.
    pub(crate) folders: Vec<String>,
}

/// Looks into a folder and all folders inside.
pub(super) fn find(kind: &FileKind, folder: &Path) -> Result<Found, DataError> {
    let mut found = Found::default();
    walk(kind, folder, Path::new(""), 0, &mut found)?;
    Ok(found)
}

/// The rows of a table beside the files, where there is one.
pub(super) fn in_table(
    kind: &FileKind,
    folder: &Path,
    found: &Found,
    layout: &Layout,
    labels_required: bool,
    on_bad_example: OnBadExample,
) -> Result<Option<TableRows>, DataError> {
    let table = metadata::table(folder, &found.ignored, labels_required)?;
    table.map(|table| metadata::read(kind, &table, &found.files, layout, labels_required, on_bad_example)).transpose()
}

pub(super) fn read(
    kind: &FileKind,
    folder: &Path,
    layout: &Layout,
    labels_required: bool,
    on_bad_example: OnBadExample,
) -> Result<TableRows, DataError> {
    let fail = |message: String| Err(DataError::Columns { message: format!("{}: {message}", folder.display()) });
    let found = find(kind, folder)?;
    if let Some(rows) = in_table(kind, folder, &found, layout, labels_required, on_bad_example)? {
        return Ok(rows);
    }
    if let Some(group) = &layout.group {
        return fail(format!("a folder has no column `{group}`; write a table with the paths, and name it instead"));
    }
    if found.files.is_empty() {
        return fail(nothing(kind, &found));
    }
    let direct = found.files.iter().find(|path| class(path).is_none());
    let mut classes: Vec<String> = found.files.iter().filter_map(|path| class(path)).map(str::to_owned).collect();
    classes.dedup();
    if labels_required {
        if let Some(direct) = direct {
            let path = direct.display();
            return fail(format!("{path} lies in no class folder; put each class into a folder of its own"));
        }
        if classes.iter().all(|name| is_split(name))
            && classes.iter().any(|name| name.to_lowercase().starts_with("train"))
        {
            let names = quoted(&classes, 8);
            return fail(format!("holds the splits {names}, not classes; name them with --train and --validation"));
        }
        let unread = without_files(kind, &found, &classes);
        if !unread.is_empty() {
            return fail(unread.join("\n"));
        }
    }
    let labelled = direct.is_none();
    let layout = layout.clone().labels(layout.labels.iter().take(1));
    let mut builder = Builder::new(layout, labels_required)?;
    for path in &found.files {
        let Some(text) = path.to_str() else {
            return fail(format!("{} has a name that is not UTF-8; rename it", path.display()));
        };
        let class = class(path).filter(|_| labelled).map(|class| Cell::Text(class.to_owned()));
        builder.push_file(text.to_owned(), class)?;
    }
    let origin = Origin::Folder { classes: labels_required };
    let rows = builder.finish(folder, folder.to_owned(), origin, Vec::new())?;
    Ok(rows.with_remarks(remarks(kind, folder, &found, &classes)))
}

/// What is wrong with a folder without any file of a kind.
pub(crate) fn nothing(kind: &FileKind, found: &Found) -> String {
    let others = match endings(found.ignored.iter()) {
        none if none.is_empty() => String::new(),
        others => format!(", but {others}"),
    };
    let (kinds, endings) = (kind.plural, kind.endings.join(", "));
    format!("holds no {kinds}{others}; files that end in {endings} are {kinds}")
}

/// What is wrong with folders that hold files but none of the kind.
fn without_files(kind: &FileKind, found: &Found, classes: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for name in found.folders.iter().filter(|name| !classes.contains(*name)) {
        let files = found.ignored.iter().filter(|path| class(path) == Some(name.as_str()));
        let kinds = endings(files);
        if !kinds.is_empty() {
            problems.push(format!(
                "the class folder `{name}` has no {} that can be read, but {kinds}; convert the files to {}, or move the folder \
                 away",
                kind.noun, kind.usual
            ));
        }
    }
    problems
}

fn remarks(kind: &FileKind, folder: &Path, found: &Found, classes: &[String]) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(first) = found.ignored.first() {
        remarks.push(format!(
            "{}: files that are no {} by their names are not read: {} (such as {})",
            folder.display(),
            kind.plural,
            endings(found.ignored.iter()),
            first.display()
        ));
    }
    let is_empty = |name: &&String| {
        !classes.contains(*name) && !found.ignored.iter().any(|path| class(path) == Some(name.as_str()))
    };
    let empty: Vec<String> = found.folders.iter().filter(is_empty).cloned().collect();
    if !empty.is_empty() {
        remarks.push(format!(
            "{}: holds folders without any file, which are no classes: {}",
            folder.display(),
            quoted(&empty, 8)
        ));
    }
    remarks
}

/// Those of some folders whose names say that they hold splits, such as `train-clean-100` and `test`, if they differ.
pub(crate) fn splits_among(folders: &[String]) -> Vec<String> {
    let first = |name: &String| name.to_lowercase().split(['-', '_', '.']).next().unwrap_or("").to_owned();
    let splits: Vec<&String> = folders.iter().filter(|name| is_split(&first(name))).collect();
    let differ = splits.iter().any(|name| first(name) != first(splits[0]));
    if differ { splits.into_iter().cloned().collect() } else { Vec::new() }
}

/// How many files there are of each ending, most first: `4 .heic, 1 without ending`.
fn endings<'a>(files: impl Iterator<Item = &'a PathBuf>) -> String {
    const MOST: usize = 8;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for path in files {
        *counts.entry(ending(path)).or_default() += 1;
    }
    let mut counts: Vec<(usize, String)> = counts.into_iter().map(|(ending, count)| (count, ending)).collect();
    counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let shown = counts.iter().take(MOST).map(|(count, ending)| match ending.as_str() {
        "" => format!("{count} without ending"),
        ending => format!("{count} .{ending}"),
    });
    shown.collect::<Vec<_>>().join(", ") + if counts.len() > MOST { ", …" } else { "" }
}

pub(super) fn ending(path: &Path) -> String {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_ascii_lowercase()
}

/// Refuses a folder of classes where none of a class's files can be used, so that its class would have no example.
///
/// # Errors
/// The classes; a store that cannot be read.
pub(super) fn check_classes(kind: &FileKind, rows: &TableRows, usable: &[bool]) -> Result<(), DataError> {
    if !rows.in_class_folders() || !usable.contains(&true) {
        return Ok(());
    }
    // Whether each class has a file left.
    let mut classes: BTreeMap<String, bool> = BTreeMap::new();
    for (row, &usable) in usable.iter().enumerate() {
        if let Some([Cell::Text(class)]) = rows.label(row)?.as_deref() {
            *classes.entry(class.clone()).or_default() |= usable;
        }
    }
    let lost: Vec<String> = classes.into_iter().filter(|(_, left)| !left).map(|(class, _)| class).collect();
    if lost.is_empty() {
        return Ok(());
    }
    Err(DataError::Columns {
        message: format!(
            "{}: none of the {} of the class folders {} can be used; repair them, or move the folders away",
            rows.file().display(),
            kind.plural,
            quoted(&lost, 8)
        ),
    })
}

/// The first folder of a relative path, if the file lies in one.
fn class(path: &Path) -> Option<&str> {
    let parent = path.parent()?.components().next()?;
    parent.as_os_str().to_str()
}

fn walk(kind: &FileKind, root: &Path, inside: &Path, depth: usize, found: &mut Found) -> Result<(), DataError> {
    let folder = root.join(inside);
    let failed = |source| DataError::Read { file: folder.clone(), source };
    if depth > MOST_DEPTH {
        return Err(DataError::Columns {
            message: format!(
                "{}: more than {MOST_DEPTH} folders inside each other; is it a loop of links?",
                folder.display()
            ),
        });
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name());
    }
    names.sort();
    for name in names {
        let path = inside.join(&name);
        let litter = LITTER.contains(&name.to_string_lossy().to_lowercase().as_str());
        if litter || name.as_encoded_bytes().starts_with(b".") || name == "__MACOSX" {
            continue;
        }
        if root.join(&path).is_dir() {
            if depth == 0 {
                found.folders.extend(name.to_str().map(str::to_owned));
            }
            walk(kind, root, &path, depth + 1, found)?;
            continue;
        }
        let is_one = if ending(&path).is_empty() { kind.holds(&root.join(&path)) } else { kind.has_ending(&path) };
        let list = if is_one { &mut found.files } else { &mut found.ignored };
        list.push(path);
    }
    Ok(())
}
