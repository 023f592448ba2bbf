//! Runs that are killed, interrupted or damaged, and end as if nothing had happened.

use crate::support::{Desk, assert_done, assert_said, checkpoints, json, json_lines, read};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const RUN: &[&str] = &[
    "--steps",
    "60",
    "--evaluate-every",
    "3",
    "--dropout",
    "0.1",
    "--learning-rate",
    "1e-3",
    "--gradient-accumulation",
    "2",
    "--batch-size",
    "8",
];

/// Marsaglia's xorshift: the moments at which runs are killed.
struct Moments(u64);

impl Moments {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn start(desk: &Desk, output: &str, more: &[&str]) -> Child {
    let arguments = desk.arguments(output, &[RUN, more].concat());
    desk.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until `ready`, or until the program has ended; says whether it still runs.
fn wait_until(child: &mut Child, ready: impl Fn() -> bool) -> bool {
    let patience = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if ready() {
            return true;
        }
        assert!(Instant::now() < patience, "the program neither ended nor got on");
        sleep(Duration::from_millis(2));
    }
    false
}

fn newest(run: &Path) -> Option<String> {
    checkpoints(run).last().map(|it| it.file_name().unwrap().to_str().unwrap().to_owned())
}

fn weights(run: &Path) -> Vec<u8> {
    read(run.join("model/model.safetensors"))
}

/// Steps and losses of a log, in order.
fn losses(run: &Path) -> Vec<(u64, bool, f64)> {
    let log = json_lines(&read(run.join("log.jsonl")));
    log.iter()
        .map(|it| (it["step"].as_u64().unwrap(), it["evaluation"].is_string(), it["loss"].as_f64().unwrap()))
        .collect()
}

#[test]
fn a_run_killed_again_and_again_ends_with_the_same_bytes() {
    let desk = Desk::new();
    let (whole, run) = (desk.path("whole"), desk.path("run"));
    assert_done(&desk.finetune("whole", RUN));
    let mut moments = Moments(0x5eed_cafe);
    let mut killed_with_checkpoint = 0;
    for round in 0..8 {
        let before = newest(&run);
        let mut child = start(&desk, "run", if round == 0 { &[] } else { &["--resume"] });
        // Sometimes at any moment after the start, else soon after the run got on.
        let running = if round % 3 == 2 {
            sleep(Duration::from_millis(50 + moments.below(750)));
            child.try_wait().unwrap().is_none()
        } else {
            wait_until(&mut child, || newest(&run) != before)
        };
        if !running {
            break;
        }
        sleep(Duration::from_micros(moments.below(80_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        if newest(&run).is_some() {
            killed_with_checkpoint += 1;
            assert_done(&desk.retune(["inspect", "run"]));
        }
    }
    assert!(killed_with_checkpoint >= 2, "the kills missed the training");
    assert_done(&desk.finetune("run", &[RUN, &["--resume"]].concat()));
    assert!(weights(&run) == weights(&whole), "resuming changed the weights");
    let (logged, expected) = (losses(&run), losses(&whole));
    let steps = |all: &[(u64, bool, f64)]| all.iter().copied().filter(|it| !it.1).collect::<Vec<_>>();
    assert_eq!(steps(&logged), steps(&expected));
    // A checkpoint comes before the log's line of its evaluation, which a kill between the two leaves out.
    assert!(logged.iter().all(|line| expected.contains(line)), "{logged:?}");
    assert_eq!(json(run.join("metrics.json"))["test"], json(whole.join("metrics.json"))["test"]);
    assert_eq!(read(run.join("predictions.jsonl")), read(whole.join("predictions.jsonl")));
}

#[test]
fn a_damaged_checkpoint_is_ignored_and_leftovers_are_removed() {
    let desk = Desk::new();
    let (whole, run) = (desk.path("whole"), desk.path("run"));
    assert_done(&desk.finetune("whole", RUN));
    let mut child = start(&desk, "run", &["--keep-checkpoints", "3"]);
    assert!(wait_until(&mut child, || checkpoints(&run).len() >= 3), "three checkpoints before the end");
    child.kill().unwrap();
    child.wait().unwrap();

    let saved = checkpoints(&run);
    let [.., _, damaged] = &saved[..] else { panic!("{saved:?}") };
    let file = damaged.join("optimizer.safetensors");
    let bytes = read(&file);
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let leftover = run.join("checkpoints/.step-00000099.writing");
    fs::create_dir(&leftover).unwrap();
    fs::write(leftover.join("model.safetensors"), "half").unwrap();

    let output = desk.finetune("run", &[RUN, &["--resume", "--keep-checkpoints", "3"]].concat());
    let name = damaged.file_name().unwrap().to_str().unwrap();
    assert_said(&output, 0, &[name, "damaged and ignored", "optimizer.safetensors"]);
    assert!(!leftover.exists(), "the leftovers of a save are still there");
    assert!(weights(&run) == weights(&whole), "resuming from the older checkpoint changed the weights");
}

#[test]
fn ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on() {
    let desk = Desk::new();
    let (whole, run) = (desk.path("whole"), desk.path("run"));
    let more = ["--evaluate-every", "1000", "--steps", "200"];
    let plain: Vec<&str> = RUN.iter().skip(4).copied().chain(more).collect();
    assert_done(&desk.finetune("whole", &plain));
    let child = desk.command(desk.arguments("run", &plain)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    let log = run.join("log.jsonl");
    assert!(wait_until(&mut child, || fs::metadata(&log).is_ok_and(|it| it.len() > 0)), "the run ended too early");
    let sent = Command::new("sh").args(["-c", "kill -INT $0", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    assert_said(&output, 130, &["stopped after step", "retune finetune run/recipe.toml --resume"]);
    let saved = checkpoints(&run);
    assert_eq!(saved.len(), 1, "{saved:?}");
    assert!(saved[0].join("manifest.json").is_file());
    assert!(!run.join("metrics.json").exists(), "an interrupted run has no result");

    assert_done(&desk.retune(["finetune", "run/recipe.toml", "--resume"]));
    assert!(weights(&run) == weights(&whole), "the interruption changed the weights");
    assert_eq!(losses(&run), losses(&whole));
}

#[test]
fn only_the_same_run_is_resumed() {
    let desk = Desk::new();
    let steps = ["--steps", "4", "--evaluate-every", "2"];
    assert_done(&desk.finetune("run", &steps));
    let resume = |more: &[&str]| desk.arguments("run", &[&steps[..], &["--resume"], more].concat());
    desk.refuses(&resume(&["--learning-rate", "1e-4"]), &["--resume", "learning-rate", "then", "now"]);
    // A finished run is finished; resuming it changes nothing.
    let before = weights(&desk.path("run"));
    assert_done(&desk.retune(resume(&[])));
    assert!(before == weights(&desk.path("run")));
}

#[test]
fn a_run_is_not_resumed_on_other_training_data() {
    let desk = Desk::new();
    let steps = ["--steps", "4", "--evaluate-every", "2"];
    assert_done(&desk.finetune("run", &steps));
    let data = String::from_utf8(read(desk.path("train.csv"))).unwrap();
    desk.write("train.csv", &(data + "one more row,positive,amazon\n"));
    let arguments = desk.arguments("run", &[&steps[..], &["--resume"]].concat());
    desk.refuses(&arguments, &["training data", "--overwrite"]);
}
