//! The cache is laid out as huggingface_hub lays it out, and a cache Python made is used.

use std::fs;
use std::path::Path;

use super::*;
use crate::hub::Silent;

#[test]
#[cfg(unix)]
fn files_lie_where_python_looks_for_them() {
    let (server, _cdn, body) = tiny_model();
    let folder = tempfile::tempdir().unwrap();
    hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap();
    let model = folder.path().join("hub/models--org--tiny");
    assert_eq!(fs::read_to_string(model.join("refs/main")).unwrap(), COMMIT);
    let link = model.join("snapshots").join(COMMIT).join("model.safetensors");
    let digest = sha256(&body);
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("../../blobs").join(&digest));
    assert!(model.join("blobs").join(&digest).is_file());
    let absent = model.join(".no_exist").join(COMMIT);
    assert!(absent.join("tokenizer.json").is_file());
    assert!(!absent.join("vocab.txt").exists());
    let locks = folder.path().join("hub/.locks/models--org--tiny");
    assert!(locks.join(format!("{digest}.lock")).is_file());
    let mut entries: Vec<_> = fs::read_dir(model.join("snapshots").join(COMMIT))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    entries.sort();
    assert_eq!(entries, ["config.json", "model.safetensors", "vocab.txt"]);
}

#[test]
fn what_python_fetched_is_not_fetched_again() {
    let (server, cdn, body) = tiny_model();
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("hub/models--org--tiny");
    for part in ["blobs", "refs", "snapshots"] {
        fs::create_dir_all(model.join(part)).unwrap();
    }
    // Python has the weights, of another commit.
    fs::write(model.join("blobs").join(sha256(&body)), &body).unwrap();
    fs::write(model.join("refs/main"), "f".repeat(40)).unwrap();
    let snapshot = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap();
    assert_eq!(fs::read(snapshot.dir.join("model.safetensors")).unwrap(), body);
    assert_eq!(cdn.seen().len(), 0);
    assert_eq!(fs::read_to_string(model.join("refs/main")).unwrap(), COMMIT);
}

#[test]
fn a_shortened_blob_is_fetched_again() {
    let (server, _cdn, body) = tiny_model();
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("hub/models--org--tiny/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(sha256(&body)), &body[..10]).unwrap();
    let snapshot = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap();
    assert_eq!(fs::read(snapshot.dir.join("model.safetensors")).unwrap(), body);
}

#[test]
fn a_pull_request_is_a_revision_with_slashes() {
    let (server, _cdn, _) = tiny_model();
    let listing = serde_json::json!({
        "sha": COMMIT,
        "siblings": [{ "rfilename": "config.json" }, { "rfilename": "model.safetensors" }]
    });
    let path = format!("/api/models/{MODEL}/revision/refs%2Fpr%2F7");
    server.add(&path, Route::new(listing.to_string().as_bytes()));
    let folder = tempfile::tempdir().unwrap();
    let dir = hub(folder.path(), &server.url()).resolve_model("org/tiny@refs/pr/7", None, &Silent).unwrap();
    let crate::hub::Located::Hub { id, snapshot } = &dir else { panic!("not from the hub: {dir:?}") };
    assert_eq!((id.as_str(), snapshot.dir.file_name().unwrap().to_str()), ("org/tiny", Some(&*snapshot.commit)));
    let dir = dir.dir();
    assert!(dir.join("model.safetensors").is_file());
    let model = folder.path().join("hub/models--org--tiny");
    assert_eq!(fs::read_to_string(model.join("refs/refs/pr/7")).unwrap(), COMMIT);
    assert!(!model.join("refs/main").exists());
}
