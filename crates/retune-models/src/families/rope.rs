//! Rotary embeddings as config.json states them: `rope_scaling` where it says something, as people add it to change what is there, else
//! `rope_parameters` of transformers 5; `rope_theta` for what neither says.

use crate::layers::{RopeScaling, Rotary};
use crate::{ModelConfig, ModelError};
use serde_json::{Map, Value};

/// Kinds that transformers knows and this program does too.
const KNOWN: &str = "default, linear, dynamic, yarn, llama3, longrope";

/// Where the fields of a family are called otherwise, and what absent ones mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct RopeFields {
    /// Older field of the base.
    pub(super) base: &'static str,
    /// The base, where nothing is said.
    pub(super) usual_base: f64,
    /// Older field of the rotated share of a head, and the share where nothing is said. Without it whole heads turn, whatever is stated:
    /// the class does not read it.
    pub(super) share: Option<(&'static str, f64)>,
}

/// As most families have them.
pub(super) const USUAL: RopeFields = RopeFields { base: "rope_theta", usual_base: 10_000.0, share: None };

/// With a share of heads that turns.
pub(super) const PARTIAL: RopeFields = RopeFields { share: Some(("partial_rotary_factor", 1.0)), ..USUAL };

const SHARE: &str = "partial_rotary_factor";

/// One object of rotary parameters.
struct Parameters<'a> {
    field: String,
    map: Option<&'a Map<String, Value>>,
}

impl Parameters<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.map?.get(name).filter(|value| !value.is_null())
    }

    fn error(&self, name: &str, problem: impl Into<String>) -> ModelError {
        ModelError::Config { field: format!("{}.{name}", self.field), problem: problem.into() }
    }

    fn optional(&self, name: &str) -> Result<Option<f64>, ModelError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_f64().ok_or_else(|| self.error(name, format!("is {value}, not a number")))?;
        Ok(Some(number))
    }

    fn number(&self, name: &str) -> Result<f64, ModelError> {
        let number = self.optional(name)?.ok_or_else(|| self.error(name, "is missing"))?;
        if number > 0.0 { Ok(number) } else { Err(self.error(name, format!("is {number}, not above 0"))) }
    }

    fn list(&self, name: &str, count: i64) -> Result<Vec<f64>, ModelError> {
        let list = self.get(name).and_then(Value::as_array);
        let list: Option<Vec<f64>> = list.and_then(|list| list.iter().map(Value::as_f64).collect());
        list.filter(|list| list.len() as i64 == count)
            .ok_or_else(|| self.error(name, format!("is not a list of {count} numbers, one for each pair of a head")))
    }
}

/// The rotary embeddings of all layers, with heads of this size.
///
/// # Errors
/// Kinds and fields that are not understood.
pub(super) fn rotary(config: &ModelConfig, head_size: i64, fields: RopeFields) -> Result<Rotary, ModelError> {
    let says =
        |field: &&str| config.get(field).is_some_and(|value| value.as_object().is_none_or(|map| !map.is_empty()));
    let field = ["rope_scaling", "rope_parameters"].into_iter().find(says);
    let map = field.and_then(|field| config.get(field)).map(|value| {
        let problem = || format!("is {value}, not an object");
        let field = field.unwrap_or_default().to_owned();
        value.as_object().ok_or_else(|| ModelError::Config { field, problem: problem() })
    });
    let from = Parameters { field: field.unwrap_or("rope_parameters").to_owned(), map: map.transpose()? };
    let share = match fields.share {
        Some((name, usual)) => from.optional(SHARE)?.map_or_else(|| config.number_or(name, usual), Ok)?,
        None => 1.0,
    };
    one(config, &from, head_size, (config.number_or(fields.base, fields.usual_base)?, share))
}

/// The rotary embeddings of the layers of one `layer_types`, with heads of this size: an object of `rope_parameters`. Older
/// configurations have a field with the base, and `rope_scaling` for the layers that see everything; where both stand, the latter
/// replaces what it names.
///
/// # Errors
/// Kinds and fields that are not understood.
pub(super) fn rotary_of_type(
    config: &ModelConfig,
    layer_type: &str,
    head_size: i64,
    (base, usual_base): (&str, f64),
    scales: bool,
) -> Result<Rotary, ModelError> {
    let object = |field: String, value: Option<&'_ Value>| match value.map(|value| (value, value.as_object())) {
        Some((value, None)) => Err(ModelError::Config { field, problem: format!("is {value}, not an object") }),
        Some((_, map)) => Ok(map.cloned()),
        None => Ok(None),
    };
    let (field, map) = match config.get("rope_parameters") {
        Some(all) => {
            let field = format!("rope_parameters.{layer_type}");
            let mut map = object(field.clone(), all.get(layer_type).filter(|value| !value.is_null()))?;
            if let Some(Value::Object(scaling)) = config.get("rope_scaling").filter(|_| scales) {
                map.get_or_insert_default().extend(scaling.clone());
            }
            (field, map)
        }
        None if scales => ("rope_scaling".to_owned(), object("rope_scaling".to_owned(), config.get("rope_scaling"))?),
        None => (base.to_owned(), None),
    };
    one(config, &Parameters { field, map: map.as_ref() }, head_size, (config.number_or(base, usual_base)?, 1.0))
}

fn one(
    config: &ModelConfig,
    from: &Parameters<'_>,
    head_size: i64,
    (base, share): (f64, f64),
) -> Result<Rotary, ModelError> {
    let base = from.optional("rope_theta")?.unwrap_or(base);
    let size = (head_size as f64 * share) as i64;
    // Dimensions turn in pairs; of an odd number transformers turns one more.
    if size < 1 || (size + 1) / 2 * 2 > head_size {
        let problem = format!("gives {size} rotated dimensions of {head_size}, which are no pairs of them");
        return Err(from.error(SHARE, problem));
    }
    let kind = from.get("rope_type").or_else(|| from.get("type")).and_then(Value::as_str).unwrap_or("default");
    let stated = || config.size("max_position_embeddings");
    // Where the length of pretraining stands beside the others it wins, as in transformers.
    let original = || match config.get("original_max_position_embeddings") {
        Some(_) => config.size("original_max_position_embeddings"),
        None => from.optional("original_max_position_embeddings")?.map_or_else(stated, |longest| Ok(longest as i64)),
    };
    let scaling = match kind {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear { factor: from.number("factor")? },
        "dynamic" => RopeScaling::Dynamic { factor: from.number("factor")?, longest: stated()? },
        "yarn" => yarn(config, from, original()?)?,
        "llama3" => RopeScaling::Llama3 {
            factor: from.number("factor")?,
            bands: (from.number("low_freq_factor")?, from.number("high_freq_factor")?),
            longest: original()?,
        },
        "longrope" | "su" => {
            let longest = original()?;
            let factor =
                from.optional("factor")?.map_or_else(|| Ok(stated()? as f64 / longest as f64), Ok::<_, ModelError>)?;
            let assumed = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (longest as f64).ln()).sqrt() };
            RopeScaling::LongRope {
                short: from.list("short_factor", size / 2)?,
                long: from.list("long_factor", size / 2)?,
                attention: from.optional("attention_factor")?.unwrap_or(assumed),
                longest,
            }
        }
        other => return Err(from.error("rope_type", format!("is `{other}`; known: {KNOWN}"))),
    };
    Ok(Rotary { size, base, scaling })
}

fn yarn(config: &ModelConfig, from: &Parameters<'_>, longest: i64) -> Result<RopeScaling, ModelError> {
    let assumed = || Ok::<_, ModelError>(config.size("max_position_embeddings")? as f64 / longest as f64);
    let factor = from.optional("factor")?.map_or_else(assumed, Ok)?;
    let scale = |weight: f64| if factor <= 1.0 { 1.0 } else { 0.1 * weight * factor.ln() + 1.0 };
    let set = |name: &str| Ok::<_, ModelError>(from.optional(name)?.filter(|number| *number != 0.0));
    let attention = match (from.optional("attention_factor")?, set("mscale")?, set("mscale_all_dim")?) {
        (Some(stated), ..) => stated,
        (None, Some(above), Some(below)) => scale(above) / scale(below),
        _ => scale(1.0),
    };
    let truncate = match from.get("truncate") {
        None => true,
        Some(value) => value.as_bool().ok_or_else(|| from.error("truncate", "is neither true nor false"))?,
    };
    let beta = (set("beta_fast")?.unwrap_or(32.0), set("beta_slow")?.unwrap_or(1.0));
    Ok(RopeScaling::Yarn { factor, attention, beta, longest, truncate })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(fields: Value, rope: RopeFields) -> Result<Rotary, ModelError> {
        let mut config = json!({"model_type": "llama", "max_position_embeddings": 64});
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        rotary(&ModelConfig::new(config)?, 8, rope)
    }

    #[test]
    fn scaling_that_was_added_replaces_the_parameters() {
        let parameters = json!({"rope_type": "default", "rope_theta": 5e5});
        let alone = read(json!({"rope_parameters": parameters, "rope_theta": 7.0}), USUAL).unwrap();
        assert_eq!((alone.base, alone.scaling), (5e5, RopeScaling::None));
        let linear = json!({"type": "linear", "factor": 4.0});
        let both = json!({"rope_parameters": parameters, "rope_scaling": linear, "rope_theta": 7.0});
        let both = read(both, USUAL).unwrap();
        assert_eq!((both.base, both.scaling), (7.0, RopeScaling::Linear { factor: 4.0 }));
        for nothing in [json!(null), json!({})] {
            let same = read(json!({"rope_parameters": parameters, "rope_scaling": nothing}), USUAL).unwrap();
            assert_eq!(same.base, 5e5);
        }
    }

    #[test]
    fn shares_of_heads_turn_where_the_class_reads_them() {
        for fields in
            [json!({"partial_rotary_factor": 0.5}), json!({"rope_parameters": {"partial_rotary_factor": 0.5}})]
        {
            assert_eq!(read(fields.clone(), USUAL).unwrap().size, 8);
            assert_eq!(read(fields, PARTIAL).unwrap().size, 4);
        }
    }
}
