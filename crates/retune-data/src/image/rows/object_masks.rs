//! Images that have a folder of their own each, with a mask for each object: `ID/images/ID.png` and `ID/masks/*.png`, as the Data
//! Science Bowl 2018 has them. The masks of an image are joined, since classes of pixels do not tell objects apart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::DataError;
use crate::files::Found;
use crate::rows::{Builder, Layout, Origin, TableRows};
use crate::table::Cell;

/// The rows of such a folder, each of which names the folder of its masks; `None` where it is another.
pub(super) fn read(
    folder: &Path,
    found: &Found,
    layout: &Layout,
    required: bool,
) -> Result<Option<TableRows>, DataError> {
    let (mut pictures, mut with_masks) = (BTreeMap::new(), BTreeSet::new());
    for path in &found.files {
        let parts: Option<Vec<&str>> = path.iter().map(std::ffi::OsStr::to_str).collect();
        match parts.as_deref() {
            // Of several images nobody knows which the masks are of.
            Some([id, "images", _]) if pictures.insert((*id).to_owned(), path).is_none() => {}
            Some([id, "masks", _]) => drop(with_masks.insert((*id).to_owned())),
            _ => return Ok(None),
        }
    }
    if pictures.is_empty() || (required && with_masks.is_empty()) {
        return Ok(None);
    }
    let mut builder = Builder::new(layout.clone(), required)?;
    for (id, path) in &pictures {
        // An empty folder says that there is no object.
        let masks = PathBuf::from(id).join("masks");
        let masks = (with_masks.contains(id) || folder.join(&masks).is_dir()).then_some(masks);
        let text = |path: &Path| path.to_str().map(str::to_owned);
        builder.push_file(text(path).unwrap_or_default(), masks.as_deref().and_then(text).map(Cell::Text))?;
    }
    let rows = builder.finish(folder, folder.to_owned(), Origin::Folder { classes: false }, Vec::new())?;
    let joined = format!("{}: the masks of all objects of an image are joined into one", folder.display());
    Ok(Some(rows.with_remarks((!with_masks.is_empty()).then_some(joined))))
}
