//! Which format a folder or file of annotations has, and its images as rows.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::raw::{self, RawImage, RawSet};
use super::{BoxConvention, create_ml, hugging_face, splits, voc, yolo};
use crate::image::coco;
use crate::image::image_sets::{self, ImageSet};
use crate::image::rows::{IMAGES, read_images};
use crate::rows::{Builder, Layout, Origin, Records, TableRows};
use crate::table::{Objects, hugging_face_metadata};
use crate::{DataError, OnBadExample};

/// Names of CreateML's file in a folder.
const CREATE_ML: [&str; 2] = ["_annotations.createml.json", "annotations.createml.json"];
/// Folders that annotations may lie in beside images.
const BESIDE: [&str; 4] = ["annotations", "Annotations", "labels", "xmls"];

/// Images, and what a file says of the objects in them.
pub struct ObjectRows {
    pub(super) rows: Arc<TableRows>,
    /// In the order of the rows; `None` where nothing is said.
    pub(super) set: Option<RawSet>,
}

impl ObjectRows {
    /// Images of which nothing is said.
    pub fn bare(rows: Arc<TableRows>) -> Self {
        Self { rows, set: None }
    }

    /// The images.
    pub fn rows(&self) -> &Arc<TableRows> {
        &self.rows
    }
}

/// Reads the rows of a data set, whatever its format; paths in a file of annotations are relative to `image_folder`, else to its
/// own folder; those of a folder to it. A list of Pascal VOC (`ImageSets/Main/train.txt`) gives the images that it names, and
/// what holds several splits is refused with what to name in its place. Without `required` objects need not be said, and are not read where a folder is named.
///
/// # Errors
/// Nothing that says what is in the images; files that cannot be read.
pub fn read_objects(
    path: &Path,
    image_folder: Option<&Path>,
    layout: &Layout,
    column: &str,
    (required, on_bad_example): (bool, OnBadExample),
) -> Result<ObjectRows, DataError> {
    if let Some(list) = ImageSet::at(path)? {
        return of_list(&list, layout, required);
    }
    splits::check_yaml(path)?;
    if !required && (path.is_dir() || IMAGES.has_ending(path)) {
        return Ok(ObjectRows::bare(Arc::new(read_images(path, layout, false, on_bad_example)?)));
    }
    if path.is_dir() {
        return in_folder(path, layout, column);
    }
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        let own = path.parent().unwrap_or(Path::new(""));
        if let Some(set) = of_document(path, image_folder.unwrap_or(own))? {
            return of_set(set, layout);
        }
    }
    let rows = TableRows::read(path, layout, false, if required { OnBadExample::Fail } else { on_bad_example })?;
    if required { of_table(rows, column) } else { Ok(ObjectRows::bare(Arc::new(rows))) }
}

fn is_set(document: &serde_json::Value) -> bool {
    coco::is_coco(document) || create_ml::is_create_ml(document)
}

/// A JSON file of one of the formats; `None` where it is a table.
fn of_document(file: &Path, base: &Path) -> Result<Option<RawSet>, DataError> {
    let document = raw::json(file)?;
    if coco::is_coco(&document) {
        return super::coco::read(file, base, &document).map(Some);
    }
    Ok(create_ml::is_create_ml(&document).then(|| create_ml::read(file, base, &document)))
}

fn in_folder(folder: &Path, layout: &Layout, column: &str) -> Result<ObjectRows, DataError> {
    let named = coco::NAMES.iter().chain(&CREATE_ML).map(|name| folder.join(name)).filter(|file| file.is_file());
    let others =
        BESIDE.iter().map(|name| folder.join(name)).chain([folder.to_owned()]).flat_map(|it| with(&it, "json"));
    let mut read: Option<(PathBuf, RawSet)> = None;
    let mut seen = BTreeSet::new();
    for file in named.chain(others).filter(|file| seen.insert(file.clone())) {
        match &read {
            None => read = of_document(&file, folder)?.map(|set| (file, set)),
            // Others may be anything.
            Some((first, _)) if raw::json(&file).is_ok_and(|document| is_set(&document)) => {
                let message = format!(
                    "{}: holds more than one file of annotations ({}, {}); name one of them, with its --image-folder",
                    folder.display(),
                    first.display(),
                    file.display()
                );
                return Err(DataError::Columns { message });
            }
            Some(_) => {}
        }
    }
    if let Some((_, set)) = read {
        return of_set(set, layout);
    }
    let found = IMAGES.find(folder)?;
    if let Some(rows) = IMAGES.in_table(folder, &found, layout, false, OnBadExample::Fail)? {
        return of_table(rows, column);
    }
    let images = image_sets::photographs(found.files);
    for (ending, read) in [("xml", xml as fn(&Path, &Files<'_>) -> Result<RawSet, DataError>), ("txt", lines)] {
        let files: BTreeMap<String, PathBuf> = BESIDE
            .iter()
            .map(|name| folder.join(name))
            .chain([folder.to_owned(), folder.join("images")])
            .chain(sibling(folder))
            .flat_map(|beside| with(&beside, ending))
            .filter_map(|file| Some((file.file_stem()?.to_str()?.to_owned(), file)))
            .collect();
        if files.keys().any(|name| !yolo::is_no_label(name)) {
            image_sets::check_whole(folder, image_sets::OBJECTS, &images)?;
            return of_set(read(folder, &Files { images: &images, annotations: files })?, layout);
        }
    }
    splits::check_folder(folder)?;
    Err(DataError::Columns {
        message: format!(
            "{}: nothing says what is in the images: no {}, no metadata.jsonl with `{column}`, no Pascal VOC (.xml) and no YOLO \
             (.txt) files beside them; name a file with its --image-folder instead",
            folder.display(),
            coco::NAMES[..2].join(" or ")
        ),
    })
}

/// The images that a list of Pascal VOC names.
fn of_list(list: &ImageSet, layout: &Layout, required: bool) -> Result<ObjectRows, DataError> {
    let root = list.root.as_path();
    let (images, problems) = list.choose(&image_sets::photographs(IMAGES.find(root)?.files));
    if images.is_empty() || (!required && !problems.is_empty()) {
        return Err(DataError::Columns { message: problems.join("\n") });
    }
    let stems: HashSet<&OsStr> = images.iter().filter_map(|path| path.file_stem()).collect();
    let all = with(&root.join("Annotations"), "xml").into_iter();
    let stem = |file: PathBuf| Some((file.file_stem()?.to_str()?.to_owned(), file));
    let annotations = all.filter(|file| file.file_stem().is_some_and(|stem| stems.contains(stem))).filter_map(stem);
    let mut set = if required {
        xml(root, &Files { images: &images, annotations: annotations.collect() })?
    } else {
        bare(root, &images)?
    };
    set.problems.extend(problems);
    let rows = of_set(set, layout)?;
    Ok(if required { rows } else { ObjectRows::bare(rows.rows) })
}

/// Images without anything that is said of them.
fn bare(root: &Path, images: &[PathBuf]) -> Result<RawSet, DataError> {
    let mut set = voc::set(root);
    Files { images, annotations: BTreeMap::new() }.each(|path, _| {
        set.images.push(RawImage { path, ..RawImage::default() });
        Ok(())
    })?;
    Ok(set)
}

/// `labels/train` of `images/train`, and `labels` of `images`.
fn sibling(folder: &Path) -> Option<PathBuf> {
    let (name, parent) = (folder.file_name()?, folder.parent()?);
    if name == "images" {
        return Some(parent.join("labels"));
    }
    (parent.file_name()? == "images").then(|| parent.with_file_name("labels").join(name))
}

/// Files of a folder with this ending, in order.
fn with(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|it| it.eq_ignore_ascii_case(ending)) && path.is_file())
        .collect();
    files.sort();
    files
}

/// Images of a folder, relative to it, and annotations by the stems of their names.
struct Files<'a> {
    images: &'a [PathBuf],
    annotations: BTreeMap<String, PathBuf>,
}

impl Files<'_> {
    /// Calls for each image with its file of annotations; returns files without an image.
    fn each(
        &self,
        mut image: impl FnMut(String, Option<&Path>) -> Result<(), DataError>,
    ) -> Result<Vec<&PathBuf>, DataError> {
        let mut unused = self.annotations.clone();
        for path in self.images {
            let (Some(text), Some(stem)) = (path.to_str(), path.file_stem().and_then(|stem| stem.to_str())) else {
                let message = format!("{} has a name that is not UTF-8; rename it", path.display());
                return Err(DataError::Columns { message });
            };
            unused.remove(stem);
            image(text.to_owned(), self.annotations.get(stem).map(PathBuf::as_path))?;
        }
        Ok(self.annotations.iter().filter(|(stem, _)| unused.contains_key(*stem)).map(|(_, file)| file).collect())
    }
}

fn xml(folder: &Path, files: &Files<'_>) -> Result<RawSet, DataError> {
    let mut set = voc::set(folder);
    let unused = files.each(|path, file| match file {
        Some(file) => voc::read_into(&mut set, file, path),
        None => {
            let problems =
                vec!["has no XML file of the same name; add one, without `object` if there is none".to_owned()];
            set.images.push(RawImage { path, problems, ..RawImage::default() });
            Ok(())
        }
    })?;
    without_image(&mut set, &unused);
    Ok(set)
}

fn lines(folder: &Path, files: &Files<'_>) -> Result<RawSet, DataError> {
    let mut set = yolo::set(folder);
    let list = yolo::list(folder).ok_or_else(|| DataError::Columns {
        message: format!(
            "{}: the classes of YOLO files have no names; add a data.yaml or classes.txt",
            folder.display()
        ),
    })?;
    set.classes = yolo::names(&list)?;
    let unused = files.each(|path, file| yolo::read_into(&mut set, file, path))?;
    let is_label = |file: &&PathBuf| !file.file_stem().and_then(|stem| stem.to_str()).is_some_and(yolo::is_no_label);
    let unused: Vec<&PathBuf> = unused.into_iter().filter(is_label).collect();
    without_image(&mut set, &unused);
    Ok(set)
}

fn without_image(set: &mut RawSet, unused: &[&PathBuf]) {
    for file in unused {
        set.problems.push(format!("{}: there is no image of the same name", file.display()));
    }
}

/// Rows of a set, in its order.
fn of_set(set: RawSet, layout: &Layout) -> Result<ObjectRows, DataError> {
    if let Some(group) = &layout.group {
        let message = format!(
            "{}: has no column `{group}`; write a table with the paths and `objects`, and name it instead",
            set.file.display()
        );
        return Err(DataError::Columns { message });
    }
    if set.images.is_empty() {
        return Err(DataError::Empty { file: set.file, header: false });
    }
    let mut builder = Builder::new(layout.clone(), false)?;
    for image in &set.images {
        builder.push_file(image.path.clone(), None)?;
    }
    let rows = builder.finish(&set.file, set.base.clone(), Origin::Folder { classes: false }, Vec::new())?;
    let rows = Arc::new(rows.with_remarks(set.remarks.clone()));
    Ok(ObjectRows { rows, set: Some(set) })
}

/// Objects of a table's column.
fn of_table(rows: TableRows, column: &str) -> Result<ObjectRows, DataError> {
    let file = rows.file().to_owned();
    let mut set = RawSet::new(&file, &file, BoxConvention::Sides);
    let mut reader = Objects::open(&file, &[column])?;
    if !reader.has(column) {
        let present = reader.columns().to_vec();
        return Err(DataError::MissingColumn {
            file,
            column: column.to_owned(),
            flag: "--objects-column",
            present,
            headerless: false,
        });
    }
    let parquet = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"));
    let metadata = if parquet { hugging_face_metadata(&file)? } else { None };
    set.classes = metadata.map(|metadata| hugging_face::class_names(&metadata, column)).unwrap_or_default();
    if let Some(list) = yolo::list(file.parent().unwrap_or(Path::new(""))).filter(|_| set.classes.is_empty()) {
        set.classes = yolo::names(&list)?;
    }
    while let Some(next) = reader.next() {
        let (line, object) =
            next?.map_err(|problem| DataError::Rows { file: file.clone(), problems: vec![problem], stopped: true })?;
        let mut image = RawImage::default();
        match hugging_face::objects(object.get(column).unwrap_or(&serde_json::Value::Null), &set.classes) {
            Ok(objects) => image.objects = objects,
            Err(problem) => image.problems.push(format!("{}:{line}: {problem}", file.display())),
        }
        set.images.push(image);
    }
    if set.images.len() != rows.len() {
        let message = format!("has {} rows with `{column}` and {} with an image", set.images.len(), rows.len());
        return Err(DataError::Schema { file, message });
    }
    Ok(ObjectRows { rows: Arc::new(rows), set: Some(set) })
}

#[cfg(test)]
mod tests;
