//! Images with masks: everything that is wrong with either is told together, before anything is computed.

use super::settings::SegmentationSettings;
use crate::task::images::{ClassesOf, ImagesInput};
use anyhow::{Context, Result, anyhow};
use retune_data::{Examples, Images, MaskClasses, MaskReading, Masks, RawMasks, Records, TableRows};
use std::sync::Arc;

/// Puts images and masks of rows together.
///
/// # Errors
/// Images or masks that cannot be used, all of them together, unless they are to be left out; classes that cannot be understood.
pub(super) fn examples(
    input: &ImagesInput,
    settings: &SegmentationSettings,
    (rows, mut images): (Arc<TableRows>, Images),
    classes: &ClassesOf<'_>,
    progress: &dyn Fn(usize, usize),
) -> Result<Examples<Images, Masks>> {
    let file = rows.file().to_owned();
    let (list, palette) = settings.lists(&rows)?;
    let (raw, bad) = RawMasks::read(&rows, &images, palette.as_ref(), progress)?;
    let reading = MaskReading { soft: raw.is_soft(), ..settings.reading(input.reduces_labels()) };
    images.leave_out(bad);
    let present = raw.present();
    let chosen =
        match classes {
            // Without one mask that can be read there is nothing to choose from; what is wrong with them is told instead.
            _ if !present.contains(&true) => Err("no mask can be read".to_owned()),
            ClassesOf::Model(names) => MaskClasses::of(names.to_vec(), &present, list.as_ref(), &reading),
            ClassesOf::Data(config) => MaskClasses::choose(&present, list.as_ref(), &reading).and_then(|chosen| {
                match config.in_label_order(chosen.names()).filter(|ordered| ordered != chosen.names()) {
                    Some(ordered) => MaskClasses::of(ordered, &present, list.as_ref(), &reading),
                    None => Ok(chosen),
                }
            }),
        };
    if let Ok(chosen) = &chosen {
        images.leave_out(raw.unknown(&rows, chosen)?);
    }
    if let Some(error) = input.refusal(&images) {
        return Err(error.into());
    }
    let chosen = chosen.map_err(|problem| anyhow!(problem)).with_context(|| file.display().to_string())?;
    Ok(Examples::new(rows, images, Some(Masks::new(raw, chosen)))?)
}
