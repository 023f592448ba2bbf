//! Without a network: a whole cached model is used, half of one never.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::*;
use crate::hub::{HubError, Silent};

fn offline(cache: &Path) -> Hub {
    let mut options = options(cache, &nobody());
    options.offline = true;
    Hub::new(options)
}

/// A snapshot as Python would have left it.
fn cached(cache: &Path, files: &[(&str, &str)]) -> PathBuf {
    let model = cache.join("hub/models--org--tiny");
    let snapshot = model.join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(model.join("refs")).unwrap();
    fs::write(model.join("refs/main"), COMMIT).unwrap();
    for (name, body) in files {
        fs::write(snapshot.join(name), body).unwrap();
    }
    snapshot
}

#[test]
fn uses_a_complete_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let dir = cached(folder.path(), &[("config.json", "{}"), ("model.safetensors", "w")]);
    for hub in [offline(folder.path()), hub(folder.path(), &nobody())] {
        for revision in [None, Some("main"), Some(COMMIT)] {
            let snapshot = hub.fetch_model(MODEL, revision, &Silent).unwrap();
            assert_eq!((snapshot.dir, snapshot.commit.as_str()), (dir.clone(), COMMIT));
        }
        assert!(hub.fetch_model(MODEL, Some("v2"), &Silent).is_err());
    }
}

#[test]
fn falls_back_to_the_cache_when_the_hub_is_in_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let dir = cached(folder.path(), &[("config.json", "{}"), ("model.safetensors", "w")]);
    let server = Server::start();
    let broken = Route::new(b"").fail(100);
    server.add(&format!("/api/models/{MODEL}/revision/main"), broken);
    let snapshot = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap();
    assert_eq!(snapshot.dir, dir);
}

#[test]
fn an_incomplete_snapshot_never_counts() {
    let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#;
    let cases: [&[(&str, &str)]; 5] = [
        &[],
        &[("config.json", "{}")],
        &[("model.safetensors", "w")],
        &[("config.json", "{}"), ("model.safetensors.index.json", index), ("one.safetensors", "w")],
        &[("config.json", "{}"), ("adapter_config.json", "{}"), ("adapter_model.safetensors", "w")],
    ];
    for files in cases {
        let folder = tempfile::tempdir().unwrap();
        cached(folder.path(), files);
        let error = offline(folder.path()).fetch_model(MODEL, None, &Silent).unwrap_err();
        assert!(matches!(error, HubError::Offline { .. }), "{files:?}: {error}");
        let error = hub(folder.path(), &nobody()).fetch_model(MODEL, None, &Silent).unwrap_err();
        assert!(matches!(error, HubError::Unreachable { .. }), "{files:?}: {error}");
    }
}

#[test]
fn all_shards_together_count() {
    let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#;
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("config.json", "{}"),
        ("model.safetensors.index.json", index),
        ("one.safetensors", "w"),
        ("two.safetensors", "w"),
    ];
    let dir = cached(folder.path(), &files);
    assert_eq!(offline(folder.path()).fetch_model(MODEL, None, &Silent).unwrap().dir, dir);
}

#[test]
#[cfg(unix)]
fn a_link_without_its_blob_makes_a_snapshot_incomplete() {
    let folder = tempfile::tempdir().unwrap();
    let dir = cached(folder.path(), &[("config.json", "{}"), ("model.safetensors", "w")]);
    std::os::unix::fs::symlink("../../blobs/gone", dir.join("vocab.txt")).unwrap();
    let error = offline(folder.path()).fetch_model(MODEL, None, &Silent).unwrap_err();
    assert!(matches!(error, HubError::Offline { .. }), "{error}");
}

#[test]
fn both_remedies_are_named_and_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let error = offline(folder.path()).fetch_model(MODEL, None, &Silent).unwrap_err().to_string();
    assert!(error.contains("unset HF_HUB_OFFLINE") && error.contains("path of a folder"), "{error}");
    let begun = Instant::now();
    let error = hub(folder.path(), &nobody()).fetch_model(MODEL, None, &Silent).unwrap_err().to_string();
    assert!(begun.elapsed().as_secs() < 3);
    assert!(error.contains("HF_ENDPOINT") && error.contains("path of a folder"), "{error}");
}

#[test]
fn an_interrupted_download_is_not_a_model_and_is_finished_later() {
    let (server, cdn, body) = tiny_model();
    add_large(&server, "model.safetensors", &body, &cdn, Route::new(&body).cut(1000));
    let folder = tempfile::tempdir().unwrap();
    let online = hub(folder.path(), &server.url());
    online.fetch_model(MODEL, None, &Silent).unwrap_err();
    offline(folder.path()).fetch_model(MODEL, None, &Silent).unwrap_err();
    add_large(&server, "model.safetensors", &body, &cdn, Route::new(&body));
    let snapshot = online.fetch_model(MODEL, None, &Silent).unwrap();
    assert_eq!(offline(folder.path()).fetch_model(MODEL, None, &Silent).unwrap(), snapshot);
}
