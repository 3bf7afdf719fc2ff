//! Owns a stand-in for GitHub's API on loopback: pull requests and their comments, kept as GitHub keeps them,
//! and faults between any two calls.
//!
//! It speaks HTTP by itself: a server library closes no connection in the middle of an answer.

use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// The token of a workflow, which may not ask for its own name.
pub const TOKEN: &str = "ghs_ThisIsTheSecretOfTheWorkflow0123456789";
/// Who writes with it.
pub const BOT: &str = "github-actions[bot]";
/// The token of another job, which writes by the same name.
pub const OTHER: &str = "ghs_ThisIsTheSecretOfAnotherJob0123456789";
/// The token of a person.
pub const PERSONAL: &str = "ghp_ThisIsTheSecretOfAPerson0123456789";
/// The token of another app than the workflows'.
pub const APP: &str = "ghs_ThisIsTheSecretOfAnApp0123456789";
/// The token of a pull request from a fork.
pub const READER: &str = "ghs_ThisMayOnlyRead0123456789";
/// The path of the API, as on an Enterprise Server.
pub const BASE: &str = "/api/v3";

/// A comment.
#[derive(Debug, Clone, PartialEq)]
pub struct Comment {
    pub id: u64,
    pub author: String,
    pub body: String,
}

/// What somebody does.
pub type Change = fn(&mut World);

/// What goes wrong with one call.
#[derive(Clone)]
pub enum Fault {
    /// An answer, after the change was made or not.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: String, applied: bool },
    /// No answer, after the change was made or not.
    Close { applied: bool },
    /// Half an answer, after the change was made.
    Cut,
    /// Somebody else does something before the call.
    Rival(Change),
}

/// A call as it came.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    /// With the query.
    pub path: String,
    pub head: String,
}

/// What GitHub knows.
#[derive(Default)]
pub struct World {
    pub comments: Vec<Comment>,
    pub pulls: Vec<Value>,
    /// Comments of a page.
    pub page: usize,
    /// By the number of the call, from 0.
    pub faults: BTreeMap<usize, Fault>,
    /// What goes wrong with every call from this one on, of one method or (nothing) of all.
    pub broken_from: Option<(usize, &'static str, Fault)>,
    pub calls: Vec<Call>,
    /// Where the next page is said to be, in place of here.
    pub next_at: Option<String>,
    last_id: u64,
}

impl World {
    pub fn add(&mut self, author: &str, body: &str) -> u64 {
        // Ids are not without gaps.
        self.last_id += 3;
        let id = self.last_id;
        self.comments.push(Comment { id, author: author.to_string(), body: body.to_string() });
        id
    }
}

/// Whose call comes next, of two jobs.
#[derive(Default)]
pub struct Turns {
    order: Mutex<(VecDeque<usize>, [bool; 2])>,
    changed: Condvar,
}

impl Turns {
    /// Sets an order by tokens of [`TOKEN`] (0) and [`OTHER`] (1); after its end they come as they come.
    pub fn set(&self, order: impl IntoIterator<Item = usize>) {
        *self.order.lock().unwrap() = (order.into_iter().collect(), [false; 2]);
    }

    /// A job is through: its further turns are left out.
    pub fn end(&self, job: usize) {
        self.order.lock().unwrap().1[job] = true;
        self.changed.notify_all();
    }

    /// Waits for a job's turn, and is its turn until the end of what is returned.
    fn turn(&self, job: usize) -> MutexGuard<'_, (VecDeque<usize>, [bool; 2])> {
        let wait = |(order, ended): &mut (VecDeque<usize>, [bool; 2])| {
            while order.front().is_some_and(|next| ended[*next]) {
                order.pop_front();
            }
            order.front().is_some_and(|next| *next != job)
        };
        let mut turn = self.changed.wait_while(self.order.lock().unwrap(), wait).unwrap();
        turn.0.pop_front();
        self.changed.notify_all();
        turn
    }
}

/// A running server; it ends with the test's process.
#[derive(Clone)]
pub struct Server {
    pub world: Arc<Mutex<World>>,
    pub turns: Arc<Turns>,
    pub port: u16,
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

fn reply(status: u16, body: Value) -> Reply {
    Reply { status, headers: Vec::new(), body: body.to_string() }
}

fn refuse(status: u16, message: &str) -> Reply {
    reply(status, json!({"message": message, "documentation_url": "https://docs.github.com/rest"}))
}

impl Server {
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let world = World { page: 2, last_id: 100, ..World::default() };
        let server = Server { world: Arc::new(Mutex::new(world)), turns: Arc::default(), port };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (serving, stream) = (serving.clone(), stream.unwrap());
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{BASE}", self.port)
    }

    pub fn comments(&self) -> Vec<Comment> {
        self.world.lock().unwrap().comments.clone()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.world.lock().unwrap().calls.clone()
    }

    /// Answers the requests of a connection until one ends it.
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some((call, body)) = read(&mut reader) {
            if !self.answer(&stream, call, &body) {
                return drop(stream.shutdown(std::net::Shutdown::Both));
            }
        }
    }

    /// Answers a call; says whether the connection goes on.
    fn answer(&self, mut stream: &TcpStream, call: Call, body: &str) -> bool {
        let turn = self.turns.turn(usize::from(call.head.contains(OTHER)));
        let mut world = self.world.lock().unwrap();
        let number = world.calls.len();
        world.calls.push(call.clone());
        let lasting = world.broken_from.clone().filter(|(from, method, _)| {
            number >= *from && (method.is_empty() || *method == call.method)
        });
        let fault = world.faults.remove(&number).or(lasting.map(|(_, _, fault)| fault));
        let mut apply = |applied: &bool| {
            if *applied {
                drop(self.handle(&mut world, &call, body))
            }
        };
        let reply = match fault {
            Some(Fault::Close { applied }) => {
                apply(&applied);
                return false;
            }
            Some(Fault::Answer { status, headers, body, applied }) => {
                apply(&applied);
                Reply { status, headers, body }
            }
            Some(Fault::Cut) => {
                let whole = self.handle(&mut world, &call, body);
                let half = whole.body[..whole.body.len() / 2].to_string();
                // Complete for HTTP, and no JSON.
                Reply { body: if half.is_empty() { "{".to_string() } else { half }, ..whole }
            }
            Some(Fault::Rival(does)) => {
                does(&mut world);
                self.handle(&mut world, &call, body)
            }
            None => self.handle(&mut world, &call, body),
        };
        drop((world, turn));
        let mut text = format!("HTTP/1.1 {} Said\r\n", reply.status);
        for (name, value) in &reply.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if reply.status != 204 {
            text += &format!("Content-Length: {}\r\n", reply.body.len());
        }
        stream.write_all((text + "\r\n" + &reply.body).as_bytes()).is_ok()
    }

    fn handle(&self, world: &mut World, call: &Call, body: &str) -> Reply {
        let head = call.head.to_ascii_lowercase();
        let polite = ["accept: application/vnd.github+json", "x-github-api-version: 2022-11-28"];
        if !polite.iter().all(|line| head.contains(line)) || !head.contains("user-agent: perfgate")
        {
            return refuse(400, "a header is missing");
        }
        let token = call.head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("authorization").then(|| value.strip_prefix("Bearer "))?
        });
        let author = match token {
            Some(TOKEN | OTHER | READER) => BOT,
            Some(PERSONAL) => "octocat",
            Some(APP) => "gate[bot]",
            _ => return refuse(401, "Bad credentials"),
        };
        let Some(path) = call.path.strip_prefix(BASE) else { return refuse(404, "Not Found") };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if path == "/user" {
            return match author {
                "octocat" => reply(200, json!({"login": author})),
                _ => refuse(403, "Resource not accessible by integration"),
            };
        }
        if call.method != "GET" && token == Some(READER) {
            let mut refusal = refuse(403, "Resource not accessible by integration");
            let accepted = "issues=write; pull_requests=write".to_string();
            refusal.headers.push(("X-Accepted-GitHub-Permissions", accepted));
            return refusal;
        }
        let Some(rest) = path.strip_prefix("/repos/o/n/") else { return refuse(404, "Not Found") };
        match (call.method.as_str(), rest.split('/').collect::<Vec<_>>().as_slice()) {
            ("GET", ["pulls"]) => self.pulls(world, query),
            ("GET", ["issues", "7", "comments"]) => {
                let all: Vec<Value> = world.comments.iter().map(shown).collect();
                self.page(world, &all, path, query)
            }
            ("POST", ["issues", "7", "comments"]) => taken(body, |body| {
                world.add(author, body);
                reply(201, shown(world.comments.last().unwrap()))
            }),
            (method, ["issues", "comments", id]) => one(world, method, author, id, body),
            _ => refuse(404, "Not Found"),
        }
    }

    fn pulls(&self, world: &World, query: &str) -> Reply {
        let head = value(query, "head").unwrap_or_default();
        let fits = |pull: &&Value| {
            let label = pull["head"]["label"].as_str().unwrap_or_default();
            pull["state"] == "open" && label == decoded(head)
        };
        let all: Vec<Value> = world.pulls.iter().filter(fits).cloned().collect();
        self.page(world, &all, "/repos/o/n/pulls", query)
    }

    /// A page of a list, with the address of the next one.
    fn page(&self, world: &World, all: &[Value], path: &str, query: &str) -> Reply {
        assert_eq!(value(query, "per_page"), Some("100"), "{query}");
        let page: usize = value(query, "page").map_or(1, |page| page.parse().unwrap());
        let from = ((page - 1) * world.page).min(all.len());
        let to = (from + world.page).min(all.len());
        let mut answer = reply(200, json!(all[from..to]));
        if to < all.len() {
            let here = world.next_at.clone().unwrap_or(self.url());
            let base = query.split("&page=").next().unwrap();
            let link = |page: usize, rel: &str| {
                format!("<{here}{path}?{base}&page={page}>; rel=\"{rel}\"")
            };
            let last = all.len().div_ceil(world.page);
            let both = format!("{}, {}", link(page + 1, "next"), link(last, "last"));
            answer.headers.push(("Link", both));
        }
        answer
    }
}

/// One comment by its id.
fn one(world: &mut World, method: &str, author: &str, id: &str, body: &str) -> Reply {
    let id: u64 = id.parse().unwrap();
    let Some(place) = world.comments.iter().position(|comment| comment.id == id) else {
        return refuse(404, "Not Found");
    };
    match method {
        "GET" => reply(200, shown(&world.comments[place])),
        _ if world.comments[place].author != author => {
            refuse(403, "Must have admin rights to Repository.")
        }
        "DELETE" => {
            world.comments.remove(place);
            Reply { status: 204, headers: Vec::new(), body: String::new() }
        }
        "PATCH" => taken(body, |body| {
            world.comments[place].body = body.to_string();
            reply(200, shown(&world.comments[place]))
        }),
        _ => refuse(404, "Not Found"),
    }
}

/// What a comment's text comes to, if GitHub takes it.
fn taken(body: &str, mut take: impl FnMut(&str) -> Reply) -> Reply {
    let json: Value = serde_json::from_str(body).unwrap();
    let text = json["body"].as_str().unwrap();
    match text.chars().count() {
        0 => refuse(422, "Validation Failed"),
        count if count > 65_536 => refuse(422, "Body is too long (maximum is 65536 characters)"),
        _ => take(text),
    }
}

fn shown(comment: &Comment) -> Value {
    json!({
        "id": comment.id,
        "html_url": format!("https://github.example/o/n/pull/7#issuecomment-{}", comment.id),
        "user": {"login": comment.author, "type": "User"},
        "created_at": "2026-01-01T00:00:00Z",
        "body": comment.body,
    })
}

fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, v)| v)
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        rest = others;
        match (first, others) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Reads a request: what is called, and the body.
pub fn read(reader: &mut impl BufRead) -> Option<(Call, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let mut words = head.split(' ');
    let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
    Some((Call { method, path, head }, String::from_utf8(body).unwrap()))
}
