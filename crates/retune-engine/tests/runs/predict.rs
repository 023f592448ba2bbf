//! Prediction answers while it reads, and each line has its answer.

use crate::support::{Nobody, recipe, run, with};
use retune_engine::predict::{PredictOptions, predict};
use retune_engine::{Recipe, Start};
use serde_json::Value;
use std::cell::RefCell;
use std::io::{self, BufReader, Read, Write};
use std::rc::Rc;

#[derive(Clone, Default)]
struct Answers(Rc<RefCell<Vec<u8>>>);

impl Answers {
    fn count(&self) -> usize {
        self.0.borrow().iter().filter(|&&byte| byte == b'\n').count()
    }

    fn values(&self) -> Vec<Value> {
        let bytes = self.0.borrow();
        std::str::from_utf8(&bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Answers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives one line a read, and notes how many answers were there by then.
struct Typist {
    lines: Vec<String>,
    given: usize,
    answers: Answers,
    seen: Rc<RefCell<Vec<usize>>>,
}

impl Read for Typist {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.seen.borrow_mut().push(self.answers.count());
        let Some(line) = self.lines.get(self.given) else { return Ok(0) };
        self.given += 1;
        buffer[..line.len()].copy_from_slice(line.as_bytes());
        Ok(line.len())
    }
}

fn options(recipe: &Recipe, batch_size: usize) -> PredictOptions {
    PredictOptions {
        model: recipe.run.output.clone(),
        task: None,
        overrides: toml::Table::new(),
        batch_size,
        precision: "fp32".into(),
        device: "cpu".into(),
        threads: 1,
        files: None,
    }
}

#[test]
fn answers_come_before_the_input_ends_and_lines_keep_their_order() {
    let (_folder, recipe) = recipe();
    run(&with(&recipe, "steps = 1"), Start::New, &mut Nobody).unwrap();
    let lines: Vec<String> =
        (0..70).map(|i| if i % 7 == 3 { "\n".into() } else { format!("film {i} was fine\n") }).collect();
    for (batch_size, first_answers_at) in [(1, 1), (2, 32)] {
        let answers = Answers::default();
        let seen = Rc::default();
        let typist = Typist { lines: lines.clone(), given: 0, answers: answers.clone(), seen: Rc::clone(&seen) };
        let reader = Box::new(BufReader::new(typist));
        let count = predict(&options(&recipe, batch_size), None, reader, &mut answers.clone(), &mut []).unwrap();
        assert_eq!(count, 70);
        let seen = seen.borrow();
        assert_eq!(seen[..first_answers_at], vec![0; first_answers_at], "nothing to answer yet");
        assert_eq!(seen[first_answers_at], first_answers_at, "the first part is answered before more is read");
        let values = answers.values();
        let texts: Vec<String> = values.iter().map(|value| format!("{}\n", value["text"].as_str().unwrap())).collect();
        assert_eq!(texts, lines);
        assert!(values.iter().all(|value| value["prediction"].is_string()));
    }
}

#[test]
fn a_file_is_answered_whole_and_in_order() {
    let (_folder, recipe) = recipe();
    run(&with(&recipe, "steps = 1"), Start::New, &mut Nobody).unwrap();
    let answers = Answers::default();
    let test = recipe.data.test.as_deref();
    // Parts of one row: 20 of them.
    let count = predict(&options(&recipe, 1), test, Box::new(io::empty()), &mut answers.clone(), &mut []).unwrap();
    assert_eq!(count, 20);
    let kept = std::fs::read_to_string(recipe.run.output.join("predictions.jsonl")).unwrap();
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let plain = |values: &[Value]| -> Vec<_> {
        values.iter().map(|v| (v["text"].clone(), v["label"].clone(), v["prediction"].clone())).collect()
    };
    assert_eq!(plain(&answers.values()), plain(&kept));
}
