//! Images with objects: everything that is wrong with either is told together, before anything is computed.

use super::settings::DetectionSettings;
use crate::task::images::{ClassesOf, ImagesInput};
use anyhow::{Result, anyhow, ensure};
use retune_data::{Boxes, CheckedBoxes, Examples, Images, ObjectRows, Records};
use std::sync::Arc;

/// Puts images and objects of rows together.
///
/// # Errors
/// Images or objects that cannot be used, all of them together, unless they are to be left out; data without a class.
pub(super) fn examples(
    input: &ImagesInput,
    settings: &DetectionSettings,
    (rows, mut images): (&ObjectRows, Images),
    classes: &ClassesOf<'_>,
) -> Result<(Examples<Images, Boxes>, Vec<String>)> {
    let file = rows.rows().file().display().to_string();
    let checked = CheckedBoxes::of(rows, &images, settings.convention()?)?;
    let names = match classes {
        ClassesOf::Model(names) => names.to_vec(),
        ClassesOf::Data(config) => {
            let names = checked.classes().to_vec();
            ensure!(!names.is_empty(), "{file}: names no class and has no object; there is nothing to learn");
            config.in_label_order(&names).unwrap_or(names)
        }
    };
    let stray = checked.stray().to_vec();
    let (boxes, bad) = checked.into_boxes(rows, names)?;
    images.leave_out(bad);
    if let Some(error) = input.refusal(&images) {
        return Err(if stray.is_empty() { error.into() } else { anyhow!("{}\n{error}", stray.join("\n")) });
    }
    ensure!(!input.refuses(&images) || stray.is_empty(), "{}", stray.join("\n"));
    let notes = stray.into_iter().map(|problem| format!("{problem}; it is left out")).collect();
    Ok((Examples::new(Arc::clone(rows.rows()) as _, images, Some(boxes))?, notes))
}
