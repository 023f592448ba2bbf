//! A run that is asked to stop leaves a checkpoint, and goes on from there as if nothing had happened.

use crate::support::{Nobody, recipe, run};
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
    let recipe = Recipe { baselines: "all".into(), dropout: Some(0.1), ..recipe };
    let whole = Recipe { output: recipe.output.with_file_name("whole"), ..recipe.clone() };
    run(&whole, Start::New, &mut Nobody).unwrap();
    let read = |recipe: &Recipe, name: &str| fs::read(recipe.output.join(name)).unwrap();
    for last in [4, 10] {
        let stopped = Recipe { output: recipe.output.with_file_name(format!("stopped-{last}")), ..recipe.clone() };
        match run(&stopped, Start::New, &mut StopAt(last)) {
            Err(EngineError::Interrupted { step, output }) => {
                assert_eq!((step, output), (last, stopped.output.clone()))
            }
            other => panic!("{other:?}"),
        }
        assert!(!stopped.output.join("metrics.json").exists());
        run(&stopped, Start::Resume, &mut Nobody).unwrap();
        for file in ["model/model.safetensors", "predictions.jsonl"] {
            assert!(read(&stopped, file) == read(&whole, file), "{file} differs after a stop in step {last}");
        }
        assert!(
            stopped.output.join("report.html").is_file() && !stopped.output.join(".baseline").join("model").exists()
        );
    }
}
