//! What frozen blocks return, given to the others, is as good as the inputs themselves.

mod common;

use common::{case, difference, fixture, inputs, load_options};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Param, dropout};
use retune_models::heads::{
    AUDIO_CLASSIFICATION, CAUSAL_LM, IMAGE_CLASSIFICATION, MASKED_IMAGE_MODELING, MASKED_WORDS, OBJECT_DETECTION,
    QUESTION_ANSWERING, SEMANTIC_SEGMENTATION, SEQUENCE_CLASSIFICATION, SEQUENCE_TO_SEQUENCE, SPEECH_RECOGNITION,
    TOKEN_CLASSIFICATION,
};
use retune_models::{LoadOptions, LoadedModel, Mode, Purpose, Recomputed, Tensors};

/// Every family with every head: folder and purpose.
fn models() -> Vec<(String, &'static Purpose)> {
    let mut models = Vec::new();
    for family in ["bert", "roberta", "distilbert", "electra", "albert", "mpnet", "modernbert", "deberta-v2"] {
        for purpose in [&SEQUENCE_CLASSIFICATION, &TOKEN_CLASSIFICATION, &QUESTION_ANSWERING, &MASKED_WORDS] {
            models.push((format!("{family}-{}", purpose.key), purpose));
        }
    }
    for name in [
        "vit-image-classification",
        "deit-with-teacher",
        "beit-relative-position",
        "beit-shared-relative-position",
        "dinov2-swiglu",
        "swin-image-classification",
        "convnext-image-classification",
        "convnextv2-image-classification",
        "swinv2-image-classification",
        "dinov2-with-registers",
        "segformer-image-classification",
        "resnet-image-classification",
    ] {
        models.push((name.to_owned(), &IMAGE_CLASSIFICATION));
    }
    for name in ["segformer", "beit", "data2vec-vision"] {
        models.push((format!("{name}-semantic-segmentation"), &SEMANTIC_SEGMENTATION));
    }
    models.push(("upernet-swin".to_owned(), &SEMANTIC_SEGMENTATION));
    models.push(("mobilevit".to_owned(), &SEMANTIC_SEGMENTATION));
    models.push(("mobilevitv2".to_owned(), &SEMANTIC_SEGMENTATION));
    for name in ["llama-causal-lm", "gpt2-causal-lm", "gemma2-causal-lm"] {
        models.push((name.to_owned(), &CAUSAL_LM));
    }
    for name in ["bart", "marian", "m2m-100", "t5-gated"] {
        models.push((name.to_owned(), &SEQUENCE_TO_SEQUENCE));
    }
    models.push(("llama-sequence-classification".to_owned(), &SEQUENCE_CLASSIFICATION));
    models.push(("llama-question-answering".to_owned(), &QUESTION_ANSWERING));
    models.push(("gpt2-token-classification".to_owned(), &TOKEN_CLASSIFICATION));
    for name in ["bart-sequence-classification", "mbart-sequence-classification", "t5-sequence-classification"] {
        models.push((name.to_owned(), &SEQUENCE_CLASSIFICATION));
    }
    models.push(("bart-question-answering".to_owned(), &QUESTION_ANSWERING));
    models.push(("t5-token-classification".to_owned(), &TOKEN_CLASSIFICATION));
    models.push(("yolos-object-detection".to_owned(), &OBJECT_DETECTION));
    models.push(("detr-object-detection".to_owned(), &OBJECT_DETECTION));
    for name in ["conditional-detr", "deformable-detr", "deformable-detr-two-stage"] {
        models.push((name.to_owned(), &OBJECT_DETECTION));
    }
    models.push(("rt-detr".to_owned(), &OBJECT_DETECTION));
    models.push(("vit-mae".to_owned(), &MASKED_IMAGE_MODELING));
    for name in [
        "wav2vec2-speech-recognition",
        "wav2vec2-stable-layer-norm",
        "wavlm-speech-recognition",
        "whisper-untied",
        "wav2vec2-bert-shortened",
    ] {
        models.push((name.to_owned(), &SPEECH_RECOGNITION));
    }
    for name in [
        "wav2vec2-weighted-layers",
        "wavlm-audio-classification",
        "ast-audio-classification",
        "kwt-audio-classification",
        "wav2vec2-bert-audio-classification",
    ] {
        models.push((name.to_owned(), &AUDIO_CLASSIFICATION));
    }
    models
}

/// Convolutions have none to switch off.
fn has_dropout(name: &str) -> bool {
    !["convnext", "resnet"].iter().any(|family| name.starts_with(family))
}

#[test]
fn continuing_from_any_frozen_block_is_the_same_computation() {
    for (name, purpose) in models() {
        let dropout = has_dropout(&name).then_some(0.0);
        let options = LoadOptions { dropout, ..load_options(purpose) };
        let loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), &options).unwrap();
        let inputs = inputs(&case(&format!("parity/{name}/case.safetensors")));
        for depth in 1..=loaded.network.blocks() + 1 {
            let train = Mode::training(depth);
            let kept = loaded.network.frozen(&inputs, &train).unwrap();
            let (at, hidden) = kept.hidden_states().unwrap();
            assert_eq!(at, depth);
            assert!(!hidden.requires_grad());
            let rows = |tensor: &Tensor| tensor.size()[0];
            assert!(kept.iter().all(|(_, tensor)| rows(tensor) == rows(hidden)), "{name}: not one row for each input");
            for mode in [train, Mode::evaluation()] {
                let whole = loaded.network.forward(&inputs, &mode).unwrap();
                let rest = loaded.network.forward(&kept, &mode).unwrap();
                assert_eq!(whole.iter().count(), rest.iter().count());
                for (output, whole) in whole.iter() {
                    let worst = difference(rest.get(output).unwrap(), whole);
                    assert!(worst < 1e-6, "{name} from block {depth}, {output}: {worst}");
                }
            }
        }
    }
}

/// Gradients of all parameters, of a loss that every output has a part in.
fn gradients<'a>(loaded: &LoadedModel, forward: impl FnOnce() -> (Tensors, Option<Recomputed<'a>>)) -> Vec<Tensor> {
    dropout::set_stream(11);
    let (outputs, recomputed) = forward();
    let floats = outputs.iter().map(|(_, output)| output).filter(|output| output.requires_grad());
    let loss = floats.map(|output| (output.sin() * output).sum(Kind::Float)).fold(Tensor::from(0.0f32), |a, b| a + b);
    loss.backward();
    drop(outputs);
    recomputed.map_or(Ok(()), Recomputed::backward).unwrap();
    let take = |param: &Param| {
        let gradient = param.gradient().map_or_else(|| param.leaf().detach().zeros_like(), |gradient| gradient.copy());
        param.leaf().zero_grad();
        gradient
    };
    loaded.params.iter().map(take).collect()
}

#[test]
fn computing_blocks_again_gives_the_same_gradients() {
    for (name, purpose) in models() {
        let dropout = has_dropout(&name).then_some(0.2);
        let options = LoadOptions { dropout, ..load_options(purpose) };
        let loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), &options).unwrap();
        let inputs = inputs(&case(&format!("parity/{name}/case.safetensors")));
        for depth in [0, 2, loaded.network.blocks() + 1] {
            let mode = Mode::training(depth);
            let kept = gradients(&loaded, || (loaded.network.forward(&inputs, &mode).unwrap(), None));
            let again = gradients(&loaded, || loaded.network.forward_recomputed(&inputs, &mode).unwrap());
            assert!(
                kept.iter().any(|gradient| gradient.count_nonzero(None::<i64>).int64_value(&[]) > 0),
                "{name}: nothing learns"
            );
            for (param, (kept, again)) in loaded.params.iter().zip(kept.iter().zip(&again)) {
                // Contributions to a table that all blocks share, and of layers that the head reads one by one, are added up in
                // another order.
                let shared = ["rel", "query_position"].iter().any(|part| param.name.contains(part));
                let several = [&OBJECT_DETECTION, &AUDIO_CLASSIFICATION, &SEMANTIC_SEGMENTATION].contains(&purpose);
                // Norms over the few places of its last maps multiply what is rounded.
                let steep = name == "mobilevitv2";
                let most = if steep {
                    1e-5
                } else if shared || several {
                    1e-6
                } else {
                    0.0
                };
                let worst = difference(kept, again);
                assert!(worst <= most, "{name}, trained from block {depth}: {} by {worst}", param.name);
            }
        }
    }
}

#[test]
fn hidden_states_are_found_by_their_name() {
    let mut inputs = Tensors::default();
    assert!(inputs.hidden_states().is_none());
    inputs.insert(&Tensors::hidden_states_name(7), retune_kernels::tch::Tensor::from(1.0f32));
    assert_eq!(inputs.hidden_states().unwrap().0, 7);
}
