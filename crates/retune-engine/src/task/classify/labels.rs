//! What labels mean: as the data and the recipe say for a new model, as config.json says for a saved one.

use super::multi::Multi;
use super::numbers::Numbers;
use super::single::Single;
use super::threshold::Threshold;
use super::{Classification, Files, demand_single};
use crate::task::Preparing;
use crate::recipe::ClassificationSettings;
use anyhow::Result;
use retune_data::{LabelSchema, Problem};
use retune_models::{ModelConfig, ProblemType};

/// What the recipe says labels mean; `None` = to be inferred.
pub(super) fn problem(settings: &ClassificationSettings) -> Result<Option<Problem>> {
    Ok((settings.problem != "auto").then(|| settings.problem.parse()).transpose()?)
}

/// Names and meaning of a saved model's outputs.
pub(super) fn saved(config: &ModelConfig) -> LabelSchema {
    let count = config.label_count() as usize;
    let names = config.labels().unwrap_or_else(|| numbered(count));
    match config.problem_type() {
        ProblemType::SingleLabelClassification => LabelSchema::SingleLabel { names },
        ProblemType::MultiLabelClassification => LabelSchema::MultiLabel { names },
        ProblemType::Regression => LabelSchema::Regression { outputs: count },
    }
}

/// The schema with its classes in the order of the checkpoint's labels, where these are the same but for case: its head
/// goes on meaning what it meant. With a note where that changed the order.
pub(super) fn ordered(schema: LabelSchema, config: &ModelConfig) -> (LabelSchema, Option<String>) {
    let Some(names) = config.in_label_order(schema.names()).filter(|names| names != schema.names()) else {
        return (schema, None);
    };
    let note = format!("labels are numbered as in the model: {}", names.join(", "));
    let ordered = match schema {
        LabelSchema::SingleLabel { .. } => LabelSchema::SingleLabel { names },
        LabelSchema::MultiLabel { .. } => LabelSchema::MultiLabel { names },
        LabelSchema::Regression { .. } => schema,
    };
    (ordered, Some(note))
}

/// Names of outputs that have none.
pub(super) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("LABEL_{i}")).collect()
}
