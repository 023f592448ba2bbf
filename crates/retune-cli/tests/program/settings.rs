//! Settings work together: each value of a setting is tried beside each value of every other, in as few runs as a greedy
//! choice needs ("all pairs", Cohen et al. 1997).

use crate::support::{Desk, assert_done, json, json_lines, read};
use std::collections::BTreeSet;

const SETTINGS: [(&str, &[&str]); 11] = [
    ("--method", &["full", "head", "last:1", "bitfit", "lora"]),
    ("--precision", &["fp32", "bf16"]),
    ("--gradient-accumulation", &["1", "3"]),
    ("--epochs", &["1", "2"]),
    ("--batch-by", &["examples", "tokens"]),
    ("--dropout", &["0", "0.2"]),
    ("--clip", &["0", "1"]),
    ("--layer-decay", &["1", "0.8"]),
    ("--class-weights", &["none", "balanced"]),
    ("--threads", &["1", "2"]),
    ("RETUNE_KERNELS", &["fused", "reference"]),
];

/// A setting and the index of its value.
type Choice = (usize, usize);

/// Runs that hold every pair of choices; each names the value of every setting.
fn runs() -> Vec<Vec<usize>> {
    let choices: Vec<Choice> = (0..SETTINGS.len())
        .flat_map(|setting| (0..SETTINGS[setting].1.len()).map(move |value| (setting, value)))
        .collect();
    let pair = |a: Choice, b: Choice| (a.min(b), a.max(b));
    let mut left: BTreeSet<(Choice, Choice)> = BTreeSet::new();
    for &a in &choices {
        left.extend(choices.iter().filter(|b| b.0 > a.0).map(|&b| (a, b)));
    }
    let mut runs = Vec::new();
    while let Some(&(a, b)) = left.first() {
        let mut run = vec![a, b];
        for setting in (0..SETTINGS.len()).filter(|setting| ![a.0, b.0].contains(setting)) {
            let gain =
                |value: usize| run.iter().filter(|&&other| left.contains(&pair((setting, value), other))).count();
            let best =
                (0..SETTINGS[setting].1.len()).rev().max_by_key(|&value| gain(value)).expect("a setting has values");
            run.push((setting, best));
        }
        left.retain(|(a, b)| !(run.contains(a) && run.contains(b)));
        run.sort_unstable();
        runs.push(run.into_iter().map(|(_, value)| value).collect());
    }
    runs
}

#[test]
fn every_pair_of_settings_trains() {
    let desk = Desk::new();
    let runs = runs();
    assert!(runs.len() < 20, "{} runs", runs.len());
    for values in runs {
        let chosen: Vec<(&str, &str)> =
            SETTINGS.iter().zip(values).map(|((name, all), value)| (*name, all[value])).collect();
        let flags: Vec<&str> = chosen.iter().filter(|it| it.0.starts_with("--")).flat_map(|it| [it.0, it.1]).collect();
        let arguments = desk.arguments("run", &[&flags[..], &["--learning-rate", "1e-3", "--overwrite"]].concat());
        let variables = chosen.iter().filter(|it| !it.0.starts_with("--")).copied();
        let output = desk.command(arguments).envs(variables).output().unwrap();
        println!("{chosen:?}");
        assert_done(&output);
        let log = json_lines(&read(desk.path("run/log.jsonl")));
        let losses = log.iter().filter_map(|line| line["loss"].as_f64());
        assert!(losses.clone().count() > 1 && losses.clone().all(f64::is_finite), "{:?}", losses.collect::<Vec<_>>());
        assert!(json(desk.path("run/metrics.json"))["test"]["accuracy"].as_f64().is_some());
    }
}
