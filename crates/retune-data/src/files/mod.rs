//! The rows of a data set of files, whatever their kind: tables of paths or bytes, and folders.

mod folder;
mod metadata;
mod splits;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

pub(crate) use folder::{Found, nothing, splits_among};
pub(crate) use splits::{Named, SPLITS, refusal};

use crate::rows::{Builder, Layout, Origin, Records, TableRows};
use crate::table::Cell;
use crate::{DataError, OnBadExample};

/// The largest file that is read.
const MOST_FILE_BYTES: u64 = 1 << 30;

/// A kind of files.
pub(crate) struct FileKind {
    /// What one is called: `image`.
    pub(crate) noun: &'static str,
    /// What several are called.
    pub(crate) plural: &'static str,
    /// Endings of their names, in lower case.
    pub(crate) endings: &'static [&'static str],
    /// What others should be converted to.
    pub(crate) usual: &'static str,
    /// What to do where one is too large.
    pub(crate) smaller: &'static str,
    /// Folders that the files may lie in beside a table of their bare names, as Common Voice has them.
    pub(crate) folders: &'static [&'static str],
    /// Bytes from which [`FileKind::is_readable`] can tell.
    pub(crate) head: usize,
    /// Whether a file that begins so is one of them.
    pub(crate) is_readable: fn(&[u8]) -> bool,
}

impl FileKind {
    /// A path or the content of a file.
    ///
    /// # Errors
    /// Why the cell is neither, as a phrase that follows its place.
    pub(crate) fn cell(&self, cell: Cell) -> Result<Cell, String> {
        let article = if self.noun.starts_with(['a', 'i']) { "an" } else { "a" };
        let empty = || "is empty; fill it in or remove the row".to_owned();
        let not = |what: &str| format!("is {what}, not a path or the bytes of {article} {}", self.noun);
        match cell {
            Cell::Text(path) if path.trim().is_empty() => Err(empty()),
            Cell::Text(path) if path.contains("://") => {
                Err(format!("is an address; fetch the {} and give its path", self.noun))
            }
            Cell::Text(path) => Ok(Cell::Text(path.trim().to_owned())),
            Cell::File { bytes, .. } if bytes.is_empty() => Err(empty()),
            Cell::File { name, bytes } => Ok(Cell::File { name, bytes }),
            Cell::Null => Err(empty()),
            Cell::List(_) => Err(not("a list")),
            Cell::Other(what) => Err(not(what)),
            _ => Err(not("a number")),
        }
    }

    /// Reads the rows of a table as [`TableRows::read`] does, or of a folder: `FOLDER/class/…/file` gives labelled rows in the
    /// order of their paths, files directly in the folder give rows without labels, `FOLDER/metadata.csv` (`.jsonl`,
    /// `.parquet`) gives the rows of that table. The files themselves are read later.
    ///
    /// # Errors
    /// As [`TableRows::read`]; an unreadable folder.
    pub(crate) fn read(
        &self,
        path: &Path,
        layout: &Layout,
        labels_required: bool,
        on_bad_example: OnBadExample,
    ) -> Result<TableRows, DataError> {
        if path.is_dir() {
            return folder::read(self, path, layout, labels_required, on_bad_example);
        }
        if self.has_ending(path) && path.is_file() {
            return self.alone(path, layout, labels_required);
        }
        self.beside(TableRows::read(path, layout, labels_required, on_bad_example)?)
    }

    /// Whether a file is one of them by the ending of its name.
    pub(crate) fn has_ending(&self, path: &Path) -> bool {
        self.endings.contains(&folder::ending(path).as_str())
    }

    /// The row of one file that is named itself.
    fn alone(&self, path: &Path, layout: &Layout, labels_required: bool) -> Result<TableRows, DataError> {
        let fail = |message: String| Err(DataError::Columns { message: format!("{}: {message}", path.display()) });
        if labels_required {
            let (noun, label) = (self.noun, layout.label_kind.noun);
            return fail(format!(
                "is one {noun}, of which no {label} is known; name a folder, or a table with its path"
            ));
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return fail("has a name that is not UTF-8; rename it".to_owned());
        };
        let layout = Layout { group: None, part: [None, None], choice: None, ..layout.clone() };
        let mut builder = Builder::new(layout, false)?;
        builder.push_file(name.to_owned(), None)?;
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        builder.finish(path, base, Origin::Folder { classes: false }, Vec::new())
    }

    /// Rows of a table whose files are looked for in a folder beside it, where none of its first is where it points and some
    /// are there. Masks have a folder of their own, so that tables with them must say more than names.
    pub(super) fn beside(&self, rows: TableRows) -> Result<TableRows, DataError> {
        const FIRST: usize = 16;
        if rows.layout().label_kind.files {
            return Ok(rows);
        }
        let mut paths = Vec::new();
        for row in 0..rows.len().min(FIRST) {
            if let Some(Cell::Text(path)) = rows.inputs(row)?.pop() {
                paths.push(path);
            }
        }
        let any_in = |folder: &Path| paths.iter().any(|path| self.with_ending(folder.join(path)).exists());
        let own = rows.path_of("");
        if paths.is_empty() || any_in(&own) {
            return Ok(rows);
        }
        let Some(name) = self.folders.iter().find(|name| any_in(&own.join(name))) else { return Ok(rows) };
        let remark = format!("{}: its {} lie in the folder `{name}` beside it", rows.file().display(), self.plural);
        Ok(rows.with_base(own.join(name)).with_remarks([remark]))
    }

    /// What a folder and all folders inside hold.
    ///
    /// # Errors
    /// An unreadable folder.
    pub(crate) fn find(&self, folder: &Path) -> Result<Found, DataError> {
        folder::find(self, folder)
    }

    /// The rows of the table beside files that were found, where there is one.
    ///
    /// # Errors
    /// As [`TableRows::read`]; several tables.
    pub(crate) fn in_table(
        &self,
        folder: &Path,
        found: &Found,
        layout: &Layout,
        labels_required: bool,
        on_bad_example: OnBadExample,
    ) -> Result<Option<TableRows>, DataError> {
        folder::in_table(self, folder, found, layout, labels_required, on_bad_example)
    }

    /// A file that a table names, and its bytes or why they cannot be read.
    pub(crate) fn named(&self, rows: &TableRows, path: &str) -> (PathBuf, Result<Vec<u8>, String>) {
        let path = self.with_ending(rows.path_of(path.trim()));
        let bytes = self.read_file(&path);
        (path, bytes)
    }

    /// The bytes of a row's file, or why they cannot be read.
    pub(crate) fn bytes(&self, rows: &TableRows, row: usize) -> Result<Result<Vec<u8>, String>, DataError> {
        Ok(match rows.inputs(row)?.pop() {
            Some(Cell::Text(path)) => self.read_file(&self.with_ending(rows.path_of(&path))),
            Some(Cell::File { bytes, .. }) => Ok(bytes),
            _ => Err("is empty; fill it in or remove the row".to_owned()),
        })
    }

    /// Refuses class folders none of whose files can be used; see `folder`.
    ///
    /// # Errors
    /// The folders; a store that cannot be read.
    pub(crate) fn check_classes(&self, rows: &TableRows, usable: &[bool]) -> Result<(), DataError> {
        folder::check_classes(self, rows, usable)
    }

    /// The path, or the one file of that name with an ending of the kind where tables name files without it.
    fn with_ending(&self, path: PathBuf) -> PathBuf {
        if path.exists() {
            return path;
        }
        let Some(name) = path.file_name() else { return path };
        let endings = self.endings.iter().flat_map(|ending| [(*ending).to_owned(), ending.to_uppercase()]);
        let mut found: Vec<PathBuf> = Vec::new();
        for ending in endings {
            let mut whole = name.to_owned();
            whole.push(format!(".{ending}"));
            let whole = path.with_file_name(whole);
            if whole.is_file() {
                found.push(whole);
            }
        }
        // Of several nobody knows which; a file system that ignores case finds one twice.
        let same = |other: &PathBuf| other.as_os_str().eq_ignore_ascii_case(found[0].as_os_str());
        if !found.is_empty() && found.iter().all(same) { found.swap_remove(0) } else { path }
    }

    /// The bytes of a file, or why they cannot be read.
    pub(crate) fn read_file(&self, path: &Path) -> Result<Vec<u8>, String> {
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => format!(
                "there is no such file; correct the path (it is relative to the table, or to a folder {} beside it)",
                self.folders.join(" or ")
            ),
            _ => format!("cannot be read: {error}"),
        };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        if length > MOST_FILE_BYTES {
            return Err(format!(
                "is a file of {length} bytes, more than the {MOST_FILE_BYTES} allowed; {}",
                self.smaller
            ));
        }
        let mut bytes = Vec::with_capacity(length as usize);
        file.take(MOST_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    /// Whether a file is one of them by its content; one that cannot be read is none.
    fn holds(&self, path: &Path) -> bool {
        let mut head = Vec::new();
        let read = File::open(path).and_then(|file| file.take(self.head as u64).read_to_end(&mut head));
        read.is_ok() && (self.is_readable)(&head)
    }
}

/// The table that the rows at a path come from, if they come from one.
pub(crate) fn table_of(path: &Path) -> Option<PathBuf> {
    if !path.is_dir() {
        return Some(path.to_owned());
    }
    metadata::NAMES.iter().map(|name| path.join(name)).find(|table| table.is_file())
}
