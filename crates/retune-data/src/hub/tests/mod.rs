//! Tests of the hub client against a small server on the loopback interface.

mod cache_layout;
mod download;
mod names;
mod offline;
mod package;
mod refusals;
mod server;

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Hub, HubOptions, Progress};
use server::{Route, Server};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const MODEL: &str = "org/tiny";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

fn git_blob(body: &[u8]) -> String {
    let mut hasher = Sha1::new_with_prefix(format!("blob {}\0", body.len()));
    hasher.update(body);
    hex(&hasher.finalize())
}

/// A client with pauses too short to notice.
fn hub(cache: &Path, endpoint: &str) -> Hub {
    Hub::new(options(cache, endpoint))
}

fn options(cache: &Path, endpoint: &str) -> HubOptions {
    let mut options = HubOptions::new(cache.join("hub"));
    endpoint.clone_into(&mut options.endpoint);
    options.retry_pause = Duration::from_millis(1);
    options.pip = Vec::new();
    options
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Some bytes that are not all alike.
fn weights(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

/// Announces `files` as [`MODEL`] at [`COMMIT`] on branch main.
fn list(server: &Server, files: &[&str]) {
    let siblings: Vec<_> = files.iter().map(|name| serde_json::json!({ "rfilename": name })).collect();
    let body = serde_json::json!({ "sha": COMMIT, "siblings": siblings }).to_string();
    for revision in ["main", COMMIT] {
        let path = format!("/api/models/{MODEL}/revision/{revision}");
        server.add(&path, Route::new(body.as_bytes()));
    }
}

fn resolve_path(file: &str) -> String {
    format!("/{MODEL}/resolve/{COMMIT}/{file}")
}

/// Serves a small file as git does.
fn add_small(server: &Server, file: &str, body: &[u8]) {
    let route = Route::new(body).header("etag", &format!("\"{}\"", git_blob(body))).header("x-repo-commit", COMMIT);
    server.add(&resolve_path(file), route);
}

/// Serves a large file as LFS does: a redirect that carries the digest, to `cdn`.
fn add_large(server: &Server, file: &str, body: &[u8], cdn: &Server, there: Route) {
    let at = format!("/cdn/{file}");
    let route = Route::new(b"")
        .status(302)
        .header("location", &format!("{}{at}", cdn.url()))
        .header("x-linked-etag", &format!("\"{}\"", sha256(body)))
        .header("x-linked-size", &body.len().to_string())
        .header("x-repo-commit", COMMIT);
    server.add(&resolve_path(file), route);
    cdn.add(&at, there);
}

/// A server with a whole small model; the weights come from a second server.
fn tiny_model() -> (Server, Server, Vec<u8>) {
    let (server, cdn) = (Server::start(), Server::start());
    let body = weights(300_000);
    list(&server, &["config.json", "model.safetensors", "vocab.txt", "README.md"]);
    add_small(&server, "config.json", b"{\"model_type\": \"bert\"}\n");
    add_small(&server, "vocab.txt", b"[PAD]\n[UNK]\n");
    add_large(&server, "model.safetensors", &body, &cdn, Route::new(&body));
    (server, cdn, body)
}

/// Writes down what it is told.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Progress for Diary {
    fn started(&self, file: &str, total: Option<u64>, already: u64) {
        let total = total.map_or("?".to_owned(), |total| total.to_string());
        self.0.lock().unwrap().push(format!("{file} {already}/{total}"));
    }
    fn advanced(&self, _bytes: u64) {}
    fn finished(&self) {
        self.0.lock().unwrap().push("done".to_owned());
    }
}
