//! Lists and their promises.

use super::*;
use crate::Network;
use crate::checkpoint::{WeightsOptions, WeightsRoot};
use crate::family::{FRESH_SIZES, FreshIds};
use serde_json::json;

/// Random weights of a family with these fields, every block as small as can be.
fn build(family: &'static dyn Family, purpose: &Purpose, config: &ModelConfig) -> (Network, retune_kernels::Params) {
    let root = WeightsRoot::new(
        None,
        WeightsOptions {
            base_prefix: family.names().base_prefix(),
            stored_prefixes: vec![family.names().base_prefix()],
            new_head: true,
            headless: false,
            only: None,
            from_scratch: true,
            seed: 0,
            precision: retune_kernels::Precision::Fp32,
            device: retune_kernels::tch::Device::Cpu,
            initializer_range: 0.02,
            adapter: None,
        },
    );
    let name = format!("{} for {}", family.model_type(), purpose.name());
    let network = Network::build(&root, family, config, Some(purpose)).unwrap_or_else(|e| panic!("{name}: {e}"));
    (network, root.finish().unwrap().0)
}

/// Small sizes by every name that families have for them.
fn small(model_type: &str) -> ModelConfig {
    let mut config = ModelConfig::new(json!({"model_type": model_type})).unwrap();
    for (field, value) in [
        ("num_hidden_layers", json!(1)),
        ("n_layers", json!(1)),
        ("num_attention_heads", json!(4)),
        ("n_layer", json!(1)),
        ("n_embd", json!(24)),
        ("vocab_size", json!(8)),
        ("pad_token_id", json!(0)),
        ("hidden_size", json!(24)),
        ("dim", json!(24)),
        ("intermediate_size", json!(8)),
        ("hidden_dim", json!(8)),
        ("embedding_size", json!(8)),
        ("num_attention_heads", json!(4)),
        ("num_key_value_heads", json!(2)),
        ("conv_dim", json!([4, 4, 4, 4, 4, 4, 4])),
        ("num_conv_pos_embeddings", json!(4)),
        ("d_model", json!(24)),
        ("d_kv", json!(6)),
        ("d_ff", json!(8)),
        ("num_layers", json!(1)),
        ("num_heads", json!(4)),
        ("encoder_layers", json!(1)),
        ("decoder_layers", json!(1)),
        ("encoder_attention_heads", json!(4)),
        ("decoder_attention_heads", json!(4)),
        ("encoder_ffn_dim", json!(8)),
        ("decoder_ffn_dim", json!(8)),
        ("decoder_start_token_id", json!(0)),
        ("num_conv_pos_embedding_groups", json!(2)),
    ] {
        // What a family has a list of, one for each stage, stays as it is.
        if config.get(field).is_some_and(|usual| usual.is_array() == value.is_array()) {
            config.set(field, value);
        }
    }
    if config.get("num_queries").is_some() {
        let backbone = json!({"model_type": "resnet", "embedding_size": 4, "hidden_sizes": [4, 8, 8, 12],
            "depths": [1, 1, 1, 1], "out_features": ["stage2", "stage3", "stage4"]});
        config.set("backbone_config", backbone);
    }
    if config.get("neck_hidden_sizes").is_some() {
        config.set("neck_hidden_sizes", json!([2, 2, 3, 2, 3, 4, 5]));
        config.set("hidden_sizes", json!([4, 8, 4]));
    }
    if config.get("width_multiplier").is_some() {
        config.set("width_multiplier", json!(0.05));
        config.set("aspp_out_channels", json!(4));
    }
    if config.get("encoder_n_points").is_some() {
        // Its norms have 32 groups.
        config.set("d_model", json!(32));
    }
    if model_type == "wav2vec2-bert" {
        // Its class assumes none.
        config.set("vocab_size", json!(8));
    }
    config
}

/// Images have no defaults: every field that they must state.
fn small_image(model_type: &str) -> ModelConfig {
    let mut config = small(model_type);
    for (field, value) in [
        ("image_size", json!(16)),
        ("patch_size", json!(4)),
        ("hidden_size", json!(24)),
        ("num_hidden_layers", json!(1)),
        ("num_attention_heads", json!(2)),
        ("intermediate_size", json!(8)),
        ("hidden_act", json!("gelu")),
        ("decoder_hidden_size", json!(8)),
        ("decoder_num_hidden_layers", json!(1)),
        ("decoder_num_attention_heads", json!(2)),
        ("decoder_intermediate_size", json!(8)),
        ("embed_dim", json!(8)),
        ("depths", json!([1, 1])),
        ("num_heads", json!([1, 2])),
        ("window_size", json!(2)),
        ("hidden_sizes", json!([8, 16])),
    ] {
        config.set(field, value);
    }
    if ["beit", "data2vec-vision"].contains(&model_type) {
        config.set("num_hidden_layers", json!(4));
        config.set("out_indices", json!([1, 2, 3, 4]));
    }
    if model_type == "upernet" {
        let mut backbone = small_image("swin");
        backbone.set("out_features", json!(["stage1", "stage2"]));
        config.set("backbone_config", Value::Object(backbone.as_map().clone()));
        config.set("use_auxiliary_head", json!(false));
    }
    if model_type == "segformer" {
        // What is one number elsewhere is one for each stage here.
        config.set("num_encoder_blocks", json!(2));
        for field in ["num_attention_heads", "mlp_ratios", "sr_ratios"] {
            config.set(field, json!([2, 1]));
        }
        config.set("patch_sizes", json!([7, 3]));
        config.set("strides", json!([4, 2]));
        config.set("decoder_hidden_size", json!(8));
    }
    config
}

#[test]
fn every_listed_family_builds_every_head_it_lists() {
    let mut used = Vec::new();
    for family in FAMILIES {
        let is_image = ["swin", "swinv2", "convnext", "convnextv2", "upernet"].contains(&family.model_type())
            || family.defaults().is_empty();
        let config = if is_image { small_image(family.model_type()) } else { small(family.model_type()) };
        assert!(!family.heads().is_empty(), "{}", family.model_type());
        for (purpose, plan) in family.heads() {
            used.push(purpose);
            assert!(PURPOSES.contains(&purpose), "{} is not in the list of purposes", purpose.key);
            assert!(supports(&config, purpose));
            let (network, params) = build(*family, purpose, &config);
            assert!(network.work(4, 0) > 0.0);
            // Scores of a decoder are tied to its table.
            let fresh = purpose.fresh && !plan.writes();
            assert!(!fresh || params.iter().any(|param| param.head && param.depth == network.blocks() + 1));
            assert!(params.iter().all(|param| param.depth <= network.blocks() + 1));
            let mut saved = config.clone();
            saved.set("architectures", json!([family.architecture(&config, purpose)]));
            let told = if purpose.class_ending == BASE_CLASS { Vec::new() } else { vec![purpose] };
            assert_eq!(purposes_of_class(&saved), told, "{}", family.model_type());
        }
        let images = matches!(takes(&config).unwrap(), Takes::Images(_));
        let visual = |key: &str| ["image", "segmentation", "detection"].iter().any(|word| key.contains(word));
        let takes_images = family.heads().iter().all(|(purpose, _)| visual(purpose.key));
        assert_eq!(images, takes_images, "{}", family.model_type());
    }
    assert!(PURPOSES.iter().all(|purpose| used.contains(purpose)), "a purpose that no family has");
}

/// What serves a purpose in a family's place with the same type: Hugging Face's class for it has other names, or a part of the model.
#[test]
fn classes_that_name_a_model_otherwise_are_built_and_recognized() {
    let mut count = 0;
    for family in FAMILIES {
        for purpose in PURPOSES.iter().copied() {
            let becomes = family.becomes(Some(purpose)).map(|becomes| becomes.family);
            let Some(serving) = becomes.filter(|it| it.model_type() == family.model_type()) else { continue };
            count += 1;
            let mut config = small(family.model_type());
            // T5's class assumes none.
            config.set("decoder_start_token_id", json!(0));
            let (network, params) = build(serving, purpose, &config);
            assert!(network.work(4, 0) > 0.0);
            assert!(params.iter().any(|param| param.head && param.depth == network.blocks() + 1));
            config.set("architectures", json!([serving.architecture(&config, purpose)]));
            assert_eq!(purposes_of_class(&config), [purpose], "{}", family.model_type());
            assert!(takes(&config).unwrap() == serving.takes(&config).unwrap());
        }
    }
    assert!(count >= 13, "{count}");
}

#[test]
fn every_model_type_and_every_purpose_is_listed_once() {
    for (index, family) in FAMILIES.iter().enumerate() {
        let model_type = family.model_type();
        assert!(FAMILIES[..index].iter().all(|other| other.model_type() != model_type), "{model_type}");
    }
    for (index, purpose) in PURPOSES.iter().enumerate() {
        assert!(!PURPOSES[..index].contains(purpose), "{purpose:?}");
    }
}

#[test]
fn every_family_of_texts_has_every_head_for_texts() {
    let texts = |key: &str| {
        let purpose = PURPOSES.iter().find(|purpose| purpose.key == key).unwrap();
        let has = |family: &&&'static dyn Family| serves(**family, Some(purpose));
        FAMILIES.iter().filter(has).map(|family| family.model_type()).collect::<Vec<_>>()
    };
    let all = texts("sequence-classification");
    let encoders = [
        "bert",
        "roberta",
        "xlm-roberta",
        "camembert",
        "distilbert",
        "electra",
        "albert",
        "mpnet",
        "modernbert",
        "deberta-v2",
    ];
    let decoders = texts("causal-lm");
    // Both read the text: that classifies it, and that finds answers in it.
    let both = ["bart", "mbart", "t5", "mt5"];
    assert_eq!(all, [&encoders[..], &decoders, &both].concat());
    // Hugging Face has no class of the others.
    let tagging = decoders.iter().copied().filter(|name| *name != "gemma3_text");
    let tagging = encoders.into_iter().chain(tagging).chain(["t5", "mt5"]);
    assert_eq!(texts("token-classification"), tagging.collect::<Vec<_>>());
    let answering = ["llama", "mistral", "qwen2", "qwen3", "gpt_neox", "gpt2", "bart", "mbart", "t5", "mt5"];
    assert_eq!(texts("question-answering"), [&encoders[..], &answering].concat());
    assert_eq!(texts("masked-lm"), encoders);
}

/// `fixtures/configs/text_defaults.json` and `decoder_defaults.json` are what transformers' classes say without any argument.
#[test]
fn absent_fields_mean_what_hugging_face_assumes() {
    let read = |text: &str| serde_json::from_str::<serde_json::Map<String, Value>>(text).unwrap();
    let encoders = read(include_str!("../../../../fixtures/configs/text_defaults.json"));
    let decoders = read(include_str!("../../../../fixtures/configs/decoder_defaults.json"));
    let both = read(include_str!("../../../../fixtures/configs/sequence_to_sequence_defaults.json"));
    let speech = read(include_str!("../../../../fixtures/configs/speech_defaults.json"));
    for (model_type, theirs) in encoders.into_iter().chain(decoders).chain(both).chain(speech) {
        let config = ModelConfig::new(json!({"model_type": model_type})).unwrap();
        assert!(config.as_map().len() > 10, "{model_type} has no defaults here");
        for (field, ours) in config.as_map() {
            assert_eq!(ours, &theirs[field], "{model_type}: {field}");
        }
        // Every field that is read has a default.
        let config = small(&model_type);
        for (purpose, _) in family(&config).unwrap().heads() {
            build(family(&config).unwrap(), purpose, &config);
        }
    }
    let mut stated = ModelConfig::new(json!({"model_type": "bert", "hidden_act": "relu"})).unwrap();
    assert_eq!(stated.text("hidden_act").unwrap(), "relu");
    assert_eq!(stated.probability("hidden_dropout_prob").unwrap(), 0.1);
    stated.set_dropout(0.0).unwrap();
    assert_eq!(stated.probability("attention_probs_dropout_prob").unwrap(), 0.0);
}

#[test]
fn what_is_not_served_is_refused_with_what_would_be() {
    let config = |model_type: &str| ModelConfig::new(json!({"model_type": model_type})).unwrap();
    let message = family(&config("telepath")).err().unwrap().to_string();
    assert!(message.contains("`telepath` is not supported; supported: bert,"), "{message}");
    let spans = family_for(&config("swin"), Some(&crate::heads::QUESTION_ANSWERING)).err().unwrap().to_string();
    assert!(spans.contains("`swin` is not supported for question answering; supported: bert, "), "{spans}");
    // A masked autoencoder's encoder is a ViT for whoever classifies.
    let classifier = family_for(&config("vit_mae"), Some(&crate::heads::IMAGE_CLASSIFICATION)).unwrap();
    assert_eq!(classifier.model_type(), "vit");
}

#[test]
fn every_fresh_family_takes_what_it_is_made_for_at_every_size_and_is_built_at_the_smallest() {
    let ids = FreshIds { vocabulary: 99, pad: 1, bos: None, eos: Some(2), cls: None, sep: None };
    let mut count = 0;
    for family in FAMILIES {
        let Some(fresh) = family.fresh() else { continue };
        count += 1;
        let name = family.model_type();
        for size in &FRESH_SIZES {
            let config = fresh.config(name, size, fresh.texts.map(|_| &ids)).unwrap();
            let takes = takes(&config).unwrap_or_else(|e| panic!("{name}:{}: {e}", size.name));
            if let Some(texts) = fresh.texts {
                let Takes::Tokens { longest, vocabulary } = takes else { panic!("texts") };
                assert!(longest.is_none_or(|longest| longest >= texts.longest), "{name}: {longest:?}");
                assert_eq!(vocabulary, 99);
            }
            let processor = fresh.processor.map(|processor| processor(size));
            let named = processor.as_ref().map(|it| it["image_processor_type"].as_str());
            assert!(named.is_none_or(|name| name.is_some()), "{name}: transformers finds its class by that name");
        }
        // Those of texts are built by every head above.
        let (purpose, _) = family.heads().swap_remove(0);
        assert_eq!(crate::registry::fresh(name, Some(purpose)).unwrap().0, name);
        if fresh.texts.is_none() && *purpose != crate::heads::NEXT_ITEM {
            let (network, params) = build(*family, purpose, &fresh.config(name, &FRESH_SIZES[0], None).unwrap());
            assert!(network.work(4, 0) > 0.0, "{name}");
            // For a CPU.
            assert!(params.counts().0 < 5_000_000, "{name}: {}", params.counts().0);
        }
    }
    assert!(count >= 30, "{count}");
}

#[test]
fn what_cannot_be_made_from_nothing_is_told_with_what_can() {
    let error = |name: &str, purpose| fresh(name, purpose).unwrap_err().to_string();
    let said = error("beit", None);
    assert!(said.contains("`beit`") && said.contains("bert, roberta") && !said.contains("mbart"), "{said}");
    let said = error("bert", Some(&crate::heads::OBJECT_DETECTION));
    assert!(said.contains("vit, ") && said.contains("rt_detr_v2") && !said.contains("roberta"), "{said}");
    // Another family serves it with this one inside.
    assert_eq!(fresh("swin", Some(&crate::heads::SEMANTIC_SEGMENTATION)).unwrap().0, "swin");
}
