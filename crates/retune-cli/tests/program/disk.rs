//! Disks that are too small, that fill up while a run goes on, and folders nobody can write into.

use crate::support::{Desk, assert_done, assert_said, read, text};
use std::process::{Command, Output, Stdio};

const LONG: &[&str] = &["--steps", "200", "--evaluate-every", "3", "--learning-rate", "1e-3"];

/// Runs `script` in a shell where `disk` is a disk of its own and `"$@"` is the program with `arguments`; `None` where
/// this system lets nobody mount one.
fn on_small_disk(desk: &Desk, megabytes: u32, script: &str, arguments: &[String]) -> Option<Output> {
    std::fs::create_dir_all(desk.path("disk")).unwrap();
    let namespace = ["--user", "--map-root-user", "--mount"];
    let mount = format!("mount -t tmpfs -o size={megabytes}m tmpfs disk");
    let try_it =
        Command::new("unshare").args(namespace).args(["sh", "-c", &mount]).current_dir(desk.path(".")).output();
    if !try_it.is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: no file system can be mounted here");
        return None;
    }
    let program = desk.command(arguments);
    let mut command = Command::new("unshare");
    command.args(namespace).args(["sh", "-c", &format!("{mount} && {script}"), "sh"]);
    command.arg(program.get_program()).args(program.get_args()).current_dir(desk.path("."));
    command.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
    Some(command.stdin(Stdio::null()).output().unwrap())
}

#[test]
fn a_disk_without_room_for_checkpoints_is_refused_at_once() {
    let desk = Desk::new();
    let script = r#""$@"; code=$?; ls -A disk; exit $code"#;
    let Some(output) = on_small_disk(&desk, 8, script, &desk.arguments("disk/run", LONG)) else { return };
    assert_said(&output, 2, &["8 MB are free", "needed for checkpoints", "--keep-checkpoints"]);
    assert_eq!(text(&output.stdout), "", "something was written");
}

#[test]
fn a_disk_that_fills_up_costs_no_finished_checkpoint() {
    let desk = Desk::new();
    // Filled as soon as the first checkpoint is there, and again when a checkpoint that is removed leaves room.
    let script = r#"
        "$@" & run=$!
        until [ -e disk/run/checkpoints/step-00000003/manifest.json ]; do kill -0 $run || break; sleep 0.01; done
        while kill -0 $run 2>/dev/null; do dd if=/dev/zero bs=4k 2>/dev/null >>disk/other; sleep 0.01; done
        wait $run; code=$?
        rm disk/other; cp -a disk/run kept
        exit $code"#;
    let arguments = desk.arguments("disk/run", LONG);
    let Some(output) = on_small_disk(&desk, 20, script, &arguments) else { return };
    // A checkpoint or one of the logs: the disk may be full while either is written.
    assert_said(&output, 1, &["disk/run/", "could not be written", "--resume"]);
    assert_done(&desk.retune(["inspect", "kept"]));
    let resumed: Vec<String> = desk.arguments("kept", &[LONG, &["--resume"]].concat());
    assert_done(&desk.retune(&resumed));
    assert_done(&desk.finetune("whole", LONG));
    let weights = |run: &str| read(desk.path(run).join("model/model.safetensors"));
    assert!(weights("kept") == weights("whole"), "resuming after the full disk changed the weights");
}

#[test]
fn a_folder_that_nobody_can_write_into() {
    let desk = Desk::new();
    desk.refuses(&desk.arguments("/proc/retune/run", &[]), &["cannot write into /proc", "--output"]);
    // Before the hub is asked for the model: it is not there either.
    let arguments = desk.arguments("/proc/run", &["--model", "no/such-model"]);
    desk.refuses(&arguments, &["cannot write into /proc"]);
}
