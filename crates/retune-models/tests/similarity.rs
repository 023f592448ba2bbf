//! Vectors of texts and their losses equal PyTorch (`fixtures/similarity`, by `scripts/fixtures_similarity.py`).

mod common;

use common::{case, difference, fixture, inputs, test_device};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::tch::{Kind, Tensor};
use retune_models::heads::{NORMALIZE, POOLING, SENTENCE_EMBEDDINGS};
use retune_models::{LoadOptions, LoadedModel, Mode, NewHead};
use std::collections::BTreeMap;

#[test]
fn pooled_vectors_and_their_gradients_equal_pytorch() {
    let case = case("similarity/case.safetensors");
    for pooling in ["mean", "cls", "max"] {
        for normalize in [false, true] {
            let head = NewHead::of(&SENTENCE_EMBEDDINGS).field(POOLING, pooling).field(NORMALIZE, normalize);
            let options = LoadOptions { head: Some(head), ..common::load_options(&SENTENCE_EMBEDDINGS) };
            let loaded = LoadedModel::load(&fixture("parity/bert-base-only"), &options).unwrap();
            assert!(loaded.report.new.is_empty() && loaded.report.unexpected.is_empty(), "{:?}", loaded.report);
            let name = format!("{pooling}{}", if normalize { ".normalize" } else { "" });
            let vectors = |mode: &Mode| {
                let outputs = loaded.network.forward(&inputs(&case), mode).unwrap();
                outputs.get("sentence_embedding").unwrap().shallow_clone()
            };
            let expected = &case[&format!("{name}.sentence_embedding")];
            assert!(difference(&vectors(&Mode::evaluation()), expected) < 1e-5, "{name}");
            let trained = vectors(&Mode::training(0));
            let count = trained.numel() as i64;
            let weights = Tensor::linspace(-1.0, 1.0, count, (Kind::Float, test_device())).view_as(&trained);
            (trained * weights).sum(Kind::Float).backward();
            let prefix = format!("{name}.grad.");
            let grads = case.iter().filter_map(|(key, it)| Some((key.strip_prefix(&prefix)?, it)));
            assert_eq!(grads.clone().count(), 2);
            for (part, expected) in grads {
                let param = loaded.params.iter().find(|param| param.name == format!("bert.{part}")).unwrap();
                assert!(difference(&param.gradient().unwrap(), expected) < 1e-5, "{name} {part}");
            }
        }
    }
}

/// The mean loss and the gradients of its vectors.
fn check(case: &BTreeMap<String, Tensor>, name: &str, of: impl Fn(&[Tensor]) -> SummedLoss) {
    let parts = ["a", "b", "c"].into_iter().filter(|part| case.contains_key(&format!("{name}.{part}")));
    let vectors: Vec<(&str, Tensor)> =
        parts.map(|part| (part, case[&format!("{name}.{part}")].copy().set_requires_grad(true))).collect();
    let summed = of(&vectors.iter().map(|(_, it)| it.shallow_clone()).collect::<Vec<_>>());
    let mean = (summed.sum / summed.weight).to_kind(Kind::Float).view([1]);
    assert!(difference(&mean.detach(), &case[&format!("{name}.loss")]) < 1e-5, "{name}");
    mean.backward();
    for (part, vector) in &vectors {
        assert!(difference(&vector.grad(), &case[&format!("{name}.grad.{part}")]) < 1e-5, "{name} {part}");
    }
}

#[test]
fn losses_of_vectors_equal_pytorch() {
    let case = case("similarity/case.safetensors");
    check(&case, "score", |it| loss::squared_error(&loss::cosines(&it[0], &it[1]), &case["score.labels"]));
    check(&case, "label", |it| loss::contrastive(&loss::cosines(&it[0], &it[1]), &case["label.labels"], 0.5));
    let hidden = Tensor::zeros([4, 8], (Kind::Bool, retune_kernels::tch::Device::Cpu));
    check(&case, "own", |it| loss::in_batch_negatives(&it[0], &Tensor::cat(&it[1..], 0), &hidden, 20.0));
}
