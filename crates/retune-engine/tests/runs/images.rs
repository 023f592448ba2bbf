//! Images whose files vanish while a run computes.

use crate::support::{fixture, recipe, run, with};
use anyhow::Result;
use retune_engine::step::StepReport;
use retune_engine::{Control, Observer, Start};
use std::fs;
use std::path::{Path, PathBuf};

/// Removes a folder once training has begun.
struct Remover(PathBuf);

impl Observer for Remover {
    fn on_step(&mut self, _report: &StepReport) -> Result<Control> {
        let _ = fs::remove_dir_all(&self.0);
        Ok(Control::Continue)
    }
}

fn copy(files: &[(&str, &str)], folder: &Path) {
    for (from, to) in files {
        let to = folder.join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(fixture("images/files").join(from), to).unwrap();
    }
}

#[test]
fn a_vanished_original_costs_its_picture_and_nothing_else() {
    let (desk, texts) = recipe();
    let at = |name: &str| desk.path().join(name);
    copy(&[("rgb.png", "a/1.png"), ("full.jpg", "a/2.jpg"), ("tall.png", "b/1.png")], &at("images"));
    // The same picture in both classes: one of the two answers is wrong.
    copy(&[("grey.png", "a/1.png"), ("grey.png", "b/1.png")], &at("gone"));
    let mut recipe = with(&texts, "task = 'image-classification'\nbatch-size = 2\nsteps = 2");
    recipe.data.model = fixture("parity/vit-image-classification").to_str().unwrap().to_owned();
    recipe.data.train = Some(at("images"));
    recipe.data.validation = Some(at("images"));
    recipe.data.test = Some(at("gone"));
    let finished = run(&recipe, Start::New, &mut Remover(at("gone"))).unwrap();
    assert!(!at("gone").exists());
    let expected = "1 of the worst errors have no picture in the report";
    assert!(finished.notes.iter().any(|note| note.contains(expected)), "{:?}", finished.notes);
    assert!(recipe.run.output.join("metrics.json").is_file());
    let report = fs::read_to_string(recipe.run.output.join("report.html")).unwrap();
    assert!(report.contains("gone/") && !report.contains(".png:0"), "places are paths without a line");
}
