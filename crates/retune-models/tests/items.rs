//! Encoders of histories equal PyTorch's own layers: scores, loss and every gradient (`fixtures/recommendation`, by
//! `scripts/fixtures_recommendation.py`).

mod common;

use common::{case, difference, fixture, inputs, load_options};
use retune_kernels::loss::{self, IGNORE_INDEX};
use retune_kernels::tch::{Kind, Tensor, no_grad};
use retune_models::checkpoint::{GivenTensor, read_tensors};
use retune_models::heads::{LOGIT_POSITIONS, NEXT_ITEM, SCORE_WEIGHT, SCORED};
use retune_models::item_texts::rows_of;
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

/// A text encoder that learns with the model: scores and gradients of the items of a batch, and of all items by what is kept.
#[test]
fn an_encoder_of_texts_learns_with_the_model_as_in_pytorch() {
    let (loaded, case) = (load("sasrec-encoder"), case("recommendation/sasrec-encoder/case.safetensors"));
    let open = case["input.attention_mask"].ne(0);
    let of = |group: &str| -> Tensors {
        let named =
            case.iter().filter_map(|(name, it)| Some((name.strip_prefix(group)?.to_owned(), it.shallow_clone())));
        named.collect()
    };
    let all = of("input.");
    assert_eq!((loaded.network.blocks(), loaded.params.lowest_trainable_depth()), (2 + 1 + 2, 0));
    for recomputed in [false, true] {
        let mode = Mode::training(0).with_factors();
        let (outputs, again) = match recomputed {
            true => loaded.network.forward_recomputed(&all, &mode).unwrap(),
            false => (loaded.network.forward(&all, &mode).unwrap(), None),
        };
        let (states, weight) = (outputs.get(SCORED).unwrap(), outputs.get(SCORE_WEIGHT).unwrap());
        let logits = states.matmul(&weight.transpose(0, 1));
        assert!(difference(&logits.index(&[Some(&open)]).detach(), &case["logits"]) < 1e-5);
        let (labels, numbers) = (&case["labels"], &case["input.item_numbers"]);
        let rows = rows_of(labels, numbers).masked_fill(&labels.le(0), IGNORE_INDEX).view([-1]);
        let summed = loss::cross_entropy(&logits.view([-1, numbers.size()[0]]), &rows, None, 0.0);
        let mean = (summed.sum / summed.weight).to_kind(Kind::Float);
        assert!(difference(&mean.view([1]).detach(), &case["loss"].view([1])) < 1e-5);
        mean.backward();
        drop(outputs);
        again.map_or(Ok(()), |it| it.backward()).unwrap();
        let mut compared = 0;
        for param in loaded.params.trainable() {
            let gradient = param.gradient().unwrap_or_else(|| panic!("{} received no gradient", param.name));
            let scale = if recomputed { 2.0 } else { 1.0 };
            let worst = difference(&gradient, &(&case[&format!("grad.{}", param.name)] * scale));
            assert!(worst < 2e-5, "{}: {worst}", param.name);
            compared += 1;
        }
        assert_eq!(compared, case.keys().filter(|key| key.starts_with("grad.")).count());
    }
    // Passes without texts read what was kept, first that of the file.
    let histories = Tensors::from([
        ("input_ids", case["input.input_ids"].shallow_clone()),
        ("attention_mask", case["input.attention_mask"].shallow_clone()),
    ]);
    let scores = || common::logits(&loaded, &histories, &Mode::evaluation()).index(&[Some(&open)]);
    assert!(difference(&scores(), &case["all.logits"]) > 1e-2);
    let texts = loaded.network.body.item_texts().unwrap();
    let said = no_grad(|| texts.encode(&of("all."))).unwrap();
    assert!(difference(&said, &case["all.features"]) < 1e-5);
    texts.keep(&case["all.item_numbers"], &said).unwrap();
    assert!(difference(&scores(), &case["all.logits"]) < 1e-5);
    // What was kept is saved, and comes back with the weights.
    let saved = tempfile::tempdir().unwrap();
    loaded.save(saved.path(), "").unwrap();
    let mut again = load("sasrec-encoder");
    again.restore(saved.path()).unwrap();
    let restored = common::logits(&again, &histories, &Mode::evaluation()).index(&[Some(&open)]);
    assert_eq!(restored, scores());
    // Frozen blocks are those of the encoder; what lies above learns from what was kept.
    let frozen = loaded.network.frozen(&histories, &Mode::training(3)).unwrap();
    let continued = common::logits(&loaded, &frozen, &Mode::evaluation()).index(&[Some(&open)]);
    assert!(difference(&continued, &scores()) < 1e-6);
}
