//! What frozen blocks return, given to the others, is as good as the inputs themselves.

mod common;

use common::{case, difference, fixture, inputs, load_options, logits};
use retune_models::registry::Purpose;
use retune_models::{LoadOptions, LoadedModel, Mode, Tensors};

#[test]
fn continuing_from_any_frozen_block_is_the_same_computation() {
    let texts = ["bert", "roberta", "distilbert", "electra"].map(|name| format!("{name}-sequence-classification"));
    let images = ["vit-image-classification", "deit-with-teacher", "beit-shared-relative-position", "dinov2-swiglu"];
    let texts = texts.iter().map(|name| (name.as_str(), Purpose::SequenceClassification));
    for (name, purpose) in texts.chain(images.map(|name| (name, Purpose::ImageClassification))) {
        let options = LoadOptions { dropout: Some(0.0), ..load_options(purpose) };
        let loaded = LoadedModel::load(&fixture(&format!("parity/{name}")), &options).unwrap();
        let inputs = inputs(&case(&format!("parity/{name}/case.safetensors")));
        for depth in 2..=loaded.model.blocks() + 1 {
            let train = Mode::training(depth);
            let kept = loaded.model.frozen(&inputs, &train).unwrap().expect("these families can");
            let (at, hidden) = kept.hidden_states().unwrap();
            assert_eq!(at, depth);
            assert!(!hidden.requires_grad());
            for mode in [train, Mode::evaluation()] {
                let whole = logits(&loaded, &inputs, &mode);
                let rest = logits(&loaded, &kept, &mode);
                assert!(difference(&rest, &whole) < 1e-6, "{name} from block {depth}");
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
