//! What `adapter_config.json` of a LoRA adapter may say: a list of what is understood, because a field that changes what the
//! values mean and is not looked at gives wrong answers without a word.

use serde_json::{Map, Value};

/// Fields that change nothing once the values are there, or that are read elsewhere.
const ANY: &[&str] = &[
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "eva_config",
    "exclude_modules",
    // Whether the base stores weights transposed, which its family knows.
    "fan_in_fan_out",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "modules_to_save",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
];

/// Ways of starting that leave the base model as it is.
const STARTS: &[&str] = &["gaussian", "eva", "orthogonal"];

const REMEDY: &str =
    "merge it once with PEFT: PeftModel.from_pretrained(BASE, ADAPTER).merge_and_unload().save_pretrained(DIR)";

/// All that stands in the way of using the adapter.
pub(super) fn check(config: &Map<String, Value>) -> Result<(), String> {
    match config.get("peft_type").and_then(Value::as_str) {
        Some("LORA") => (),
        Some(other) => return Err(format!("peft_type `{other}` is not supported, only LORA is")),
        None => return Err("has no `peft_type`; only LORA is supported".to_owned()),
    }
    let mut problems = Vec::new();
    for (field, value) in config {
        match field.as_str() {
            "bias" if value.is_null() || value == "none" => (),
            "bias" => problems.push(format!("`bias` is {value}; only \"none\" is supported")),
            "init_lora_weights" => match value {
                Value::Null | Value::Bool(_) => (),
                Value::String(start) if STARTS.contains(&start.as_str()) => (),
                other => problems.push(format!("`init_lora_weights` is {other}, which changes the base model too")),
            },
            field if ANY.contains(&field) || is_unset(value) => (),
            field => problems.push(format!("`{field}` is set, which this version cannot honour")),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(format!("{}; {REMEDY}", problems.join("; "))) }
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// A number of `adapter_config.json`, or PEFT's default.
pub(super) fn number(config: &Map<String, Value>, field: &str, default: f64) -> Result<f64, String> {
    match config.get(field) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value.as_f64().ok_or_else(|| format!("`{field}` is {value}, not a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem(field: &str, value: Value) -> Option<String> {
        let mut config = Map::from_iter([("peft_type".to_owned(), json!("LORA"))]);
        config.insert(field.to_owned(), value);
        check(&config).err()
    }

    #[test]
    fn only_what_is_understood_passes() {
        for (field, value) in [
            ("init_lora_weights", json!(true)),
            ("init_lora_weights", json!("gaussian")),
            ("bias", json!("none")),
            ("use_dora", json!(false)),
            ("a_field_of_tomorrow", json!(null)),
            ("loftq_config", json!({})),
        ] {
            assert_eq!(problem(field, value.clone()), None, "{field} {value}");
        }
        for (field, value) in [
            ("init_lora_weights", json!("pissa")),
            ("init_lora_weights", json!("pissa_niter_16")),
            ("init_lora_weights", json!("olora")),
            ("init_lora_weights", json!("corda")),
            ("init_lora_weights", json!("loftq")),
            ("init_lora_weights", json!("lora_ga")),
            ("bias", json!("all")),
            ("use_dora", json!(true)),
            ("layer_replication", json!([[0, 4]])),
            ("a_field_of_tomorrow", json!(0.5)),
            ("peft_type", json!("LOHA")),
        ] {
            let problem = problem(field, value.clone()).unwrap_or_else(|| panic!("{field} {value} passes"));
            assert!(
                problem.contains(field) && (field == "peft_type" || problem.contains("merge_and_unload")),
                "{problem}"
            );
        }
    }
}
