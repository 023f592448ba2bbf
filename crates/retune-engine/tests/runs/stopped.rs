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
