//! Pascal VOC's lists of the images of a split: `ImageSets/Main/train.txt` names those with boxes line by line, without their
//! endings, `ImageSets/Segmentation/train.txt` those with masks.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::DataError;
use crate::error::shortened;
use crate::files::{Named, refusal};
use crate::problems::Problems;

const FOLDER: &str = "ImageSets";
/// The folder of images of such a data set; others hold masks of the same names.
pub(super) const PHOTOGRAPHS: &str = "JPEGImages";
/// The lists of images with boxes, and those of images with masks.
pub(super) const OBJECTS: &str = "Main";
pub(super) const MASKS: &str = "Segmentation";
/// Lists of splits, and the flags that they belong to.
const SPLITS: [(&str, &str); 4] =
    [("--train", "train.txt"), ("--train", "trainval.txt"), ("--validation", "val.txt"), ("--test", "test.txt")];

/// The images of one list.
pub(super) struct ImageSet {
    file: PathBuf,
    /// The folder of the whole data set.
    pub(super) root: PathBuf,
    names: Vec<(u64, String)>,
}

impl ImageSet {
    /// The list at a path, where it is one.
    ///
    /// # Errors
    /// It cannot be read, or has more than names.
    pub(super) fn at(file: &Path) -> Result<Option<Self>, DataError> {
        let is_list = file.extension().is_some_and(|ending| ending == "txt") && file.is_file();
        let folder = file.ancestors().skip(1).find(|folder| folder.file_name().is_some_and(|name| name == FOLDER));
        let Some(folder) = folder.filter(|_| is_list) else { return Ok(None) };
        let mut problems = Problems::new(file);
        let mut names = Vec::new();
        let content =
            std::fs::read_to_string(file).map_err(|source| DataError::Read { file: file.to_owned(), source })?;
        for (line, row) in (1..).zip(content.lines()) {
            match row.split_whitespace().collect::<Vec<_>>().as_slice() {
                [] => {}
                [name] => names.push((line, (*name).to_owned())),
                _ => {
                    let said =
                        "has more than the name of an image; the list of one class is no split, name one that is";
                    problems.push(crate::RowProblem::new(line, None, format!("`{}` {said}", shortened(row))))?;
                }
            }
        }
        problems.finish()?;
        if names.is_empty() {
            return Err(DataError::Empty { file: file.to_owned(), header: false });
        }
        Ok(Some(Self { file: file.to_owned(), root: folder.parent().unwrap_or(Path::new("")).to_owned(), names }))
    }

    /// Those of these images that it names, and what is wrong with the names of others.
    pub(super) fn choose(&self, images: &[PathBuf]) -> (Vec<PathBuf>, Vec<String>) {
        let named: HashSet<&str> = self.names.iter().map(|(_, name)| plain(name)).collect();
        let of = |path: &PathBuf| spellings(path).any(|name| named.contains(name));
        let chosen: Vec<PathBuf> = images.iter().filter(|path| of(path)).cloned().collect();
        let found: HashSet<&str> = chosen.iter().flat_map(|path| spellings(path)).collect();
        let lost = self.names.iter().filter(|(_, name)| !found.contains(plain(name)));
        let problem = |(line, name): &(u64, String)| {
            format!(
                "{}:{line}: there is no image `{}` in {}",
                self.file.display(),
                shortened(name),
                self.root.display()
            )
        };
        let problems = lost.map(problem).collect();
        (chosen, problems)
    }
}

/// A name without the folders that some tools write.
fn plain(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// How a list may name an image: without its ending, or with it, as some tools do.
fn spellings(path: &Path) -> impl Iterator<Item = &str> {
    [path.file_stem(), path.file_name()].into_iter().flatten().filter_map(|name| name.to_str())
}

/// The images of a folder, without masks of the same names where it is Pascal VOC's.
pub(super) fn photographs(files: Vec<PathBuf>) -> Vec<PathBuf> {
    let inside: Vec<PathBuf> = files.iter().filter(|path| path.starts_with(PHOTOGRAPHS)).cloned().collect();
    if inside.is_empty() { files } else { inside }
}

/// Refuses a whole data set with lists of its splits, any of which leaves images out: what is kept for a test would be learnt.
///
/// # Errors
/// There are such lists; one that cannot be read.
pub(super) fn check_whole(folder: &Path, lists: &str, images: &[PathBuf]) -> Result<(), DataError> {
    let (mut named, mut leaves_out) = (Named::new(), false);
    for (flag, name) in SPLITS {
        let Some(list) = ImageSet::at(&folder.join(FOLDER).join(lists).join(name))? else { continue };
        leaves_out |= list.choose(images).0.len() < images.len();
        if !named.iter().any(|(other, _)| *other == flag) {
            named.push((flag, list.file));
        }
    }
    if leaves_out { Err(refusal(folder, "has lists of the images of each split", &named)) } else { Ok(()) }
}
