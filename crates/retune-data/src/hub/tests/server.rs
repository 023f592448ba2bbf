//! A web server for tests: scripted answers by path, and a list of what was asked.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a path answers.
#[derive(Clone)]
pub(super) struct Route {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cuts: usize,
    ignores_range: bool,
    refuses_range: bool,
    failures: usize,
}

impl Route {
    pub(super) fn new(body: &[u8]) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: body.to_owned(),
            cuts: 0,
            ignores_range: false,
            refuses_range: false,
            failures: 0,
        }
    }

    pub(super) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first `times` answers stop in the middle of what is left to send.
    pub(super) fn cut(mut self, times: usize) -> Self {
        self.cuts = times;
        self
    }

    pub(super) fn ignore_range(mut self) -> Self {
        self.ignores_range = true;
        self
    }

    /// Answers 416 to whoever asks for a part.
    pub(super) fn refuse_range(mut self) -> Self {
        self.refuses_range = true;
        self
    }

    /// The first `times` answers are 503.
    pub(super) fn fail(mut self, times: usize) -> Self {
        self.failures = times;
        self
    }
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) range: Option<String>,
    pub(super) authorization: Option<String>,
}

#[derive(Default)]
struct State {
    routes: Mutex<HashMap<String, Route>>,
    seen: Mutex<Vec<Seen>>,
    stopped: AtomicBool,
}

/// Listens on a free port until it is dropped.
pub(super) struct Server {
    address: String,
    state: Arc<State>,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || answer(stream, &shared));
            }
        });
        Self { address, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn add(&self, path: &str, route: Route) {
        let mut routes = self.state.routes.lock().unwrap();
        routes.insert(path.to_owned(), route);
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// How many bodies were asked for at `path`.
    pub(super) fn gets(&self, path: &str) -> usize {
        let seen = self.seen();
        seen.iter().filter(|request| request.method == "GET" && request.path == path).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, so that its thread sees the flag and frees the port.
        let _ = TcpStream::connect(&self.address);
    }
}

fn answer(mut stream: TcpStream, state: &State) {
    let Some(seen) = read_request(&stream) else {
        return;
    };
    state.seen.lock().unwrap().push(seen.clone());
    let planned = {
        let mut routes = state.routes.lock().unwrap();
        routes.get_mut(&seen.path).map(|route| {
            let now = route.clone();
            if now.failures > 0 {
                route.failures -= 1;
            } else if now.cuts > 0 && seen.method == "GET" {
                route.cuts -= 1;
            }
            now
        })
    };
    let route = planned.unwrap_or_else(|| Route::new(b"").status(404));
    let _ = write_answer(&mut stream, &seen, &route);
}

fn read_request(stream: &TcpStream) -> Option<Seen> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let mut seen =
        Seen { method: words.next()?.to_owned(), path: words.next()?.to_owned(), range: None, authorization: None };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => seen.range = Some(value.to_owned()),
            "authorization" => seen.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(seen)
}

fn write_answer(stream: &mut TcpStream, seen: &Seen, route: &Route) -> std::io::Result<()> {
    if route.failures > 0 {
        return stream.write_all(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    let start = seen
        .range
        .as_ref()
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
        .filter(|_| !route.ignores_range && route.status == 200);
    let total = route.body.len();
    let (status, body): (u16, &[u8]) = match start {
        Some(_) if route.refuses_range => (416, b""),
        Some(start) => (206, &route.body[start..]),
        None => (route.status, &route.body),
    };
    let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
    head += &format!("content-length: {}\r\n", body.len());
    if let (206, Some(start)) = (status, start) {
        head += &format!("content-range: bytes {start}-{}/{total}\r\n", total - 1);
    }
    for (name, value) in &route.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    if seen.method == "HEAD" {
        return Ok(());
    }
    let sent = if route.cuts > 0 { body.len() / 2 } else { body.len() };
    stream.write_all(&body[..sent])
}
