//! Entities in texts and answers in contexts: from files as people have them to a model that marks.

use crate::support::{Desk, assert_done, assert_said, fixture, json, json_lines, read, text};

const TAGS: &str = "finetune --task token-classification --model MODEL --train train.conll --validation dev.jsonl --test dev.jsonl \
    --output run --epochs 30 --batch-size 4 --learning-rate 3e-3 --device cpu --threads 1 --precision fp32";

/// Cities after "in", people before "lives".
fn conll(rows: usize) -> String {
    let names = ["ann", "bob", "eve", "tom"];
    let cities = ["new york", "rome", "old town", "paris"];
    let mut all = "-DOCSTART- -X- O O\n\n".to_owned();
    for row in 0..rows {
        let mut word = |word: &str, tag: &str| all.push_str(&format!("{word} NN I-NP {tag}\n"));
        word(names[row % 4], "B-PER");
        word("lives", "O");
        word("in", "O");
        for (place, part) in cities[row / 2 % 4].split(' ').enumerate() {
            word(part, if place == 0 { "B-LOC" } else { "I-LOC" });
        }
        word(".", "O");
        all.push('\n');
    }
    all
}

fn arguments(line: &str) -> Vec<String> {
    let model = fixture("parity/bert-base-only");
    line.split_whitespace()
        .map(|word| if word == "MODEL" { model.to_str().unwrap().to_owned() } else { word.to_owned() })
        .collect()
}

/// With the words of `train.conll` and, of other texts, the same entities by offsets.
fn tagged() -> Desk {
    let desk = Desk::new();
    desk.write("train.conll", &conll(32));
    let one = |name: &str, city: &str| {
        let text = format!("{name} lives in {city}.");
        let (start, end) = (name.len() + 10, name.len() + 10 + city.len());
        format!(
            "{}\n",
            serde_json::json!({"text": text, "entities": [
                {"start": 0, "end": name.len(), "label": "PER"}, {"start": start, "end": end, "label": "LOC"}]})
        )
    };
    desk.write("dev.jsonl", &[one("eve", "rome"), one("tom", "new york"), one("ann", "paris")].concat());
    desk
}

#[test]
fn entities_are_learnt_scored_and_marked() {
    let desk = tagged();
    assert_done(&desk.retune(arguments(TAGS)));
    let metrics = json(desk.path("run/metrics.json"));
    assert_eq!((&metrics["task"], &metrics["best"]["metric"]), (&"token-classification".into(), &"f1".into()));
    let f1 = metrics["test"]["f1"].as_f64().unwrap();
    assert!(f1 > 0.9, "{metrics}");
    let config = json(desk.path("run/model/config.json"));
    assert_eq!(config["architectures"][0], "BertForTokenClassification");
    assert_eq!(config["label2id"]["O"], 0);
    let report = text(&read(desk.path("run/report.html")));
    assert!(report.contains("PER") && report.contains("LOC"));

    let used = ["--model", "run", "--device", "cpu", "--threads", "1", "--precision", "fp32"];
    let again = desk.retune(["evaluate", "--data", "dev.jsonl"].into_iter().chain(used));
    assert_done(&again);
    assert_eq!(json_lines(&again.stdout)[0]["metrics"]["f1"].as_f64().unwrap(), f1);
    let lines = "tom lives in old town.\n{\"text\": \"bob lives in rome.\"}\n";
    let output = desk.feed(&[&["predict"], &used[..]].concat(), lines);
    assert_done(&output);
    let said = json_lines(&output.stdout);
    assert_eq!(said.len(), 2);
    for line in &said {
        let whole: Vec<char> = line["text"].as_str().unwrap().chars().collect();
        for entity in line["entities"].as_array().unwrap() {
            let place = |key: &str| entity[key].as_u64().unwrap() as usize;
            let part: String = whole[place("start")..place("end")].iter().collect();
            assert_eq!(entity["text"], part.as_str());
            assert!(["PER", "LOC"].contains(&entity["label"].as_str().unwrap()));
            assert!((0.0..=1.0).contains(&entity["score"].as_f64().unwrap()));
        }
    }
    let first: Vec<&str> =
        said[0]["entities"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap()).collect();
    // Whether two neighbouring tags are one entity is more than such a model learns.
    assert_eq!((first[0], first[1..].join(" ").as_str()), ("tom", "old town"));
}

#[test]
fn tags_that_contradict_themselves_are_refused_or_mended() {
    let desk = tagged();
    desk.write("train.conll", "ann B-PER\nsmith I-LOC\n\neve O\nlives\n\ntom I-PER\n");
    desk.refuses(&arguments(TAGS), &["train.conll:5"]);
    desk.write("train.conll", &format!("{}\nzoe I-LOC X O\n", conll(16)));
    desk.write(
        "dev.jsonl",
        "{\"text\": \"bob lives\", \"entities\": [{\"start\": 0, \"end\": 1, \"label\": \"PER\"}]}\n",
    );
    desk.refuses(&arguments(TAGS), &["dev.jsonl:1", "--on-bad-annotation mend"]);
    desk.refuses(
        &arguments(&format!("{TAGS} --text-pair-column other")),
        &["text-pair-column: token-classification has no pairs of texts"],
    );
}

const QUESTIONS: &str = "finetune --task question-answering --model MODEL --train train.json --validation dev.jsonl --test dev.jsonl \
    --output run --epochs 12 --batch-size 8 --learning-rate 3e-3 --max-length 32 --doc-stride 8 --device cpu --threads 1 --precision fp32";

/// Where somebody lives, between words that say nothing; every fourth question has no answer where `some` is set.
fn squad(rows: usize, some: bool) -> String {
    let names = ["ann", "bob", "eve", "tom"];
    let cities = ["rome", "paris", "berlin"];
    let paragraphs = (0..rows).map(|row| {
        let (name, city) = (names[row % 4], cities[row % 3]);
        let context = format!("{} {name} lives in {city}. {}", "the film was good. ".repeat(row % 5), "it is true.");
        let start = context.find(city).unwrap();
        let silent = some && row % 4 == 3;
        let question = if silent { "who is old?".to_owned() } else { format!("where does {name} live?") };
        let answers =
            if silent { serde_json::json!([]) } else { serde_json::json!([{"text": city, "answer_start": start}]) };
        serde_json::json!({"context": context, "qas": [
            {"id": row.to_string(), "question": question, "answers": answers, "is_impossible": silent}]})
    });
    let paragraphs: Vec<serde_json::Value> = paragraphs.collect();
    serde_json::json!({"version": "2", "data": [{"title": "t", "paragraphs": paragraphs}]}).to_string()
}

/// The same questions as rows.
fn flat(squad: &str) -> String {
    let squad: serde_json::Value = serde_json::from_str(squad).unwrap();
    let rows = squad["data"][0]["paragraphs"].as_array().unwrap().iter().map(|paragraph| {
        let question = &paragraph["qas"][0];
        let all = |key: &str| question["answers"].as_array().unwrap().iter().map(|it| it[key].clone()).collect::<Vec<_>>();
        let answers = serde_json::json!({"text": all("text"), "answer_start": all("answer_start")});
        let row = serde_json::json!({"id": question["id"], "question": question["question"], "context": paragraph["context"], "answers": answers});
        format!("{row}\n")
    });
    rows.collect()
}

#[test]
fn answers_are_learnt_scored_and_found() {
    let desk = Desk::new();
    desk.write("train.json", &squad(48, true));
    desk.write("dev.jsonl", &flat(&squad(12, true)));
    let output = desk.retune(arguments(QUESTIONS));
    assert_done(&output);
    let metrics = json(desk.path("run/metrics.json"));
    assert_eq!((&metrics["task"], &metrics["best"]["metric"]), (&"question-answering".into(), &"f1".into()));
    for key in ["f1", "exact_match", "HasAns_f1", "NoAns_f1"] {
        assert!((0.0..=1.0).contains(&metrics["test"][key].as_f64().unwrap()), "{key}");
    }
    assert!(metrics["null_threshold"]["threshold"].is_number(), "{metrics}");
    assert_eq!(json(desk.path("run/model/config.json"))["architectures"][0], "BertForQuestionAnswering");

    let used = ["--model", "run", "--device", "cpu", "--threads", "1", "--precision", "fp32"];
    let again = desk.retune(["evaluate", "--data", "dev.jsonl"].into_iter().chain(used));
    assert_done(&again);
    assert_eq!(json_lines(&again.stdout)[0]["metrics"]["f1"], metrics["test"]["f1"], "the threshold is applied again");
    let context = format!("{}eve lives in paris. it is true.", "the film was good. ".repeat(9));
    let line = serde_json::json!({"id": 7, "question": "where does eve live?", "context": context});
    let output = desk.feed(&[&["predict"], &used[..]].concat(), &format!("{line}\n"));
    assert_done(&output);
    let said = &json_lines(&output.stdout)[0];
    let n_best = said["n_best"].as_array().unwrap();
    assert!(n_best.len() > 1 && said["null_score"].is_number(), "{said}");
    let letters: Vec<char> = context.chars().collect();
    for it in n_best.iter().filter(|it| !it["start"].is_null()) {
        let place = |key: &str| it[key].as_u64().unwrap() as usize;
        let part: String = letters[place("start")..place("end")].iter().collect();
        assert_eq!(it["answer"], part.as_str());
    }
}

#[test]
fn questions_that_cannot_be_used_are_refused() {
    let desk = Desk::new();
    desk.write("train.json", &squad(8, false));
    desk.write("dev.jsonl", &flat(&squad(8, true)));
    desk.refuses(&arguments(QUESTIONS), &["dev.jsonl: some questions have no answer", "--no-answer"]);
    desk.write("dev.jsonl", &flat(&squad(8, false)).replace("\"answer_start\":[", "\"answer_start\":[1"));
    desk.refuses(&arguments(QUESTIONS), &["dev.jsonl:1", "--on-bad-annotation mend"]);
    desk.write("dev.jsonl", "{\"question\": \"who?\", \"context\": \"ann\"}\n");
    desk.refuses(&arguments(QUESTIONS), &["--answers-column"]);
    desk.write("dev.jsonl", &flat(&squad(8, false)));
    desk.refuses(&arguments(&QUESTIONS.replace("--doc-stride 8", "--doc-stride 32")), &["doc-stride: 32"]);
    let output = desk.retune(arguments(&format!("{QUESTIONS} --text-column body")));
    assert_said(&output, 2, &["text-column: question-answering has no column of texts"]);
}
