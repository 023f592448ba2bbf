//! Properties of molecules through the program: gaps, scaffolds, the user's unit, and what is no molecule.

use crate::support::{Desk, assert_done, assert_said, json, json_lines, read, tensors};

/// Molecules of several scaffolds with a number (about their size), a decision (whether there is a nitrogen), and gaps.
fn table(desk: &Desk, name: &str, from: usize, count: usize, targets: bool) {
    let rings = ["c1ccccc1", "C1CCCCC1", "c1ccncc1", "c1ccsc1", "C1CCNCC1", "c1ccc2ccccc2c1", "C1CCOC1", "C1CC1"];
    let chains = ["C", "CC", "CCO", "CCN", "C(C)C", "CC(=O)O", "CCCC", "CCS"];
    let mut text = if targets { "smiles,size,nitrogen,poor\n" } else { "smiles\n" }.to_owned();
    for i in from..from + count {
        let (ring, chain) = (rings[i % 8], chains[(i / 8) % 8]);
        let smiles = format!("{}{}{ring}", chains[i / 64 % 8], chain);
        let gap = |value: String, every: usize| if i % every == 0 { String::new() } else { value };
        let nitrogen = u8::from(smiles.to_uppercase().contains('N'));
        if targets {
            let size = gap(format!("{}", 100 * smiles.len()), 7);
            let line = format!("{smiles},{size},{},{}\n", gap(nitrogen.to_string(), 5), gap((i % 2).to_string(), 3));
            text.push_str(&line);
        } else {
            text.push_str(&format!("{smiles}\n"));
        }
    }
    desk.write(name, &text);
}

fn desk() -> Desk {
    let desk = Desk::new();
    table(&desk, "train.csv", 0, 160, true);
    table(&desk, "validation.csv", 160, 40, true);
    table(&desk, "test.csv", 200, 40, true);
    desk
}

const RUN: &[&str] = &["--task", "molecule-property", "--epochs", "2", "--learning-rate", "1e-3"];

fn run(desk: &Desk, output: &str, more: &[&str]) -> std::process::Output {
    desk.finetune(output, &[RUN, more].concat())
}

/// Without a validation file.
fn held_out(desk: &Desk, output: &str, more: &[&str]) -> std::process::Output {
    let mut arguments = desk.arguments(output, &[RUN, more].concat());
    let validation = arguments.iter().position(|it| it == "--validation").unwrap();
    arguments.drain(validation..validation + 2);
    desk.retune(arguments)
}

#[test]
fn decisions_with_gaps_are_learnt_and_measured() {
    let desk = desk();
    let labels = ["--label-column", "nitrogen,poor"];
    assert_done(&run(&desk, "run", &labels));
    let metrics = json(desk.path("run/metrics.json"));
    assert_eq!((&metrics["task"], &metrics["best"]["metric"]), (&"molecule-property".into(), &"auroc".into()));
    for key in ["auroc", "auprc"] {
        assert!((0.0..=1.0).contains(&metrics["test"][key].as_f64().unwrap()), "{key}");
    }
    let baseline = &metrics["baselines"]["circular fingerprints, linear model"];
    assert!(baseline["auroc"].as_f64().unwrap() > 0.6, "{metrics}");
    // The worst answers show what they rest on.
    let report = String::from_utf8(read(desk.path("run/report.html"))).unwrap();
    assert!(report.contains("<mark class=\"rests-most\">") && report.contains("the answer rests on it a little"));
    let config = json(desk.path("run/model/config.json"));
    assert_eq!(config["problem_type"], "multi_label_classification");
    assert_eq!(config["id2label"]["1"], "poor");
    let output = desk.evaluate("run");
    assert_done(&output);
    let again = &json_lines(&output.stdout)[0]["metrics"];
    assert!((again["auroc"].as_f64().unwrap() - metrics["test"]["auroc"].as_f64().unwrap()).abs() < 1e-9);

    let predict = ["predict", "--model", "run", "--on-bad-example", "skip", "--device", "cpu"];
    let output = desk.feed(&predict, "CCN\nC1CC\n{\"smiles\": \"c1ccccc1\"}\n");
    assert_done(&output);
    let answers = json_lines(&output.stdout);
    assert!(answers[0]["scores"]["nitrogen"].is_number() && answers[2]["prediction"].is_array(), "{answers:?}");
    assert!(answers[1]["error"].as_str().unwrap().contains("ring 1 is not closed"), "{answers:?}");
    let output = desk.feed(&["predict", "--model", "run", "--device", "cpu"], "CCN\nC1CC\n");
    assert_said(&output, 2, &["standard input:2", "character 2: ring 1 is not closed"]);
}

#[test]
fn numbers_are_learnt_by_their_spread_and_said_in_their_unit() {
    let desk = desk();
    let more = ["--label-column", "size", "--training-smiles", "given", "--steps", "60"];
    assert_done(&run(&desk, "run", &more));
    let metrics = json(desk.path("run/metrics.json"));
    // Sizes are some hundreds: a model of standardised numbers is soon off by less than a thousand.
    let rmse = metrics["test"]["rmse"].as_f64().unwrap();
    assert!((50.0..800.0).contains(&rmse), "{rmse}");
    let config = json(desk.path("run/model/config.json"));
    let (mean, spread) = (&config["target_mean"][0], &config["target_std"][0]);
    assert!(mean.as_f64().unwrap() > 900.0 && spread.as_f64().unwrap() > 100.0, "{config}");
    let lines = json_lines(&read(desk.path("run/predictions.jsonl")));
    assert!(lines.iter().all(|it| it["prediction"].as_f64().unwrap() > 100.0), "{:?}", lines[0]);
    let output = desk.evaluate("run/model");
    assert_done(&output);
    let again = json_lines(&output.stdout)[0]["metrics"]["rmse"].as_f64().unwrap();
    assert!((again - rmse).abs() < 1e-6 * rmse, "{again} {rmse}");
}

#[test]
fn spellings_are_averaged_and_salts_are_stripped() {
    let desk = desk();
    assert_done(&run(&desk, "run", &["--label-column", "nitrogen,poor", "--test-augmentation", "3"]));
    let metrics = json(desk.path("run/metrics.json"));
    let output = desk.evaluate("run");
    assert_done(&output);
    let again = json_lines(&output.stdout)[0]["metrics"]["auroc"].as_f64().unwrap();
    assert!((again - metrics["test"]["auroc"].as_f64().unwrap()).abs() < 1e-9, "{again} {metrics}");
    let score = |more: &[&str], smiles: &str| {
        let predict = [&["predict", "--model", "run", "--device", "cpu"], more].concat();
        let output = desk.feed(&predict, &format!("{smiles}\n"));
        assert_done(&output);
        json_lines(&output.stdout)[0]["scores"]["nitrogen"].as_f64().unwrap()
    };
    let (own, averaged) = (score(&["--test-augmentation", "0"], "CCOc1ccncc1"), score(&[], "CCOc1ccncc1"));
    assert!(own != averaged && averaged == score(&["--test-augmentation", "3"], "CCOc1ccncc1"), "{own} {averaged}");
    let salt = "Cl.CCOc1ccncc1";
    let (kept, stripped) = (score(&[], salt), score(&["--salts", "strip"], salt));
    assert!(kept != stripped && stripped == averaged, "{kept} {stripped} {averaged}");
}

#[test]
fn no_scaffold_is_on_both_sides_and_runs_repeat() {
    let desk = desk();
    let labels = ["--label-column", "nitrogen", "--validation-fraction", "0.3"];
    let output = held_out(&desk, "once", &labels);
    assert_said(&output, 0, &["8 scaffolds among the training molecules", "training rows validate"]);
    let report = String::from_utf8(read(desk.path("once/report.html"))).unwrap();
    assert!(report.contains("scaffolds"));
    assert_done(&held_out(&desk, "again", &labels));
    let weights = |name: &str| tensors(desk.path(name).join("model/model.safetensors"));
    assert!(weights("once") == weights("again"), "molecules are written anew in another way");
    assert_done(&held_out(&desk, "random", &[&labels[..], &["--split", "random"]].concat()));
    assert!(weights("once") != weights("random"));
}

#[test]
fn what_is_no_molecule_or_no_number_is_refused_before_anything_is_written() {
    let desk = desk();
    desk.write("bad.csv", "smiles,size\nCCO,1\nC1CC,2\nCC(C)(C)(C)C,3\nc1cccc1,4\n");
    desk.write("words.csv", "smiles,size\nCCO,large\nCC,2\n");
    desk.write("empty.csv", "smiles,size\nCCO,\nCC,\n");
    let refused = |more: &[&str], parts: &[&str]| desk.refuses(&desk.arguments("run", &[RUN, more].concat()), parts);
    refused(
        &["--train", "bad.csv", "--label-column", "size"],
        &[
            "bad.csv:3: column `smiles`: is no valid SMILES: character 2: ring 1 is not closed",
            "bad.csv:4",
            "C has 5 bonds",
            "bad.csv:5",
            "cannot be placed",
        ],
    );
    refused(&["--train", "words.csv", "--label-column", "size"], &["words.csv:2", "`large` is no number"]);
    refused(&["--train", "empty.csv", "--label-column", "size"], &["`size` has no number in any row"]);
    refused(&["--label-column", "weight"], &["no column `weight`", "--label-column"]);
    refused(&["--label-column", "size", "--smiles-column", "molecule"], &["no column `molecule`", "--smiles-column"]);
    refused(&["--label-column", "size", "--text-column", "smiles"], &["has no column of texts"]);
    refused(&["--label-column", "size", "--problem", "multi-label"], &["neither 0 nor 1"]);
    refused(&["--label-column", "nitrogen", "--class-weights", "balanced"], &["class-weights"]);
    refused(&["--label-column", "size", "--group-column", "poor"], &["--split random"]);
    // Left out, they are listed.
    let more = ["--train", "bad.csv", "--label-column", "size", "--on-bad-example", "skip"];
    assert_done(&run(&desk, "run", &more));
    let left_out = json_lines(&read(desk.path("run/bad_examples.jsonl")));
    assert_eq!(left_out.len(), 3, "{left_out:?}");
}
