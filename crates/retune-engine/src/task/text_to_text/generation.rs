//! How a saved model writes: its generation_config.json, so that transformers writes the same.

use retune_models::generate::{EarlyStopping, GenerationSettings};
use serde_json::{Map, Value, json};

/// The fields of what the model's own file says, with what the run says of them.
pub(super) fn saved(settings: &GenerationSettings, own: &Map<String, Value>) -> Map<String, Value> {
    let mut all = own.clone();
    // Of both the shorter would count.
    all.remove("max_length");
    let early_stopping = match settings.early_stopping {
        EarlyStopping::No => json!(false),
        EarlyStopping::Yes => json!(true),
        EarlyStopping::Never => json!("never"),
    };
    let mut put = |key: &str, value: Value| {
        // What is nothing is what a missing field means.
        if value.is_null() || value == json!([]) {
            all.remove(key);
        } else {
            all.insert(key.to_owned(), value);
        }
    };
    let ends = match settings.ends[..] {
        [] => Value::Null,
        [end] => json!(end),
        _ => json!(settings.ends),
    };
    put("eos_token_id", ends);
    put("decoder_start_token_id", json!(settings.begin));
    put("max_new_tokens", json!(settings.max_new_tokens));
    put("num_beams", json!(settings.beams));
    put("length_penalty", json!(settings.length_penalty));
    put("early_stopping", early_stopping);
    put("no_repeat_ngram_size", json!(settings.no_repeat_ngram));
    put("repetition_penalty", json!(settings.repetition_penalty));
    put("forced_bos_token_id", json!(settings.forced_begin));
    put("forced_eos_token_id", json!(settings.forced_end));
    put("suppress_tokens", json!(settings.suppressed));
    put("begin_suppress_tokens", json!(settings.suppressed_at_begin));
    put("bad_words_ids", json!(settings.banned));
    put("renormalize_logits", json!(settings.renormalize));
    put("do_sample", json!(settings.sampling.is_some()));
    if let Some(sampling) = &settings.sampling {
        put("temperature", json!(sampling.temperature));
        put("top_k", json!(sampling.top_k));
        put("top_p", json!(sampling.top_p));
        put("min_p", json!(sampling.min_p));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_again() {
        let own = json!({"max_length": 20, "pad_token_id": 0, "forced_eos_token_id": 1});
        let config = json!({"is_encoder_decoder": true, "decoder_start_token_id": 0, "eos_token_id": 1});
        let (own, config) = (own.as_object().unwrap(), config.as_object().unwrap());
        let mut settings = GenerationSettings::read(own, config).unwrap();
        settings.beams = 3;
        settings.forced_begin = Some(7);
        settings.banned = vec![vec![0]];
        let saved = saved(&settings, own);
        assert_eq!(GenerationSettings::read(&saved, config).unwrap(), settings);
        assert_eq!((saved["pad_token_id"].clone(), saved["max_new_tokens"].clone()), (json!(0), json!(19)));
        assert!(!saved.contains_key("max_length"));
    }
}
