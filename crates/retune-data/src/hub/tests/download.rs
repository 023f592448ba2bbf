//! Downloads that go well, and those that need a second try.

use std::fs;
use std::thread;

use super::*;
use crate::hub::{HubError, Silent, download_file};

#[test]
fn fetches_a_model_and_takes_only_what_matters() {
    let (server, cdn, body) = tiny_model();
    let folder = tempfile::tempdir().unwrap();
    let diary = Diary::default();
    let snapshot = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &diary).unwrap();
    assert_eq!(snapshot.commit, COMMIT);
    assert_eq!(fs::read(snapshot.dir.join("model.safetensors")).unwrap(), body);
    assert_eq!(fs::read_to_string(snapshot.dir.join("vocab.txt")).unwrap(), "[PAD]\n[UNK]\n");
    assert!(!snapshot.dir.join("README.md").exists());
    assert_eq!(cdn.gets("/cdn/model.safetensors"), 1);
    assert_eq!(
        *diary.0.lock().unwrap(),
        ["config.json 0/23", "done", "vocab.txt 0/12", "done", "model.safetensors 0/300000", "done"]
    );
}

#[test]
fn a_second_fetch_brings_nothing_and_a_pinned_one_asks_nothing() {
    let (server, cdn, _) = tiny_model();
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(folder.path(), &server.url());
    let first = hub.fetch_model(MODEL, None, &Silent).unwrap();
    let asked = server.seen().len();
    assert_eq!(hub.fetch_model(MODEL, None, &Silent).unwrap(), first);
    assert_eq!(server.seen().len(), asked + 1, "only the listing again");
    assert_eq!(hub.fetch_model(MODEL, Some(COMMIT), &Silent).unwrap(), first);
    assert_eq!(server.seen().len(), asked + 1, "a commit never changes");
    assert_eq!(cdn.gets("/cdn/model.safetensors"), 1);
}

#[test]
fn fetches_every_shard_the_index_names() {
    let (server, cdn) = (Server::start(), Server::start());
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let index = serde_json::json!({
        "metadata": { "total_size": 10 },
        "weight_map": { "a": shards[0], "b": shards[1], "c": shards[1] }
    });
    list(&server, &["config.json", "model.safetensors.index.json", shards[0], shards[1], "spare.safetensors"]);
    add_small(&server, "config.json", b"{}");
    add_small(&server, "model.safetensors.index.json", index.to_string().as_bytes());
    for (length, shard) in [(1000, shards[0]), (2000, shards[1])] {
        let body = weights(length);
        add_large(&server, shard, &body, &cdn, Route::new(&body));
    }
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(folder.path(), &server.url());
    let snapshot = hub.fetch_model(MODEL, None, &Silent).unwrap();
    assert_eq!(fs::read(snapshot.dir.join(shards[0])).unwrap(), weights(1000));
    assert_eq!(fs::read(snapshot.dir.join(shards[1])).unwrap(), weights(2000));
    assert!(!snapshot.dir.join("spare.safetensors").exists());
}

#[test]
fn goes_on_where_the_connection_was_cut() {
    let (server, cdn, body) = tiny_model();
    add_large(&server, "model.safetensors", &body, &cdn, Route::new(&body).cut(2));
    let folder = tempfile::tempdir().unwrap();
    let snapshot = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap();
    assert_eq!(fs::read(snapshot.dir.join("model.safetensors")).unwrap(), body);
    let ranges: Vec<_> = cdn.seen().into_iter().map(|request| request.range).collect();
    let from = |start: usize| Some(format!("bytes={start}-"));
    assert_eq!(ranges, [None, from(150_000), from(225_000)]);
}

#[test]
fn goes_on_with_what_an_earlier_process_left() {
    let (server, cdn, body) = tiny_model();
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("hub/models--org--tiny/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let partial = blobs.join(format!("{}.incomplete", sha256(&body)));
    fs::write(&partial, &body[..1234]).unwrap();
    let snapshot = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap();
    assert_eq!(fs::read(snapshot.dir.join("model.safetensors")).unwrap(), body);
    assert_eq!(cdn.seen()[0].range.as_deref(), Some("bytes=1234-"));
    assert!(!partial.exists());
}

#[test]
fn starts_over_when_the_server_cannot_send_a_part() {
    for route in
        [|body: &[u8]| Route::new(body).cut(1).ignore_range(), |body: &[u8]| Route::new(body).cut(1).refuse_range()]
    {
        let (server, cdn, body) = tiny_model();
        add_large(&server, "model.safetensors", &body, &cdn, route(&body));
        let folder = tempfile::tempdir().unwrap();
        let snapshot = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap();
        assert_eq!(fs::read(snapshot.dir.join("model.safetensors")).unwrap(), body);
    }
}

#[test]
fn bad_remains_are_thrown_away_once() {
    let (server, cdn, body) = tiny_model();
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("hub/models--org--tiny/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{}.incomplete", sha256(&body))), [7; 5000]).unwrap();
    let snapshot = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap();
    assert_eq!(fs::read(snapshot.dir.join("model.safetensors")).unwrap(), body);
    assert_eq!(cdn.gets("/cdn/model.safetensors"), 2);
}

#[test]
fn a_wrong_digest_is_an_error_and_leaves_no_snapshot() {
    for file in ["model.safetensors", "config.json"] {
        let (server, cdn, body) = tiny_model();
        if file == "config.json" {
            let announced = git_blob(b"{\"model_type\": \"bert\"}\n");
            let lying = Route::new(b"{\"model_type\": \"evil\"}\n").header("etag", &announced);
            server.add(&resolve_path(file), lying);
        } else {
            let mut other = body.clone();
            other[777] ^= 1;
            add_large(&server, file, &body, &cdn, Route::new(&other));
        }
        let folder = tempfile::tempdir().unwrap();
        let hub = hub(folder.path(), &server.url());
        let error = hub.fetch_model(MODEL, None, &Silent).unwrap_err();
        assert!(matches!(error, HubError::Damaged { .. }), "{error}");
        assert!(error.to_string().starts_with(file), "{error}");
        let model = folder.path().join("hub/models--org--tiny");
        assert!(!model.join("snapshots").join(COMMIT).join(file).exists());
        let partial =
            fs::read_dir(model.join("blobs")).unwrap().flatten().any(|entry| entry.path().extension().is_some());
        assert!(!partial, "the damaged file must not be gone on with");
    }
}

#[test]
fn a_server_in_trouble_is_asked_again_but_not_for_ever() {
    let (server, cdn, body) = tiny_model();
    add_large(&server, "model.safetensors", &body, &cdn, Route::new(&body).fail(2));
    let folder = tempfile::tempdir().unwrap();
    let client = hub(folder.path(), &server.url());
    client.fetch_model(MODEL, None, &Silent).unwrap();
    assert_eq!(cdn.gets("/cdn/model.safetensors"), 3);

    let (server, cdn, body) = tiny_model();
    add_large(&server, "model.safetensors", &body, &cdn, Route::new(&body).fail(100));
    let folder = tempfile::tempdir().unwrap();
    let client = hub(folder.path(), &server.url());
    let error = client.fetch_model(MODEL, None, &Silent).unwrap_err();
    assert!(matches!(error, HubError::Status { status: 503, .. }), "{error}");
    assert_eq!(cdn.gets("/cdn/model.safetensors"), 4);
}

#[test]
fn a_connection_that_always_breaks_ends_with_advice() {
    let (server, cdn, body) = tiny_model();
    add_large(&server, "model.safetensors", &body, &cdn, Route::new(&body).cut(1000));
    let folder = tempfile::tempdir().unwrap();
    let client = hub(folder.path(), &server.url());
    let error = client.fetch_model(MODEL, None, &Silent).unwrap_err();
    assert!(matches!(error, HubError::Interrupted { .. }), "{error}");
    assert!(error.to_string().contains("goes on where it stopped"), "{error}");
}

#[test]
fn two_at_once_bring_each_file_once() {
    let (server, cdn, body) = tiny_model();
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let hub = hub(folder.path(), &server.url());
                    hub.fetch_model(MODEL, None, &Silent).unwrap()
                })
            })
            .collect();
        for worker in workers {
            let dir = worker.join().unwrap().dir;
            assert_eq!(fs::read(dir.join("model.safetensors")).unwrap(), body);
        }
    });
    assert_eq!(cdn.gets("/cdn/model.safetensors"), 1);
    assert_eq!(server.gets(&resolve_path("config.json")), 1);
}

#[test]
fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let (server, cdn, _) = tiny_model();
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), &server.url());
    options.token = Some("secret".to_owned());
    assert!(!format!("{options:?}").contains("secret"));
    Hub::new(options).fetch_model(MODEL, None, &Silent).unwrap();
    let with_token = Some("Bearer secret");
    assert!(server.seen().iter().all(|request| request.authorization.as_deref() == with_token));
    assert_eq!(cdn.seen().len(), 1);
    assert!(cdn.seen()[0].authorization.is_none());
}

#[test]
fn follows_a_renamed_repository() {
    let (server, cdn) = (Server::start(), Server::start());
    let body = weights(100);
    let listing = serde_json::json!({
        "sha": COMMIT,
        "siblings": [{ "rfilename": "config.json" }, { "rfilename": "model.safetensors" }]
    });
    let moved = |to: &str| Route::new(b"").status(307).header("location", to);
    server.add("/api/models/tiny/revision/main", moved("/api/models/org/tiny/revision/main"));
    server.add("/api/models/org/tiny/revision/main", Route::new(listing.to_string().as_bytes()));
    for file in ["config.json", "model.safetensors"] {
        let old = format!("/tiny/resolve/{COMMIT}/{file}");
        server.add(&old, moved(&resolve_path(file)));
    }
    add_small(&server, "config.json", b"{}");
    add_large(&server, "model.safetensors", &body, &cdn, Route::new(&body));
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(folder.path(), &server.url());
    let snapshot = hub.fetch_model("tiny", None, &Silent).unwrap();
    assert!(snapshot.dir.starts_with(folder.path().join("hub/models--tiny")));
    assert_eq!(fs::read(snapshot.dir.join("model.safetensors")).unwrap(), body);
}

#[test]
fn a_plain_file_is_resumed_and_not_brought_twice() {
    let server = Server::start();
    let body = weights(50_000);
    server.add("/archive.zip", Route::new(&body).cut(1));
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("downloads/archive.zip");
    let url = format!("{}/archive.zip", server.url());
    // The pause of `download_file` is that of a person's download, half a second.
    download_file(&url, &destination, &Silent).unwrap();
    assert_eq!(fs::read(&destination).unwrap(), body);
    download_file(&url, &destination, &Silent).unwrap();
    assert_eq!(server.gets("/archive.zip"), 2);

    let missing = format!("{}/other.zip", server.url());
    let left = || fs::read_dir(folder.path()).unwrap().count();
    let error = download_file(&missing, &folder.path().join("other.zip"), &Silent).unwrap_err();
    assert!(matches!(error, HubError::Status { status: 404, .. }), "{error}");
    assert_eq!(left(), 1, "an empty file is not left behind");
}
