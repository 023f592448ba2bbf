//! Settings that the method, the task or the model of a recipe cannot honour: refused, because whoever gave them
//! expects them to do something.

use crate::method::Method;
use crate::{Recipe, task};
use std::path::Path;

/// One line each.
pub(crate) fn misplaced(recipe: &Recipe) -> Vec<String> {
    let usual = Recipe::default();
    let images = task::takes_images(&recipe.task);
    let whole = Method::parse(&recipe.method).is_ok_and(|method| method != Method::Lora);
    let for_lora = format!("only --method lora has adapters, not `{}`", recipe.method);
    let for_images = format!("{} has no images", recipe.task);
    let for_texts = format!("{} has no texts", recipe.task);
    let folder = format!("{} is a folder; only a hub id has revisions", recipe.model);
    [
        ("lora-rank", whole && recipe.lora_rank != usual.lora_rank, &for_lora),
        ("lora-alpha", whole && recipe.lora_alpha != usual.lora_alpha, &for_lora),
        ("lora-dropout", whole && recipe.lora_dropout != usual.lora_dropout, &for_lora),
        ("lora-targets", whole && recipe.lora_targets != usual.lora_targets, &for_lora),
        ("image-size", images == Some(false) && recipe.image_size.is_some(), &for_images),
        ("augmentation", images == Some(false) && recipe.augmentation != usual.augmentation, &for_images),
        ("max-length", images == Some(true) && recipe.max_length.is_some(), &for_texts),
        ("batch-by", images == Some(true) && recipe.batch_by != usual.batch_by, &for_texts),
        ("text-pair-column", images == Some(true) && recipe.text_pair_column.is_some(), &for_texts),
        ("revision", recipe.revision.is_some() && Path::new(&recipe.model).is_dir(), &folder),
    ]
    .into_iter()
    .filter(|(_, given, _)| *given)
    .map(|(name, _, why)| format!("{name}: {why}"))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_reads_is_refused() {
        let text = Recipe {
            lora_rank: 4,
            lora_targets: vec!["query".into()],
            image_size: Some(64),
            augmentation: "strong".into(),
            model: env!("CARGO_MANIFEST_DIR").into(),
            revision: Some("main".into()),
            ..Recipe::default()
        };
        let names = |recipe: &Recipe| {
            let lines = misplaced(recipe).into_iter();
            lines.map(|line| line.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&text), ["lora-rank", "lora-targets", "image-size", "augmentation", "revision"]);
        let fits = Recipe { method: "lora".into(), model: "org/name".into(), ..text };
        assert_eq!(names(&fits), ["image-size", "augmentation"]);
        let images = task::TASKS.iter().find(|task| task::takes_images(task) == Some(true)).unwrap();
        let images = Recipe { task: (*images).into(), max_length: Some(64), ..fits };
        assert_eq!(names(&images), ["max-length"]);
        assert!(misplaced(&Recipe::default()).is_empty());
    }
}
