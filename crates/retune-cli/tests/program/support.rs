//! Running the program on a tiny model and small data, and reading what it leaves behind.

use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A folder of the checkout's `fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// The base model of these tests: two layers of width 32, a vocabulary of 300, 64 positions.
pub(crate) fn model() -> PathBuf {
    fixture("parity/bert-base-only")
}

/// A workplace of one test: its data, models and runs.
pub(crate) struct Desk {
    folder: TempDir,
}

impl Desk {
    /// With `train.csv` (160 rows), `validation.csv` (40) and `test.csv` (50), cut from real reviews.
    pub(crate) fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        for (name, rows) in [("train.csv", 160), ("validation.csv", 40), ("test.csv", 50)] {
            let text = fs::read_to_string(fixture("sentiment").join(name)).unwrap();
            // A header and one line per record: no cell of these files holds a line end.
            desk.write(name, &text.lines().take(rows + 1).map(|line| format!("{line}\n")).collect::<String>());
        }
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A copy of the base model that a test may damage.
    pub(crate) fn model_copy(&self, name: &str) -> PathBuf {
        let copy = self.path(name);
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(model()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        copy
    }

    /// The program, alone with this folder: no hub, no settings of the person who runs the tests.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retune"));
        command.args(arguments).current_dir(self.folder.path());
        command
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_HOME", self.path("hub"))
            .env("RETUNE_CACHE", self.path("cache"))
            .env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn retune<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// `retune finetune` of the base model on the desk's data; `more` comes last.
    pub(crate) fn arguments(&self, output: &str, more: &[&str]) -> Vec<String> {
        let mut all = vec!["finetune".to_owned()];
        // A flag may stand once: what `more` names is not given here.
        let model = model();
        let defaults: [(&str, &str); 9] = [
            ("--model", model.to_str().unwrap()),
            ("--train", "train.csv"),
            ("--validation", "validation.csv"),
            ("--test", "test.csv"),
            ("--output", output),
            ("--batch-size", "16"),
            ("--device", "cpu"),
            ("--threads", "1"),
            // What `auto` chooses depends on the processor.
            ("--precision", "fp32"),
        ];
        for (flag, value) in defaults {
            if !more.contains(&flag) {
                all.extend([flag.to_owned(), value.to_owned()]);
            }
        }
        all.extend(more.iter().map(|&it| it.to_owned()));
        all
    }

    /// The same with `usual` flags in the place of its own, where `more` does not name them.
    pub(crate) fn arguments_over(&self, output: &str, usual: &[(&str, &str)], more: &[&str]) -> Vec<String> {
        let unnamed = usual.iter().filter(|(flag, _)| !more.contains(flag));
        let all: Vec<&str> = unnamed.flat_map(|&(flag, value)| [flag, value]).chain(more.iter().copied()).collect();
        self.arguments(output, &all)
    }

    /// Uses a model as the runs of these tests were computed.
    pub(crate) fn used(&self, verb: &str, model: &str, more: &[&str]) -> Output {
        let flags = ["--device", "cpu", "--threads", "1", "--precision", "fp32"];
        self.retune([verb, "--model", model].into_iter().chain(more.iter().copied()).chain(flags))
    }

    pub(crate) fn finetune(&self, output: &str, more: &[&str]) -> Output {
        self.retune(self.arguments(output, more))
    }

    /// Scores a model on `test.csv` as the runs of these tests did.
    pub(crate) fn evaluate(&self, model: &str) -> Output {
        self.used("evaluate", model, &["--data", "test.csv"])
    }

    /// Runs a command with a text on its standard input.
    pub(crate) fn feed(&self, arguments: &[&str], text: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Asserts that the program refused its input: exit code 2, a message with all `parts`, and nothing new on disk.
    #[track_caller]
    pub(crate) fn refuses(&self, arguments: &[String], parts: &[&str]) {
        let before = tree(self.folder.path());
        let output = self.retune(arguments);
        assert_said(&output, 2, parts);
        let after = tree(self.folder.path());
        let changed: Vec<&PathBuf> =
            before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
        assert!(changed.is_empty(), "a refused run changed {changed:?}\n{}", text(&output.stderr));
    }
}

/// Every file and folder below a folder, with the files' bytes.
pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(tree(&path));
            all.insert(path, None);
        } else {
            let bytes = fs::read(&path).unwrap();
            all.insert(path, Some(bytes));
        }
    }
    all
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Asserts the exit code and that standard error holds every part.
#[track_caller]
pub(crate) fn assert_said(output: &Output, code: i32, parts: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
}

#[track_caller]
pub(crate) fn assert_done(output: &Output) {
    assert_said(output, 0, &[]);
}

pub(crate) fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&read(path)).unwrap()
}

pub(crate) fn json_lines(bytes: &[u8]) -> Vec<Value> {
    text(bytes).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Names of whole checkpoints, oldest first.
pub(crate) fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(run.join("checkpoints")) else { return Vec::new() };
    let mut all: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("step-"))
        .collect();
    all.sort();
    all
}

/// Tensors of a safetensors file: name → bytes.
pub(crate) fn tensors(path: impl AsRef<Path>) -> BTreeMap<String, Vec<u8>> {
    let bytes = read(path);
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: BTreeMap<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let data = &bytes[8 + length..];
    let range = |entry: &Value| {
        let place = |i: usize| entry["data_offsets"][i].as_u64().unwrap() as usize;
        data[place(0)..place(1)].to_vec()
    };
    header.iter().filter(|(name, _)| *name != "__metadata__").map(|(name, e)| (name.clone(), range(e))).collect()
}
