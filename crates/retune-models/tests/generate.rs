//! Searches give token for token what transformers' `generate` gives (`fixtures/parity/*/searches.json`).

mod common;

use common::{fixture, load_options, test_device};
use retune_kernels::tch::Tensor;
use retune_models::LoadedModel;
use retune_models::generate::{Continuation, DecoderSteps, GenerationSettings, Prompts, Sampling, generate};
use retune_models::heads::{CAUSAL_LM, SEQUENCE_CLASSIFICATION};
use serde_json::{Map, Value, json};

const SEARCHED: [&str; 7] = [
    "llama-causal-lm",
    "llama-dynamic",
    "mistral-causal-lm",
    "gemma2-causal-lm",
    "gemma3-causal-lm",
    "gpt2-causal-lm",
    "phi3-longrope",
];

fn load(name: &str) -> LoadedModel {
    LoadedModel::load(&fixture(&format!("parity/{name}")), &load_options(&CAUSAL_LM)).unwrap()
}

fn rows(value: &Value) -> Vec<Vec<i64>> {
    serde_json::from_value(value.clone()).unwrap()
}

fn tensor(rows: &[Vec<i64>]) -> Tensor {
    Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1]).to_device(test_device())
}

fn continued(
    loaded: &LoadedModel,
    ids: &[Vec<i64>],
    mask: &[Vec<i64>],
    settings: &GenerationSettings,
) -> (Vec<Continuation>, Vec<(usize, i64)>) {
    let (ids, mask) = (tensor(ids), tensor(mask));
    let prompts = Prompts::new(&ids, &mask, (0..ids.size()[0] as u64).collect()).unwrap();
    let mut heard = Vec::new();
    let mut steps = DecoderSteps::new(&loaded.network, &mask).unwrap();
    let found = generate(&mut steps, &prompts, settings, &mut |row, token| heard.push((row, token))).unwrap();
    (found, heard)
}

#[test]
fn searches_equal_hugging_face_s() {
    for name in SEARCHED {
        let loaded = load(name);
        let text = std::fs::read(fixture(&format!("parity/{name}/searches.json"))).unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        let (ids, mask) = (rows(&file["input_ids"]), rows(&file["attention_mask"]));
        for search in file["searches"].as_array().unwrap() {
            let settings = search["settings"].as_object().unwrap();
            let settings = GenerationSettings::read(settings, &Map::new()).unwrap();
            println!("{name}: {}", search["settings"]);
            let (found, heard) = continued(&loaded, &ids, &mask, &settings);
            let tokens: Vec<Vec<i64>> = found.iter().map(|one| one.tokens.clone()).collect();
            assert_eq!(tokens, rows(&search["continued"]), "{name}: {}", search["settings"]);
            if settings.beams == 1 {
                let of = |row: usize| heard.iter().filter(|(of, _)| *of == row).map(|(_, token)| *token).collect();
                let streamed: Vec<Vec<i64>> = (0..ids.len()).map(of).collect();
                assert_eq!(streamed, tokens);
            }
        }
    }
}

#[test]
fn a_prompt_alone_is_continued_as_in_a_batch() {
    for name in ["llama-causal-lm", "gpt2-causal-lm", "mistral-causal-lm"] {
        let loaded = load(name);
        let file: Value =
            serde_json::from_slice(&std::fs::read(fixture(&format!("parity/{name}/searches.json"))).unwrap()).unwrap();
        let (ids, mask) = (rows(&file["input_ids"]), rows(&file["attention_mask"]));
        let drawn = GenerationSettings {
            max_new_tokens: 9,
            sampling: Some(Sampling { temperature: 1.3, top_k: 9, seed: 4, ..Sampling::default() }),
            ..GenerationSettings::default()
        };
        // Rules that count what is there already count no padding.
        let ruled = GenerationSettings { min_length: 9, no_repeat_ngram: 2, ends: (0..20).collect(), ..drawn.clone() };
        for settings in [GenerationSettings { beams: 3, ..drawn.clone() }, drawn, ruled] {
            let settings =
                GenerationSettings { sampling: settings.sampling.filter(|_| settings.beams == 1), ..settings };
            let (together, _) = continued(&loaded, &ids, &mask, &settings);
            for (row, expected) in together.iter().enumerate() {
                let padding = mask[row].iter().take_while(|real| **real == 0).count();
                let (ids, mask) = (tensor(&[ids[row][padding..].to_vec()]), tensor(&[mask[row][padding..].to_vec()]));
                let prompts = Prompts::new(&ids, &mask, vec![row as u64]).unwrap();
                let mut steps = DecoderSteps::new(&loaded.network, &mask).unwrap();
                let alone = generate(&mut steps, &prompts, &settings, &mut |_, _| ()).unwrap();
                assert_eq!(alone[0].tokens, expected.tokens, "{name}");
                assert!((alone[0].score - expected.score).abs() < 1e-4);
            }
        }
    }
}

#[test]
fn draws_follow_from_the_seed() {
    let loaded = load("llama-causal-lm");
    let (ids, mask) = (vec![vec![5, 6], vec![5, 6], vec![7, 8]], vec![vec![1, 1]; 3]);
    let drawn = |seed: u64, top_k: i64| {
        let sampling = Some(Sampling { temperature: 2.0, top_k, seed, ..Sampling::default() });
        let settings = GenerationSettings { max_new_tokens: 12, sampling, ..GenerationSettings::default() };
        continued(&loaded, &ids, &mask, &settings).0
    };
    assert_eq!(drawn(3, 0), drawn(3, 0));
    assert_ne!(drawn(3, 0), drawn(4, 0));
    let rows = drawn(3, 0);
    assert_ne!(rows[0], rows[1], "each row has draws of its own");
    // The one token that may be drawn is the likeliest.
    let greedy = GenerationSettings { max_new_tokens: 12, ..GenerationSettings::default() };
    assert_eq!(drawn(9, 1), continued(&loaded, &ids, &mask, &greedy).0);
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let loaded = load("gpt2-causal-lm");
    let read = |text: &str| {
        let settings: Map<String, Value> = serde_json::from_str(text).unwrap();
        GenerationSettings::read(&settings, &Map::new())
    };
    let error =
        read(r#"{"num_beams": "four", "guidance_scale": 0.5, "bad_words_ids": [[]], "sequence_bias": [[[1], 2.0]]}"#)
            .unwrap_err()
            .to_string();
    assert!(
        ["num_beams", "guidance_scale", "bad_words_ids", "sequence_bias"].iter().all(|field| error.contains(field)),
        "{error}"
    );
    let error = read(r#"{"do_sample": true, "num_beams": 2, "top_p": 0.0}"#).unwrap_err().to_string();
    assert!(error.contains("num_beams") && error.contains("top_p"), "{error}");
    let error = read(r#"{"stop_strings": ["a"], "do_sample": true, "top_h": 0.4}"#).unwrap_err().to_string();
    assert!(error.contains("stop_strings") && error.contains("top_h"), "{error}");
    let unused = read(r#"{"typical_p": 0.5, "top_h": 0.4, "stop_strings": null}"#).unwrap();
    assert!(unused.sampling.is_none(), "what nothing is drawn by changes nothing");
    let settings = read(r#"{"do_sample": true, "temperature": 0.5, "eos_token_id": 3}"#).unwrap();
    assert_eq!((settings.sampling.unwrap().temperature, settings.ends), (0.5, vec![3]));

    let long = tensor(&[vec![5; 32]]);
    let prompts = Prompts::new(&long, &long.ones_like(), vec![0]).unwrap();
    let mut steps = DecoderSteps::new(&loaded.network, &long.ones_like()).unwrap();
    let error = generate(&mut steps, &prompts, &GenerationSettings::default(), &mut |_, _| ()).unwrap_err();
    assert!(error.to_string().contains("33 tokens is longer than the 32"), "{error}");
    let right = tensor(&[vec![1, 0]]);
    assert!(Prompts::new(&right, &right, vec![0]).is_err(), "padding behind a prompt");
    let other = load_options(&SEQUENCE_CLASSIFICATION);
    let other = LoadedModel::load(&fixture("parity/bert-sequence-classification"), &other).unwrap();
    assert!(DecoderSteps::new(&other.network, &right).is_err());
}

#[test]
fn a_length_counts_the_prompt_where_nothing_says_how_many_tokens_are_new() {
    let read = |generation: Value, config: Value| {
        let [generation, config] = [generation, config].map(|it| it.as_object().unwrap().clone());
        GenerationSettings::read(&generation, &config).map(|it| (it.max_new_tokens, it.max_length))
    };
    assert_eq!(read(json!({"max_length": 9}), json!({})).unwrap(), (8, Some(9)));
    assert_eq!(read(json!({"max_length": 9, "max_new_tokens": 5}), json!({})).unwrap(), (5, None));
    // As transformers reads it: config.json counts where there is no other file.
    assert_eq!(read(json!({}), json!({"max_length": 7})).unwrap(), (6, Some(7)));
    let usual = GenerationSettings::default().max_new_tokens;
    assert_eq!(read(json!({"eos_token_id": 2}), json!({"max_length": 7})).unwrap(), (usual, None));
    // What is written about another text begins with one token.
    let about_others = json!({"is_encoder_decoder": true});
    assert_eq!(read(json!({"max_length": 9}), about_others).unwrap(), (8, None));
    // Nor of anything else but the tokens that texts begin and end with.
    let both = |generation: serde_json::Value| {
        let config = json!({"forced_eos_token_id": 2, "num_beams": 3, "eos_token_id": 2});
        let read = GenerationSettings::read(generation.as_object().unwrap(), config.as_object().unwrap()).unwrap();
        (read.forced_end, read.beams, read.ends)
    };
    assert_eq!(both(json!({})), (Some(2), 3, vec![2]));
    assert_eq!(both(json!({"pad_token_id": 1})), (None, 1, vec![2]));
    let error = read(json!({"max_length": 1}), json!({})).unwrap_err().to_string();
    assert!(error.contains("`max_length` counts the prompt"), "{error}");

    let loaded = load("llama-causal-lm");
    let (ids, mask) = (tensor(&[vec![1, 5, 6], vec![5, 6, 7]]), tensor(&[vec![0, 1, 1], vec![1, 1, 1]]));
    let prompts = Prompts::new(&ids, &mask, vec![0, 1]).unwrap();
    let continued = |most: usize| {
        let settings = GenerationSettings { max_length: Some(most), ..GenerationSettings::default() };
        let mut steps = DecoderSteps::new(&loaded.network, &mask).unwrap();
        generate(&mut steps, &prompts, &settings, &mut |_, _| ())
    };
    let lengths: Vec<usize> = continued(5).unwrap().iter().map(|one| one.tokens.len()).collect();
    assert_eq!(lengths, [3, 2], "padding is no token of a text");
    let error = continued(3).unwrap_err().to_string();
    assert!(error.contains("a prompt has 3 tokens, but `max_length` is 3"), "{error}");
}
