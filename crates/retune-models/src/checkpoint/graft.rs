//! A detector's folder with the convolutions of an image classifier inside: transformers' `ResNetForImageClassification`, or a ResNet
//! of timm's, whose names torchvision has too.

use super::{CheckpointFolder, read_json, write_json, write_tensors};
use crate::family::with;
use crate::layers::ResNetSizes;
use crate::{ModelConfig, ModelError, registry};
use serde_json::{Value, json};
use std::path::Path;

/// What pixels are normalised by where no file says it: those of ImageNet.
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];
/// How images are prepared.
const PROCESSOR: &str = "preprocessor_config.json";

/// What came of it.
#[derive(Debug)]
pub struct Grafted {
    /// Where the convolutions stand in the detector.
    pub path: &'static str,
    /// Their tensors.
    pub taken: usize,
    /// Those of the classifier that the detector has no place for, its head.
    pub left: Vec<String>,
    /// Whether the detector brings weights of its own for all else.
    pub whole: bool,
}

/// Writes the folder: the detector's configuration and weights, where it has any, but for its convolutions.
///
/// # Errors
/// A detector without a ResNet inside, a classifier that is none, files that cannot be read or written.
pub fn graft(detector: &Path, classifier: &Path, into: &Path) -> Result<Grafted, ModelError> {
    let mut config = CheckpointFolder::config(detector)?;
    let backbone = backbone_of(classifier)?;
    let family = registry::family(&config)?;
    let path = family.graft(&mut config, &backbone).unwrap_or_else(|| {
        let problem =
            format!("is `{}`, which has no ResNet inside that could start from another's", family.model_type());
        Err(ModelError::of_field("model_type", problem))
    })?;
    let checkpoint = CheckpointFolder::open(classifier)?;
    let (mut tensors, mut left) = (Vec::new(), Vec::new());
    for name in checkpoint.names() {
        match inside(name) {
            Some(inside) => tensors.push((format!("{path}.{inside}"), checkpoint.read(name)?)),
            None => left.push(name.to_owned()),
        }
    }
    let taken = tensors.len();
    let whole = has_weights(detector);
    if whole {
        let own = CheckpointFolder::open(detector)?;
        for name in own.names().filter(|name| !name.starts_with("model.backbone.")) {
            tensors.push((name.to_owned(), own.read(name)?));
        }
    }
    write_json(&into.join("config.json"), config.as_map())?;
    write_tensors(&into.join("model.safetensors"), &tensors)?;
    let processor = detector.join(PROCESSOR);
    let own = if processor.is_file() { read_json(&processor)? } else { Value::Null };
    // What it leaves open is so that its convolutions see what they saw as a classifier's, unless its own have learnt to see.
    let usual = if whole && !own.is_null() { json!({}) } else { normalised(family.class(), classifier)? };
    let processor = with(usual, own);
    write_json(&into.join(PROCESSOR), processor.as_object().unwrap_or(&serde_json::Map::new()))?;
    Ok(Grafted { path, taken, left, whole })
}

/// Whether a folder has weights, readable or not.
fn has_weights(folder: &Path) -> bool {
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"]
        .iter()
        .any(|name| folder.join(name).is_file())
}

/// The configuration of a classifier, as that of a ResNet.
fn backbone_of(classifier: &Path) -> Result<ModelConfig, ModelError> {
    let path = classifier.join("config.json");
    let mut config = ModelConfig::part(read_json(&path)?)?;
    if config.get("model_type").and_then(Value::as_str) == Some("resnet") {
        let labels = ["id2label", "label2id", "num_labels", "problem_type", "architectures", "transformers_version"];
        labels.iter().for_each(|field| config.remove(field));
        return Ok(config);
    }
    let named = config.get("architecture").and_then(Value::as_str);
    let Some(sizes) = named.and_then(ResNetSizes::named) else {
        let kind = named.or(config.get("model_type").and_then(Value::as_str)).unwrap_or("of no type");
        let problem =
            format!("is of {kind}; a backbone is a ResNet of transformers', or timm's resnet18, 34, 50, 101 or 152");
        return Err(ModelError::file(path, problem));
    };
    ModelConfig::part(json!({
        "model_type": "resnet",
        "num_channels": config.get("pretrained_cfg").and_then(|it| it["input_size"][0].as_i64()).unwrap_or(3),
        "embedding_size": sizes.embedding,
        "hidden_sizes": sizes.widths,
        "depths": sizes.depths,
        "layer_type": if sizes.bottleneck { "bottleneck" } else { "basic" },
        "hidden_act": "relu",
    }))
}

/// The name that a classifier's tensor has in a `ResNetBackbone`; `None`: it is not among the convolutions.
fn inside(name: &str) -> Option<String> {
    let name = name.strip_prefix("resnet.").or_else(|| name.strip_prefix("timm_model.")).unwrap_or(name);
    if name.starts_with("embedder.") || name.starts_with("encoder.") {
        return Some(name.to_owned());
    }
    let kind = |name: &str| if name.starts_with("conv") { "convolution" } else { "normalization" };
    let parts: Vec<&str> = name.split('.').collect();
    let number = |text: &str, before: &str| text.strip_prefix(before)?.parse::<usize>().ok()?.checked_sub(1);
    match parts[..] {
        [part @ ("conv1" | "bn1"), last] => Some(format!("embedder.embedder.{}.{last}", kind(part))),
        [stage, layer, "downsample", place @ ("0" | "1"), last] => {
            let part = if place == "0" { "convolution" } else { "normalization" };
            Some(format!("encoder.stages.{}.layers.{layer}.shortcut.{part}.{last}", number(stage, "layer")?))
        }
        [stage, layer, part, last] => {
            let (stage, place) = (number(stage, "layer")?, number(part, "conv").or_else(|| number(part, "bn"))?);
            Some(format!("encoder.stages.{stage}.layers.{layer}.layer.{place}.{}.{last}", kind(part)))
        }
        _ => None,
    }
}

/// A processor of the detector's class that normalises as the classifier's.
fn normalised(class: &str, classifier: &Path) -> Result<Value, ModelError> {
    let own = classifier.join(PROCESSOR);
    let own = if own.is_file() { read_json(&own)? } else { Value::Null };
    let timm = read_json(&classifier.join("config.json"))?["pretrained_cfg"].clone();
    let said = |ours: &str, theirs: &str, usual: [f64; 3]| {
        [&own[ours], &timm[theirs]].into_iter().find(|it| it.is_array()).cloned().unwrap_or_else(|| json!(usual))
    };
    Ok(json!({
        // The second version has the first one's.
        "image_processor_type": format!("{}ImageProcessor", class.trim_end_matches("V2")),
        "do_normalize": true,
        "image_mean": said("image_mean", "mean", MEAN),
        "image_std": said("image_std", "std", DEVIATION),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_librarys_names_are_understood() {
        for (name, expected) in [
            (
                "resnet.encoder.stages.0.layers.1.layer.2.convolution.weight",
                Some("encoder.stages.0.layers.1.layer.2.convolution.weight"),
            ),
            ("conv1.weight", Some("embedder.embedder.convolution.weight")),
            ("bn1.running_var", Some("embedder.embedder.normalization.running_var")),
            ("layer3.4.conv2.weight", Some("encoder.stages.2.layers.4.layer.1.convolution.weight")),
            ("layer1.0.bn3.bias", Some("encoder.stages.0.layers.0.layer.2.normalization.bias")),
            (
                "timm_model.layer4.0.downsample.1.weight",
                Some("encoder.stages.3.layers.0.shortcut.normalization.weight"),
            ),
            ("fc.weight", None),
            ("classifier.1.bias", None),
        ] {
            assert_eq!(inside(name).as_deref(), expected, "{name}");
        }
    }
}
