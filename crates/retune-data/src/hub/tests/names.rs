//! Model ids, revisions, file names, addresses and the environment.

use proptest::prelude::*;

use super::*;
use crate::hub::client::{join, same_origin};
use crate::hub::name::{is_safe_component, is_safe_relative, percent_encode};
use crate::hub::{HubError, ModelReference};

#[test]
fn ids_and_revisions_are_told_apart() {
    let parse = |text: &str| {
        let model = ModelReference::parse(text, None).unwrap();
        (model.id().to_owned(), model.revision().to_owned())
    };
    let pair = |id: &str, revision: &str| (id.to_owned(), revision.to_owned());
    assert_eq!(parse("bert-base-uncased"), pair("bert-base-uncased", "main"));
    assert_eq!(parse("org/na.me_1@v1.0"), pair("org/na.me_1", "v1.0"));
    assert_eq!(parse("org/name@refs/pr/3"), pair("org/name", "refs/pr/3"));
    assert!(ModelReference::parse(&format!("a/b@{COMMIT}"), None).unwrap().is_pinned());
    assert!(ModelReference::parse("a/b@v1", Some("v1")).is_ok());
    assert!(matches!(ModelReference::parse("a/b@v1", Some("v2")), Err(HubError::InvalidRevision { .. })));
}

#[test]
fn bad_ids_and_revisions_are_refused() {
    for id in ["", "/", "a/", "/a", "a/b/c", "..", "a/..", ".a", "a-", "a--b", "a..b", "a b", "ä", "a/b.git"] {
        assert!(matches!(ModelReference::new(id, None), Err(HubError::InvalidModelId { .. })), "{id}");
    }
    for revision in ["", "..", "a/../b", "/a", "a//b", "a b", "a\\b", "a?b", "a#b", "a%2e"] {
        assert!(ModelReference::new("a/b", Some(revision)).is_err(), "{revision}");
    }
}

#[test]
fn the_environment_is_read_as_python_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap().to_owned();
    let options = |pairs: &[(&str, &str)]| {
        HubOptions::from_variables(|name| {
            let value = pairs.iter().find(|(key, _)| *key == name)?.1;
            Some(value.replace("HERE", &home))
        })
    };
    let plain = options(&[("HOME", "HERE")]).unwrap();
    assert_eq!(plain.cache_dir, folder.path().join(".cache/huggingface/hub"));
    assert_eq!(plain.endpoint, "https://huggingface.co");
    assert!(plain.token.is_none() && !plain.offline);

    std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
    let moved = options(&[("HF_HOME", "HERE"), ("HF_ENDPOINT", "http://mirror/"), ("HF_HUB_OFFLINE", "Yes")]).unwrap();
    assert_eq!(moved.cache_dir, folder.path().join("hub"));
    assert_eq!(moved.endpoint, "http://mirror");
    assert_eq!(moved.token.as_deref(), Some("hf_file"));
    assert!(moved.offline);

    let direct =
        options(&[("HOME", "HERE"), ("HF_HUB_CACHE", "~/c"), ("HF_TOKEN", " t "), ("HF_HUB_OFFLINE", "0")]).unwrap();
    assert_eq!(direct.cache_dir, folder.path().join("c"));
    assert_eq!(direct.token.as_deref(), Some("t"));
    assert!(!direct.offline);
    assert!(matches!(options(&[("HF_HOME", "")]), Err(HubError::NoCacheFolder)));
}

#[test]
fn redirects_are_resolved_and_origins_compared() {
    let base = "https://hub.example/api/models/a?x=1";
    let joined = |location| join(base, location).unwrap();
    assert_eq!(joined("/b/c"), "https://hub.example/b/c");
    assert_eq!(joined("c"), "https://hub.example/api/models/c");
    assert_eq!(joined("//cdn.example/x"), "https://cdn.example/x");
    assert_eq!(joined("http://cdn.example/x"), "http://cdn.example/x");
    assert!(same_origin("https://Hub.example/a", "https://hub.example:443"));
    for other in
        ["http://hub.example", "https://hub.example:8443", "https://hub.example.evil", "https://user@evil/hub.example"]
    {
        assert!(!same_origin("https://hub.example", other), "{other}");
    }
    assert_eq!(percent_encode("refs/pr/1 ä", false), "refs%2Fpr%2F1%20%C3%A4");
}

proptest! {
    #[test]
    fn a_name_called_safe_stays_inside(name in "([a-z.\\\\/:~]|\\.\\./|//){1,12}") {
        if is_safe_relative(&name) {
            let joined = Path::new("/base").join(&name);
            let mut depth = 0_i32;
            for part in name.split('/') {
                prop_assert!(part != ".." && part != "." && !part.is_empty());
                depth += 1;
            }
            prop_assert!(joined.starts_with("/base"));
            prop_assert_eq!(joined.components().count() as i32, depth + 2);
        }
    }

    #[test]
    fn a_component_called_safe_is_one_component(text in "[a-z./\\\\]{1,8}") {
        if is_safe_component(&text) {
            prop_assert_eq!(Path::new(&text).components().count(), 1);
            prop_assert!(!text.contains(['/', '\\']) && text != "..");
        }
    }

    #[test]
    fn no_model_name_panics_or_leaves_the_cache(text in "\\PC{0,40}") {
        if let Ok(model) = ModelReference::parse(&text, None) {
            let folder = model.folder_name();
            prop_assert!(is_safe_component(&folder) || folder.len() > 128);
            prop_assert!(is_safe_relative(model.revision()));
        }
    }
}
