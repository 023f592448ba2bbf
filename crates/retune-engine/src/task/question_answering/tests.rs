//! Windows that are joined, thresholds that are chosen, answers as they are written.

use super::*;
use crate::task::Split;
use retune_data::annotations::answers::{Candidate, QuestionOptions};
use retune_data::{Dataset, TextOptions, Tokenizer};

const SQUAD: &str = r#"{"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": "Zoë lives in Rome. Bob is old.",
    "qas": [
        {"id": "a", "question": " Where does Zoë live?", "answers": [{"text": "Rome", "answer_start": 13}], "is_impossible": false},
        {"id": "b", "question": "Who is Eve?", "answers": [], "is_impossible": true}
    ]}]}]}"#;

/// The questions above, and the folder that they were read from.
fn data() -> (tempfile::TempDir, Data<QuestionAnswering>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dev.json");
    std::fs::write(&path, SQUAD).unwrap();
    let file = Arc::new(QuestionFile::read(&path, &QuestionOptions::default()).unwrap());
    let tokenizer =
        Tokenizer::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny-tokenizer")).unwrap();
    let options = TextOptions::new(64).windows(4).offsets();
    let medium = TextAs::encode(&file, &tokenizer, &options, &|_, _| {}).unwrap();
    let spans = Spans::of(&file);
    let examples = Examples::new(file, medium, spans).unwrap();
    (folder, examples)
}

fn task(given: Option<bool>) -> QuestionAnswering {
    QuestionAnswering { given, ..QuestionAnswering::new(&AnswerSettings::default()) }
}

/// One window that finds `span`, with so much for it and for no answer.
fn window(span: (usize, usize), score: f32, null_score: f32) -> Answer {
    let candidate = Candidate { span: Span::new(span.0, span.1), start_logit: score, end_logit: 0.0 };
    Answer::Window(WindowAnswers { candidates: vec![candidate], null_score })
}

#[test]
fn targets_are_tokens_of_the_answer_or_the_first() {
    let (_folder, data) = data();
    let batch = data.batch(&[0, 1], None).unwrap();
    let ids = batch.inputs["input_ids"].shape.clone();
    let place = |name: &str, row: usize| match &batch.targets[name].data {
        retune_data::ArrayData::I64(values) => values[row] as usize,
        _ => panic!("positions are integers"),
    };
    let seen = data.seen(0).unwrap();
    let (start, end) = (place("start_positions", 0), place("end_positions", 0));
    assert!(start <= end && end < ids[1]);
    assert_eq!((seen.places[start].start, seen.places[end].end, seen.places[start].sequence), (13, 17, Some(1)));
    assert_eq!((place("start_positions", 1), place("end_positions", 1)), (0, 0));
}

#[test]
fn the_threshold_of_no_answer_is_chosen_kept_and_applied() {
    let (_folder, data) = data();
    let fresh = task(Some(true));
    // Both questions are answered by words at first: the second one wrongly, with more doubt.
    let answers = |task: &QuestionAnswering| {
        let of = |example, score, null| {
            task.merge(&data, example, vec![window((0, 1), score - 9.0, null), window((13, 17), score, null + 1.0)])
        };
        [of(0, 5.0, 1.0).unwrap(), of(1, 3.0, 2.5).unwrap()]
    };
    let mut scorer = fresh.scorer();
    for (example, answer) in answers(&fresh).iter().enumerate() {
        scorer.add(&data, example, answer).unwrap();
    }
    assert_eq!(scorer.evaluation().metrics["exact_match"], 0.5);
    let decision = scorer.decide().unwrap().unwrap();
    assert_eq!((decision.key, decision.chosen["threshold"].as_f64()), (KEY, Some(-4.0)));
    let after = scorer.evaluation();
    assert_eq!((after.metrics["exact_match"], after.metrics["NoAns_exact"]), (1.0, 1.0));
    assert_eq!(after.decided().count(), 1);

    let saved = task(None);
    saved.adopt(&decision).unwrap();
    let [first, second] = answers(&saved);
    let first = saved.describe(&data, 0, &first).unwrap();
    assert_eq!((&first["answer"], &first["start"], &first["end"]), (&json!("Rome"), &json!(13), &json!(17)));
    let second = saved.describe(&data, 1, &second).unwrap();
    assert_eq!((&second["answer"], &second["start"]), (&json!(""), &Value::Null));
    let n_best = second["n_best"].as_array().unwrap();
    assert_eq!((n_best.len(), &n_best[0]["answer"]), (3, &json!("Rome")));
    let sum: f64 = n_best.iter().map(|it| it["score"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-12);
    assert!(task(None).adopt(&Decision { key: KEY, chosen: Map::new() }).is_err());
}

#[test]
fn what_is_right_scores_best_and_guesses_are_words_of_the_context() {
    let (_folder, data) = data();
    let work = Prepared::part(Arc::new(task(Some(true))), data);
    let ideal = work.ideal(Split::Test).unwrap().unwrap();
    assert_eq!((ideal.metrics["f1"], ideal.metrics["exact_match"]), (1.0, 1.0));
    let (_folder, data) = self::data();
    let task = task(Some(true));
    let mut guess = task.guess(&data).unwrap().unwrap();
    let guessed = (guess.answer)(&data, 0).unwrap();
    assert_eq!(task.describe(&data, 0, &guessed).unwrap()["answer"], "Zoë lives in Rome.");
    let said = task.said(&data, 0, &guessed).unwrap();
    let kinds: Vec<Mark> = said.marked.unwrap().spans.iter().map(|span| span.kind).collect();
    assert_eq!((said.right.as_str(), kinds), ("Rome", vec![Mark::Missed, Mark::Invented]));
}

#[test]
fn where_every_question_has_an_answer_no_threshold_is_kept() {
    let (_folder, data) = data();
    let sure = task(Some(false));
    let answer = |task: &QuestionAnswering| task.merge(&data, 0, vec![window((13, 17), 1.0, 50.0)]).unwrap();
    let mut scorer = sure.scorer();
    scorer.add(&data, 0, &answer(&sure)).unwrap();
    assert!(scorer.decide().unwrap().is_none());
    assert_eq!(scorer.evaluation().decided().count(), 0);
    // So whoever uses the model gets words, however much "no answer" scores.
    let saved = task(None);
    let said = saved.describe(&data, 0, &answer(&saved)).unwrap();
    assert_eq!((&said["answer"], said["n_best"].as_array().unwrap().len()), (&json!("Rome"), 1));
}
