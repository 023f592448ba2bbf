//! A run that is asked to stop leaves a checkpoint, and goes on from there as if nothing had happened.

use crate::support::{Nobody, recipe, run, with};
use retune_engine::step::StepReport;
use retune_engine::{Control, EngineError, Observer, Recipe, Start};
use std::fs;

/// Asks to stop after a step, as Ctrl-C does: from then on, whenever asked.
struct StopAt(u64);
impl Observer for StopAt {
    fn on_step(&mut self, report: &StepReport) -> anyhow::Result<Control> {
        Ok(if report.step >= self.0 { Control::Stop } else { Control::Continue })
    }
}

#[test]
fn stopping_in_any_step_also_the_last_can_be_continued() {
    let (_folder, recipe) = recipe();
    let recipe = with(&recipe, "baselines = 'all'\ndropout = 0.1");
    let at = |name: String| {
        let mut recipe = recipe.clone();
        recipe.run.output = recipe.run.output.with_file_name(name);
        recipe
    };
    let whole = at("whole".to_owned());
    run(&whole, Start::New, &mut Nobody).unwrap();
    let read = |recipe: &Recipe, name: &str| fs::read(recipe.run.output.join(name)).unwrap();
    for last in [4, 10] {
        let stopped = at(format!("stopped-{last}"));
        match run(&stopped, Start::New, &mut StopAt(last)) {
            Err(EngineError::Interrupted { step, output }) => {
                assert_eq!((step, output), (last, stopped.run.output.clone()))
            }
            other => panic!("{other:?}"),
        }
        assert!(!stopped.run.output.join("metrics.json").exists());
        run(&stopped, Start::Resume, &mut Nobody).unwrap();
        for file in ["model/model.safetensors", "predictions.jsonl"] {
            assert!(read(&stopped, file) == read(&whole, file), "{file} differs after a stop in step {last}");
        }
        assert!(
            stopped.run.output.join("report.html").is_file()
                && !stopped.run.output.join(".baseline").join("model").exists()
        );
    }
}

#[test]
fn averages_of_weights_are_saved_and_go_on_as_if_nothing_had_happened() {
    let (_folder, recipe) = recipe();
    let at = |name: &str, keys: &str| {
        let mut recipe = with(&recipe, keys);
        recipe.run.output = recipe.run.output.with_file_name(name);
        recipe
    };
    let read = |recipe: &Recipe| fs::read(recipe.run.output.join("model/model.safetensors")).unwrap();
    let (plain, whole, stopped) = (at("plain", ""), at("whole", "ema = 0.9"), at("stopped", "ema = 0.9"));
    run(&plain, Start::New, &mut Nobody).unwrap();
    run(&whole, Start::New, &mut Nobody).unwrap();
    assert!(matches!(run(&stopped, Start::New, &mut StopAt(4)), Err(EngineError::Interrupted { step: 4, .. })));
    run(&stopped, Start::Resume, &mut Nobody).unwrap();
    assert!(read(&stopped) == read(&whole) && read(&whole) != read(&plain));
    assert!(!whole.run.output.join("model/learnt.safetensors").exists(), "part of a checkpoint, not of the model");
}

#[test]
fn a_few_examples_are_learnt_by_heart_or_it_is_said_that_they_are_not() {
    let (_folder, recipe) = recipe();
    let notes = |name: &str, keys: &str| {
        let mut recipe = with(&recipe, keys);
        recipe.run.output = recipe.run.output.with_file_name(name);
        let finished = run(&recipe, Start::New, &mut Nobody).unwrap();
        assert!(finished.summary.test.is_none());
        (finished.summary.best.unwrap().step, finished.notes.join("\n"))
    };
    let keys = "overfit = 4\nlearning-rate = 0.01\nschedule = 'constant'\nevaluate-every = 10\n";
    let (_, said) = notes("learnt", &format!("{keys}steps = 300"));
    assert!(said.contains("overfit: the first 4 training examples are learnt by heart"), "{said}");
    let (_, said) = notes("not", &format!("{keys}steps = 2"));
    assert!(said.contains("overfit: NOT reached"), "{said}");
}
