//! Owns the talk with GitHub's REST API: one request with its limits, retries and waits. What is asked for
//! stands elsewhere.

use super::address::{Api, is_loopback};
use super::refusal::explain;
use super::token::Token;
use crate::problem::{Problem, Result};
use serde_json::Value;
use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind;
use std::time::{Duration, SystemTime};
use ureq::http::{HeaderMap, Request, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy, ProxyProtocol};

pub use ureq::http::Method;

/// How often a request is tried whose connection breaks, or that the server fails at.
const TRIES: u32 = 4;
/// How often a request is tried that is told to wait.
const WAITS: u32 = 10;
/// The longest that is waited in all.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long to wait where GitHub says that it is too much, and not for how long: what it advises.
const UNTOLD: Duration = Duration::from_secs(60);
/// Most bytes of an answer: a page of a hundred comments, each character of them escaped.
const MOST_BYTES: u64 = 64 << 20;
/// Most pages of a list. GitHub keeps 2,500 comments of an issue.
const MOST_PAGES: usize = 50;
/// Longer than another run needs from its reading of a comment to its writing.
const SETTLED: Duration = Duration::from_secs(1);
const MOST_REDIRECTS: u32 = 5;
/// Most characters of what GitHub says that are passed on.
const MOST_MESSAGE: usize = 300;

/// The time, and waiting for it.
pub trait Clock {
    /// The time.
    fn now(&self) -> SystemTime;
    /// Waits.
    fn sleep(&self, time: Duration);
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// A client of GitHub's API.
pub struct Client {
    api: Api,
    token: Token,
    agent: Agent,
    clock: Box<dyn Clock>,
    /// What is left of the patience.
    patience: Cell<Duration>,
}

/// A request that failed in the end.
#[derive(Debug)]
pub struct Failure {
    /// The status by which GitHub refused it; none if it is not known whether it was done.
    pub status: Option<u16>,
    /// What to tell.
    pub problem: Problem,
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        failure.problem
    }
}

/// A good answer.
struct Reply {
    body: Value,
    /// The address of a list's next page, as the header `Link` says it.
    next: Option<String>,
}

/// What came of one try.
enum Tried {
    Done(Reply),
    /// It will not be done, however often it is tried.
    Refused(Failure),
    /// It was not done, and may be after some time.
    Wait(Duration, Problem),
    /// It may have been done.
    Broken(Problem),
}

/// An answer as it came.
struct Answer {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Client {
    /// A client that sends the token to this API. Proxies are those of the environment.
    ///
    /// # Errors
    /// If the proxy's address is none.
    pub fn new(api: Api, token: Token, clock: Box<dyn Clock>) -> Result<Client> {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy(&api)?)
            .http_status_as_error(false)
            // Redirects are followed here, to the same host only.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("perfgate-llm/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(seconds(15))
            .timeout_recv_response(seconds(30))
            .timeout_global(seconds(90))
            .build();
        let patience = Cell::new(PATIENCE);
        Ok(Client { api, token, agent: config.new_agent(), clock, patience })
    }

    /// A text without the token.
    pub fn scrub(&self, text: &str) -> String {
        self.token.scrub(text)
    }

    /// Asks for one thing; `path` begins with a slash. Nothing is returned as null.
    ///
    /// # Errors
    /// If it is refused, or stays broken. A `POST` is not tried again after it may have been done.
    pub fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> std::result::Result<Value, Failure> {
        self.call(method, &self.api.url(path), body).map(|reply| reply.body)
    }

    /// Every element of a list; `path` begins with a slash and has no query but `query`.
    ///
    /// # Errors
    /// If a page cannot be had, is no list, or lies elsewhere; or if there are too many.
    pub fn list(&self, path: &str, query: &str) -> std::result::Result<Vec<Value>, Failure> {
        let failed = |what: String| {
            let problem = Problem::new(format!("GET {path}: {what}"));
            let help = "look at GITHUB_API_URL: it has to be the address that GitHub itself gives its pages";
            Failure { status: None, problem: problem.help(help) }
        };
        let mut url = self.api.url(&format!("{path}?{query}per_page=100"));
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let reply = self.call(&Method::GET, &url, None)?;
            let Value::Array(page) = reply.body else {
                return Err(failed("GitHub answered with what is no list".to_string()));
            };
            found.extend(page);
            let Some(next) = reply.next else { return Ok(found) };
            // The token goes along, so it goes nowhere else.
            url = self.api.follow(&next).ok_or_else(|| {
                failed("the next page of the list is said to lie on another host".to_string())
            })?;
        }
        Err(failed(format!("the list has more than {MOST_PAGES} pages")))
    }

    /// Waits until what others were about to write when something was written here is written too.
    pub(super) fn settle(&self) {
        self.clock.sleep(SETTLED);
    }

    fn call(
        &self,
        method: &Method,
        url: &str,
        body: Option<&Value>,
    ) -> std::result::Result<Reply, Failure> {
        let unknown = |problem| Failure { status: None, problem };
        let (mut broken, mut waits) = (0, 0);
        loop {
            match self.once(method, url, body) {
                Tried::Done(reply) => return Ok(reply),
                Tried::Refused(failure) => return Err(failure),
                Tried::Wait(time, problem) => {
                    waits += 1;
                    if waits >= WAITS || !self.wait(time) {
                        let problem = self.try_later(time, problem);
                        return Err(Failure { status: Some(429), problem });
                    }
                }
                Tried::Broken(problem) => {
                    broken += 1;
                    if broken >= TRIES || !self.back_off(broken) || *method == Method::POST {
                        return Err(unknown(problem));
                    }
                }
            }
        }
    }

    /// Waits, if it is not too long.
    fn wait(&self, time: Duration) -> bool {
        let left = self.patience.get().checked_sub(time);
        if let Some(left) = left {
            self.patience.set(left);
            self.clock.sleep(time);
        }
        left.is_some()
    }

    /// Waits longer after each failure: one second, two, four, less up to a half by chance, so that many
    /// jobs don't come back at once.
    fn back_off(&self, failures: u32) -> bool {
        let chance = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
        self.wait(Duration::from_secs(1 << (failures - 1)).mul_f64(1.0 - chance / 2.0))
    }

    fn try_later(&self, time: Duration, problem: Problem) -> Problem {
        let then = self.clock.now().checked_add(time);
        // The year 10000 is no date that could be written.
        let then = then.filter(|_| time < Duration::from_secs(1 << 32));
        problem.help(match then {
            Some(then) => {
                format!("try again after {}", humantime::format_rfc3339_seconds(then))
            }
            None => "try again much later".to_string(),
        })
    }

    fn once(&self, method: &Method, url: &str, body: Option<&Value>) -> Tried {
        let what = format!("{method} {}", self.plain(url));
        match self.exchange(method, url, body) {
            Err(error) => self.unanswered(&what, &error),
            Ok(answer) => self.answered(&what, answer),
        }
    }

    /// Sends a request, and again where it is sent elsewhere on the same host: a repository that was
    /// renamed answers so.
    fn exchange(
        &self,
        method: &Method,
        url: &str,
        body: Option<&Value>,
    ) -> std::result::Result<Answer, ureq::Error> {
        let mut url = url.to_string();
        for _ in 0..MOST_REDIRECTS {
            let answer = self.exchange_once(method, &url, body)?;
            let location =
                answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
            let next = location.filter(|_| (300..400).contains(&answer.status));
            match next.and_then(|location| self.api.follow(location)) {
                Some(next) => url = next,
                None => return Ok(answer),
            }
        }
        Err(ureq::Error::TooManyRedirects)
    }

    fn exchange_once(
        &self,
        method: &Method,
        url: &str,
        body: Option<&Value>,
    ) -> std::result::Result<Answer, ureq::Error> {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::AUTHORIZATION, self.token.header())
            .header(header::ACCEPT, "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28");
        let response = match body {
            Some(body) => {
                let request = request.header(header::CONTENT_TYPE, "application/json");
                self.agent.run(request.body(body.to_string())?)?
            }
            None => self.agent.run(request.body(())?)?,
        };
        let (parts, mut body) = response.into_parts();
        let bytes = body.with_config().limit(MOST_BYTES).read_to_vec()?;
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, bytes })
    }

    fn unanswered(&self, what: &str, error: &ureq::Error) -> Tried {
        use ureq::Error::{
            BodyExceedsLimit, ConnectProxyFailed, Io, Rustls, Tls, TooManyRedirects,
        };
        let problem = Problem::new(format!("{what}: {}", self.plain(&error.to_string())));
        let refused = |help: &str| {
            Tried::Refused(Failure { status: None, problem: problem.clone().help(help) })
        };
        let broken = || {
            Tried::Broken(problem.clone().help(
                "look at the network, at https://www.githubstatus.com, and at GITHUB_API_URL and HTTPS_PROXY",
            ))
        };
        match error {
            // rustls hands its own errors through the stream.
            Io(error) if error.kind() != ErrorKind::InvalidData => broken(),
            Io(_) | Tls(_) | Rustls(_) => refused(
                "the server's certificate has to be one that this system trusts: install the certificate of \
                 your GitHub Enterprise Server, or of your proxy, or name it with SSL_CERT_FILE",
            ),
            ConnectProxyFailed(_) => refused(
                "the proxy is that of ALL_PROXY, HTTPS_PROXY or HTTP_PROXY: look at it, or name GitHub's host \
                 in NO_PROXY",
            ),
            TooManyRedirects | BodyExceedsLimit(_) => refused("look at GITHUB_API_URL"),
            _ => broken(),
        }
    }

    fn answered(&self, what: &str, answer: Answer) -> Tried {
        let status = answer.status;
        let json: Option<Value> = match answer.bytes.is_empty() {
            true => Some(Value::Null),
            false => serde_json::from_slice(&answer.bytes).ok(),
        };
        let message = json.as_ref().and_then(|json| json["message"].as_str());
        let message = self.plain(message.unwrap_or_default());
        let explained = || {
            explain(
                what,
                status,
                &message,
                self.header(&answer, "x-accepted-github-permissions").as_deref(),
            )
        };
        match (status, json) {
            (200..300, Some(body)) => {
                let link = answer.headers.get(header::LINK).and_then(|value| value.to_str().ok());
                Tried::Done(Reply { body, next: link.and_then(next_page) })
            }
            (200..300, None) => {
                let problem =
                    Problem::new(format!("{what}: GitHub's answer is no JSON, or is cut short"));
                Tried::Broken(problem.help(
                    "look at GITHUB_API_URL, and at what a proxy on the way makes of the answers",
                ))
            }
            (300..400, _) => {
                let problem = Problem::new(format!("{what}: the answer leads to another host"));
                let help = "look at GITHUB_API_URL; the token is sent to no other host";
                Tried::Refused(Failure { status: Some(status), problem: problem.help(help) })
            }
            (408 | 500.., _) => Tried::Broken(explained()),
            (403 | 429, _) => match self.limited(&answer, &message) {
                Some(time) => Tried::Wait(time, explained()),
                None => Tried::Refused(Failure { status: Some(status), problem: explained() }),
            },
            _ => Tried::Refused(Failure { status: Some(status), problem: explained() }),
        }
    }

    /// How long to wait, if what was refused was only too much.
    fn limited(&self, answer: &Answer, message: &str) -> Option<Duration> {
        let number = |name: &str| self.header(answer, name)?.parse::<u64>().ok();
        if let Some(seconds) = number("retry-after") {
            return Some(Duration::from_secs(seconds));
        }
        if number("x-ratelimit-remaining") == Some(0)
            && let Some(reset) = number("x-ratelimit-reset")
        {
            let now = self.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let wait = Duration::from_secs(reset).saturating_sub(now);
            // A second more: the reset is told in whole ones, and clocks differ.
            return Some(wait.saturating_add(Duration::from_secs(1)));
        }
        let message = message.to_ascii_lowercase();
        let secondary = message.contains("rate limit") || message.contains("abuse detection");
        (answer.status == 429 || secondary).then_some(UNTOLD)
    }

    fn header(&self, answer: &Answer, name: &str) -> Option<String> {
        answer.headers.get(name)?.to_str().ok().map(|text| self.plain(text.trim()))
    }

    /// Somebody else's text as one short line without the token: it may end in a log.
    pub(super) fn plain(&self, text: &str) -> String {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.token.scrub(&line).chars().take(MOST_MESSAGE).collect()
    }
}

/// The proxy that the environment names. What isn't encrypted goes through none on another machine.
fn proxy(api: &Api) -> Result<Option<Proxy>> {
    let proxy = Proxy::try_from_env();
    if proxy.is_none() {
        // ureq passes over an address that it cannot read, and would go round the proxy.
        let names = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"];
        let both = names.iter().flat_map(|name| [name.to_string(), name.to_lowercase()]);
        let set = |name: &String| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if let Some(name) = both.into_iter().find(set) {
            let problem = Problem::new(format!("{name} is no address of a proxy"));
            return Err(problem.help("write it as http://HOST:PORT"));
        }
    }
    let passed_by = |proxy: &Proxy| api.url("").parse().is_ok_and(|uri| proxy.is_no_proxy(&uri));
    let proxy = proxy.filter(|proxy| !passed_by(proxy));
    if let Some(proxy) = &proxy
        && !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https)
    {
        // ureq would go round it here too.
        let problem = Problem::new("the proxy of the environment is none for HTTP");
        return Err(
            problem.help("name one by HTTPS_PROXY=http://HOST:PORT, or GitHub's host in NO_PROXY")
        );
    }
    Ok(proxy.filter(|proxy| !api.is_plain() || is_loopback(proxy.host())))
}

/// The address of the next page in a header `Link`.
fn next_page(link: &str) -> Option<String> {
    let parts = link.split('<').skip(1).filter_map(|part| part.split_once('>'));
    let is_next = |about: &str| {
        let mut parameters = about.split([';', ',']).map(str::trim);
        parameters.any(|parameter| parameter == "rel=\"next\"" || parameter == "rel=next")
    };
    parts.into_iter().find(|(_, about)| is_next(about)).map(|(url, _)| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_that_of_the_link() {
        let link = "<https://h/a?page=1>; rel=\"prev\", <https://h/a?x=1,2&page=3>; rel=\"next\", \
                    <https://h/a?page=9>; rel=\"last\"";
        assert_eq!(next_page(link).as_deref(), Some("https://h/a?x=1,2&page=3"));
        for none in
            ["", "<https://h>; rel=\"last\"", "<<<>>>;;,", "rel=\"next\"", "<x; rel=\"next\""]
        {
            assert_eq!(next_page(none), None, "{none}");
        }
    }
}
