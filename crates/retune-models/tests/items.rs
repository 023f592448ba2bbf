//! Encoders of histories equal PyTorch's own layers: scores, loss and every gradient (`fixtures/recommendation`, by
//! `scripts/fixtures_recommendation.py`).

mod common;

use common::{case, difference, fixture, inputs, load_options};
use retune_kernels::loss::{self, IGNORE_INDEX};
use retune_kernels::tch::{Kind, Tensor};
use retune_models::checkpoint::{GivenTensor, read_tensors};
use retune_models::heads::{LOGIT_POSITIONS, NEXT_ITEM, SCORE_WEIGHT, SCORED};
use retune_models::registry::purposes_of_class;
use retune_models::{LoadOptions, LoadedModel, Mode, NewHead, Tensors};
use std::sync::Arc;

const MODELS: [&str; 3] = ["sasrec", "bert4rec", "sasrec-texts"];

fn load(name: &str) -> LoadedModel {
    let loaded = LoadedModel::load(&fixture(&format!("recommendation/{name}")), &load_options(&NEXT_ITEM)).unwrap();
    assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
    assert_eq!(purposes_of_class(&loaded.config), [&NEXT_ITEM]);
    loaded
}

/// Labels from 1 as columns of scores.
fn columns(labels: &Tensor) -> Tensor {
    (labels - 1).masked_fill(&labels.le(0), IGNORE_INDEX).view([-1])
}

#[test]
fn scores_losses_and_gradients_equal_pytorch() {
    for name in MODELS {
        println!("{name}");
        let (loaded, case) = (load(name), case(&format!("recommendation/{name}/case.safetensors")));
        let all = inputs(&case);
        let open = case["input.attention_mask"].ne(0);
        let logits = common::logits(&loaded, &all, &Mode::evaluation());
        assert!(difference(&logits.index(&[Some(&open)]), &case["logits"]) < 1e-5, "{name}");
        let logits = common::logits(&loaded, &all, &Mode::training(0));
        let items = logits.size()[2];
        let summed = loss::cross_entropy(&logits.view([-1, items]), &columns(&case["input.labels"]), None, 0.0);
        let mean = (summed.sum / summed.weight).to_kind(Kind::Float);
        assert!(difference(&mean.view([1]).detach(), &case["loss"].view([1])) < 1e-5, "{name}");
        mean.backward();
        let mut compared = 0;
        for param in loaded.params.trainable() {
            let gradient = param.gradient().unwrap_or_else(|| panic!("{name}: {} received no gradient", param.name));
            let worst = difference(&gradient, &case[&format!("grad.{}", param.name)]);
            assert!(worst < 1e-5, "{name}, {}: {worst}", param.name);
            compared += 1;
        }
        assert_eq!(compared, case.keys().filter(|key| key.starts_with("grad.")).count(), "{name}");
    }
}

/// What training and recommending read: factors at the places that are asked for.
#[test]
fn factors_at_chosen_places_are_the_same_scores() {
    for name in MODELS {
        let (loaded, case) = (load(name), case(&format!("recommendation/{name}/case.safetensors")));
        let whole = common::logits(&loaded, &inputs(&case), &Mode::evaluation());
        let mut chosen = inputs(&case);
        chosen.insert(LOGIT_POSITIONS, Tensor::from_slice2(&[[6i64, 2], [3, -1], [0, 1], [0, -1]]));
        let outputs: Tensors = loaded.network.forward(&chosen, &Mode::evaluation().with_factors()).unwrap();
        let scores = outputs.get(SCORED).unwrap().matmul(&outputs.get(SCORE_WEIGHT).unwrap().transpose(0, 1));
        for (row, (example, place)) in [(0, 6), (0, 2), (1, 3), (2, 0), (2, 1), (3, 0)].into_iter().enumerate() {
            assert!(difference(&scores.get(row as i64), &whole.get(example).get(place)) < 1e-5, "{name}");
        }
    }
}

/// A model of texts moves to another catalogue: what a task brings stands in the place of the stored tensor.
#[test]
fn features_of_another_catalogue_take_the_place_of_the_stored_ones() {
    let name = "model.item_features.weight";
    let stored = &read_tensors(&fixture("recommendation/sasrec-texts/model.safetensors")).unwrap()[name];
    // Its first items alone.
    let fewer = stored.narrow(0, 0, 5).contiguous();
    let values = Vec::<f32>::try_from(fewer.view([-1])).unwrap();
    let given = GivenTensor { name: name.to_owned(), shape: fewer.size(), values };
    let head = NewHead::of(&NEXT_ITEM).field("num_items", 4).given(Arc::new(given));
    let options = LoadOptions { head: Some(head.clone()), ..load_options(&NEXT_ITEM) };
    let loaded = LoadedModel::load(&fixture("recommendation/sasrec-texts"), &options).unwrap();
    assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
    let ids = Tensors::from([("input_ids", Tensor::from_slice2(&[[1i64, 4, 2]]))]);
    let few = common::logits(&loaded, &ids, &Mode::evaluation());
    let many = common::logits(&load("sasrec-texts"), &ids, &Mode::evaluation());
    assert!(difference(&few, &many.narrow(2, 0, 4)) < 1e-6);
    let saved = tempfile::tempdir().unwrap();
    loaded.save(saved.path(), "").unwrap();
    let again = LoadedModel::load(saved.path(), &load_options(&NEXT_ITEM)).unwrap();
    assert_eq!(common::logits(&again, &ids, &Mode::evaluation()), few);
    // Of another size than the configuration says.
    let options = LoadOptions { head: Some(head.field("num_items", 3)), ..load_options(&NEXT_ITEM) };
    let error = LoadedModel::load(&fixture("recommendation/sasrec-texts"), &options).err().unwrap().to_string();
    assert!(error.contains(name), "{error}");
}
