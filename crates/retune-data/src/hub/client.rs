//! HTTP as the hub speaks it: redirects followed by hand, so that the token stays at home.

use std::fmt::Display;
use std::io;
use std::thread;
use std::time::Duration;

use ureq::http::{HeaderMap, Method, Request, Uri, header};
use ureq::{Agent, Body};

use super::HubError;
use super::verify::Expected;

/// How often a request is tried when nothing moves.
pub(super) const ATTEMPTS: u32 = 4;
const MAX_REDIRECTS: usize = 10;
/// An unreachable hub must not keep anyone waiting: there may be a cache to use.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A connection on which nothing arrives for this long is taken for broken.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// Why a request failed, before anyone knows which model it was for.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection: repeating it at once is useless.
    Unreachable { url: String, reason: String },
    /// A connection that broke: worth another try.
    Broken { url: String, reason: String },
    /// An answer that is not a success.
    Status { url: String, status: u16 },
    /// An answer that makes no sense.
    Protocol { url: String, reason: String },
    /// Nothing to do with the network.
    Local(HubError),
}

impl Failure {
    /// Whether the same request may succeed a moment later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Broken { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether the hub is away, as opposed to saying no.
    pub(super) fn is_away(&self) -> bool {
        matches!(self, Self::Unreachable { .. }) || self.is_transient()
    }

    /// The address and what happened there.
    pub(super) fn describe(&self) -> (String, String) {
        match self {
            Self::Unreachable { url, reason } | Self::Broken { url, reason } | Self::Protocol { url, reason } => {
                (url.clone(), reason.clone())
            }
            Self::Status { url, status } => (url.clone(), format!("it answered {status}")),
            Self::Local(error) => (String::new(), error.to_string()),
        }
    }
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Self::Local(error)
    }
}

/// A successful answer whose body is still to be read.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }
}

/// What a HEAD request says about one file.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) commit: Option<String>,
    pub(super) expected: Expected,
}

/// An HTTP client for one endpoint.
pub(super) struct Client {
    agent: Agent,
    pub(super) endpoint: String,
    token: Option<String>,
    pub(super) retry_pause: Duration,
}

impl Client {
    pub(super) fn new(endpoint: &str, token: Option<String>, retry_pause: Duration) -> Self {
        let mut config = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_resolve(Some(CONNECT_LIMIT))
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_recv_response(Some(SILENCE_LIMIT))
            .timeout_per_read(Some(SILENCE_LIMIT))
            .user_agent(concat!("retune/", env!("CARGO_PKG_VERSION")));
        if is_loopback(endpoint) {
            // A proxy for the outside world does not know this machine's own servers.
            config = config.proxy(None);
        }
        Self { agent: config.build().new_agent(), endpoint: endpoint.to_owned(), token, retry_pause }
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// GET, from byte `start` on when that is not 0. A status of 416 counts as an answer.
    pub(super) fn get(&self, url: &str, start: u64) -> Result<Answer, Failure> {
        let mut url = url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send(&Method::GET, &url, start)?;
            match redirect(&url, &answer)? {
                Some(next) => url = next,
                None if answer.status == 416 || (200..300).contains(&answer.status) => {
                    return Ok(answer);
                }
                None => {
                    return Err(Failure::Status { url, status: answer.status });
                }
            }
        }
        Err(too_many_redirects(url))
    }

    /// The body of a GET as JSON, with retries.
    pub(super) fn json(&self, url: &str) -> Result<serde_json::Value, Failure> {
        self.with_retries(|| {
            let mut body = self.get(url, 0)?.body;
            let text = body.read_to_string().map_err(|e| classify(url, e))?;
            serde_json::from_str(&text)
                .map_err(|e| Failure::Protocol { url: url.to_owned(), reason: format!("its answer is not JSON ({e})") })
        })
    }

    /// What the hub says about a file, with retries.
    ///
    /// A redirect to where the bytes lie carries the digest in `x-linked-etag` and is not followed;
    /// one without it (a renamed repository, a cache of the hub) is.
    pub(super) fn metadata(&self, url: &str) -> Result<Metadata, Failure> {
        self.with_retries(|| self.metadata_once(url))
    }

    fn metadata_once(&self, first: &str) -> Result<Metadata, Failure> {
        let mut url = first.to_owned();
        let mut commit = None;
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send(&Method::HEAD, &url, 0)?;
            commit = commit.or_else(|| answer.header("x-repo-commit").map(str::to_owned));
            let linked_size = answer.header("x-linked-size").and_then(|size| size.trim().parse().ok());
            if let Some(etag) = answer.header("x-linked-etag") {
                let etag = plain_etag(etag);
                let expected = Expected { etag, size: linked_size };
                return Ok(Metadata { commit, expected });
            }
            if let Some(next) = redirect(&url, &answer)? {
                url = next;
                continue;
            }
            if !(200..300).contains(&answer.status) {
                return Err(Failure::Status { url, status: answer.status });
            }
            let Some(etag) = answer.header("etag").map(plain_etag) else {
                return Err(Failure::Protocol { url, reason: "it sends no etag for a file".to_owned() });
            };
            let size = linked_size.or_else(|| answer.content_length());
            return Ok(Metadata { commit, expected: Expected { etag, size } });
        }
        Err(too_many_redirects(url))
    }

    /// Runs `request` again while it fails in a way that may pass.
    fn with_retries<T>(&self, mut request: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut failures = 0;
        loop {
            match request() {
                Err(failure) if failure.is_transient() && failures + 1 < ATTEMPTS => {
                    self.pause(failures);
                    failures += 1;
                }
                result => return result,
            }
        }
    }

    /// Waits before repeating, longer after each failure.
    pub(super) fn pause(&self, failures: u32) {
        thread::sleep(self.retry_pause * 2_u32.pow(failures.min(6)));
    }

    fn send(&self, method: &Method, url: &str, start: u64) -> Result<Answer, Failure> {
        let unusable = |reason: &dyn Display| Failure::Unreachable { url: url.to_owned(), reason: reason.to_string() };
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            // Sizes and ranges are those of the file, not of a compressed form of it.
            .header(header::ACCEPT_ENCODING, "identity");
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        if let Some(token) = &self.token
            && same_origin(url, &self.endpoint)
        {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(()).map_err(|e| unusable(&e))?;
        let response = self.agent.run(request).map_err(|e| classify(url, e))?;
        let (parts, body) = response.into_parts();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

/// `W/"abc"` and `"abc"` as `abc`.
fn plain_etag(etag: &str) -> String {
    let etag = etag.trim();
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"').to_owned()
}

fn too_many_redirects(url: String) -> Failure {
    Failure::Protocol { url, reason: format!("it redirects more than {MAX_REDIRECTS} times") }
}

/// Where an answer points to, if it is a redirect.
fn redirect(url: &str, answer: &Answer) -> Result<Option<String>, Failure> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let protocol = |reason: &str| Failure::Protocol { url: url.to_owned(), reason: reason.to_owned() };
    let location = answer.header("location").ok_or_else(|| protocol("it redirects to nowhere"))?;
    let next = join(url, location).ok_or_else(|| protocol("it redirects to no usable address"))?;
    if url.starts_with("https://") && !next.starts_with("https://") {
        return Err(protocol("it redirects from https to an open connection"));
    }
    Ok(Some(next))
}

/// A `Location` made absolute, RFC 3986 §5.2 without dot segments (no server sends those).
pub(super) fn join(base: &str, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    let uri: Uri = base.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{authority}{folder}/{location}"))
}

/// Whether two addresses are of one server: scheme, host and port.
pub(super) fn same_origin(left: &str, right: &str) -> bool {
    let origin = |url: &str| {
        let uri: Uri = url.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let usual = if scheme == "https" { 443 } else { 80 };
        let host = uri.host()?.to_ascii_lowercase();
        Some((scheme, host, uri.port_u16().unwrap_or(usual)))
    };
    origin(left).is_some_and(|left| origin(right) == Some(left))
}

fn is_loopback(url: &str) -> bool {
    let host = url.parse::<Uri>().ok().and_then(|uri| {
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        Some(host)
    });
    host.is_some_and(|host| {
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

/// Sorts an error of the HTTP library into "nobody there" and "it broke".
fn classify(url: &str, error: ureq::Error) -> Failure {
    use io::ErrorKind as Kind;
    let broken = match &error {
        ureq::Error::Io(io) => {
            !matches!(
                io.kind(),
                Kind::ConnectionRefused
                    | Kind::HostUnreachable
                    | Kind::NetworkUnreachable
                    | Kind::NetworkDown
                    | Kind::AddrNotAvailable
                    | Kind::PermissionDenied
                    | Kind::InvalidInput
            ) && !io.to_string().contains("lookup address")
        }
        ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => false,
        ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => true,
        _ => false,
    };
    let (url, reason) = (url.to_owned(), error.to_string());
    if broken { Failure::Broken { url, reason } } else { Failure::Unreachable { url, reason } }
}
