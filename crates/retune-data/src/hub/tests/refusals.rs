//! What the client refuses, and whether it says what to do.

use std::fs;

use super::*;
use crate::hub::{HubError, Silent};

fn error_for_status(status: u16, token: Option<&str>) -> String {
    let server = Server::start();
    let path = format!("/api/models/{MODEL}/revision/main");
    server.add(&path, Route::new(b"no").status(status));
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), &server.url());
    options.token = token.map(str::to_owned);
    let error = Hub::new(options).fetch_model(MODEL, None, &Silent).unwrap_err();
    assert_eq!(server.seen().len(), 1, "a refusal is not repeated");
    error.to_string()
}

#[test]
fn a_refusal_says_what_to_do() {
    assert!(error_for_status(401, None).contains("set HF_TOKEN"));
    assert!(error_for_status(401, Some("x")).contains("wrong or expired"));
    assert!(error_for_status(403, None).contains("accept its terms"));
    let unknown = error_for_status(404, None);
    assert!(unknown.contains(MODEL) && unknown.contains("check the spelling"), "{unknown}");
}

#[test]
fn pickled_weights_are_refused_before_anything_is_fetched() {
    for names in [
        vec!["config.json", "pytorch_model.bin"],
        vec!["config.json", "model.pt", "vocab.txt"],
        vec!["adapter_config.json", "adapter_model.bin"],
    ] {
        let server = Server::start();
        list(&server, &names);
        let folder = tempfile::tempdir().unwrap();
        let hub = hub(folder.path(), &server.url());
        let error = hub.fetch_model(MODEL, None, &Silent).unwrap_err();
        assert!(matches!(error, HubError::PickleWeights { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(names[1]), "{text}");
        assert!(text.contains("safe_serialization=True") && text.contains("refs/pr/N"), "{text}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn other_weights_are_refused_by_name() {
    let server = Server::start();
    list(&server, &["config.json", "model.gguf"]);
    let folder = tempfile::tempdir().unwrap();
    let error = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap_err();
    assert!(matches!(error, HubError::NoWeights { .. }), "{error}");
    assert!(error.to_string().contains("model.gguf"));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "C:evil", ""] {
        let server = Server::start();
        list(&server, &["config.json", "model.safetensors", name]);
        let folder = tempfile::tempdir().unwrap();
        let error = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap_err();
        assert!(matches!(error, HubError::UnsafeFileName { .. }), "{name}: {error}");
        assert!(!folder.path().join("hub").exists());
    }
}

#[test]
fn an_index_that_leads_elsewhere_is_refused() {
    for (shard, listed) in [("../../../evil", true), ("absent.safetensors", false), ("w.bin", true)] {
        let server = Server::start();
        let index = serde_json::json!({ "weight_map": { "a": shard } }).to_string();
        let mut files = vec!["config.json", "model.safetensors.index.json"];
        if listed && !shard.contains("..") {
            files.push(shard);
        }
        list(&server, &files);
        add_small(&server, "config.json", b"{}");
        add_small(&server, "model.safetensors.index.json", index.as_bytes());
        let folder = tempfile::tempdir().unwrap();
        let error = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap_err();
        assert!(error.to_string().contains(shard), "{error}");
        assert!(matches!(error, HubError::UnsafeFileName { .. } | HubError::BadIndex { .. }), "{error}");
    }
}

#[test]
fn an_etag_or_a_commit_that_leads_elsewhere_is_refused() {
    let server = Server::start();
    list(&server, &["config.json", "model.safetensors"]);
    server.add(&resolve_path("config.json"), Route::new(b"{}").header("etag", "\"../../evil\""));
    let folder = tempfile::tempdir().unwrap();
    let error = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap_err();
    assert!(matches!(error, HubError::Protocol { .. }), "{error}");

    let server = Server::start();
    let body = r#"{"sha": "../../evil", "siblings": []}"#;
    server.add(&format!("/api/models/{MODEL}/revision/main"), Route::new(body.as_bytes()));
    let error = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap_err();
    assert!(matches!(error, HubError::Protocol { .. }), "{error}");
}

#[test]
fn another_commit_than_asked_for_is_refused() {
    let (server, _cdn, _) = tiny_model();
    let route = Route::new(b"{}").header("etag", &git_blob(b"{}")).header("x-repo-commit", &"e".repeat(40));
    server.add(&resolve_path("config.json"), route);
    let folder = tempfile::tempdir().unwrap();
    let error = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap_err();
    assert!(matches!(error, HubError::Protocol { .. }), "{error}");
}

#[test]
fn answers_that_are_no_hub_are_refused() {
    let loops = format!("/api/models/{MODEL}/revision/main");
    for (route, expected) in [
        (Route::new(b"<html>log in</html>"), "not JSON"),
        (Route::new(b"{}"), "no commit"),
        (Route::new(b"{\"sha\": \"abc\"}"), "no files"),
        (Route::new(b"").status(302).header("location", &loops), "redirects more than"),
        (Route::new(b"").status(302), "redirects to nowhere"),
    ] {
        let server = Server::start();
        server.add(&loops, route);
        let folder = tempfile::tempdir().unwrap();
        let error = hub(folder.path(), &server.url()).fetch_model(MODEL, None, &Silent).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_folder_is_taken_as_it_is_and_a_missing_one_is_not_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let hub = hub(folder.path(), &server.url());
    let here = folder.path().join("mine");
    fs::create_dir(&here).unwrap();
    let text = here.to_str().unwrap();
    assert_eq!(hub.resolve_model(text, None, &Silent).unwrap().dir(), here);
    for path in ["./missing", "../missing", "/missing/model", "~/missing-model", "a/b/c", "a/", ""] {
        let error = hub.resolve_model(path, None, &Silent).unwrap_err();
        assert!(matches!(error, HubError::NoSuchFolder { .. }), "{path}: {error}");
    }
    assert_eq!(server.seen().len(), 0);
}
