//! `perfgate comment` against a stand-in for GitHub: one comment in the end, whatever happens on the way,
//! and a token that nobody sees.

use crate::github_server::{
    self as stand_in, APP, BOT, Call, Change, Comment, Fault, OTHER, PERSONAL, READER, Server,
    TOKEN, World,
};
use crate::support::{Project, Run, finished, scripted};
use perfgate::github::address::{Api, Repository};
use perfgate::github::client::{Client, Clock};
use perfgate::github::comments::{Done, Mode, Place, Wish, upsert};
use perfgate::github::mark::{self, Id, Run as Number, State};
use perfgate::github::token::Token;
use perfgate::problem::Problem;
use perfgate::report::comment::{MOST, Told};
use perfgate::verdict::Outcome;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MARK: &str = "<!-- perfgate-llm:default -->";
/// What the clock of these tests shows at first, in seconds.
const NOW: u64 = 1_800_000_000;

/// A clock that is put forward by waiting.
#[derive(Clone, Default)]
struct Waited(Rc<RefCell<Vec<Duration>>>);

impl Waited {
    fn all(&self) -> Duration {
        self.0.borrow().iter().sum()
    }
}

impl Clock for Waited {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW) + self.all()
    }

    fn sleep(&self, time: Duration) {
        self.0.borrow_mut().push(time);
    }
}

fn client_of(server: &Server, token: &str) -> (Client, Waited) {
    let waited = Waited::default();
    let api = Api::new(&server.url()).unwrap();
    let client = Client::new(api, Token::new(token).unwrap(), Box::new(waited.clone()));
    (client.unwrap(), waited)
}

fn state(run: u64, outcome: Outcome) -> State {
    let broken = if outcome == Outcome::Regressed { vec!["latency".to_string()] } else { vec![] };
    let told = Told { outcome: Some(outcome), broken, commit: None };
    State { told, run: Some(Number { id: run, attempt: 1 }) }
}

/// A wish of a run that says so in its text.
fn wish(run: u64, mode: Mode, outcome: Outcome) -> Wish<'static> {
    Wish {
        id: Id::new("default").unwrap(),
        mode,
        failed: outcome == Outcome::Regressed,
        state: state(run, outcome),
        author: None,
        render: Box::new(move |_, _| format!("text of run {run}: {outcome:?}")),
    }
}

fn regressed(run: u64) -> Wish<'static> {
    wish(run, Mode::Always, Outcome::Regressed)
}

/// The comment that such a wish makes.
fn body(run: u64, outcome: Outcome) -> String {
    wish(run, Mode::Always, outcome).body(None)
}

fn put(server: &Server, wish: &Wish) -> (Result<Done, Problem>, Waited) {
    put_with(server, TOKEN, wish)
}

fn put_with(server: &Server, token: &str, wish: &Wish) -> (Result<Done, Problem>, Waited) {
    let (client, waited) = client_of(server, token);
    let place = Place { repository: Repository::new("o/n").unwrap(), number: 7 };
    (upsert(&client, &place, wish), waited)
}

/// Comments of other people, some of which look like perfgate's.
fn foreign(world: &mut World) {
    let marked = body(99, Outcome::Regressed);
    world.add("octocat", "looks good");
    world.add("mallory", &marked);
    world.add(BOT, &format!("> {marked}"));
    world.add(BOT, &marked.replace("perfgate-llm:default", "perfgate-llm:other"));
    world.add(BOT, "coverage is 80%");
}

fn is_own(comment: &Comment) -> bool {
    comment.author == BOT && comment.body.starts_with(MARK)
}

/// Holds what is there in the end against what has to be: one comment with this text, and those of others.
fn assert_one(server: &Server, text: &str, about: &str) {
    let (own, others): (Vec<Comment>, Vec<Comment>) =
        server.comments().into_iter().partition(is_own);
    let bodies: Vec<&str> = own.iter().map(|comment| comment.body.as_str()).collect();
    assert_eq!(bodies, [text], "{about}");
    let mut expected = World::default();
    foreign(&mut expected);
    let plain = |comments: &[Comment]| -> Vec<(String, String)> {
        comments.iter().map(|c| (c.author.clone(), c.body.clone())).collect()
    };
    assert_eq!(plain(&others), plain(&expected.comments), "{about}");
}

/// What a pull request may hold before a run.
const BEFORE: [(&str, Change); 4] = [
    ("nothing", |_| ()),
    ("an older run's", |world| {
        world.add(BOT, &body(5, Outcome::Holds));
    }),
    ("two of older runs", |world| {
        world.add(BOT, &body(5, Outcome::Holds));
        world.add(BOT, &body(6, Outcome::Regressed));
    }),
    ("a damaged one", |world| {
        world.add(BOT, &format!("{MARK}\n<!-- perfgate-llm-state: {{\"run\": -->\nold"));
    }),
];

fn world_with(before: Change) -> Server {
    let server = Server::start();
    let mut world = server.world.lock().unwrap();
    foreign(&mut world);
    before(&mut world);
    drop(world);
    server
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str, applied: bool) -> Fault {
    let headers = headers.iter().map(|(name, value)| (*name, value.to_string())).collect();
    Fault::Answer { status, headers, body: body.to_string(), applied }
}

fn faults() -> Vec<(&'static str, Fault)> {
    let html = "<html><body>Bad gateway</body></html>";
    let secondary = r#"{"message": "You have exceeded a secondary rate limit."}"#;
    let delete: Change = |world| world.comments.retain(|comment| !is_own(comment));
    let create: Change = |world| {
        world.add(BOT, &body(9, Outcome::Holds));
    };
    let update: Change = |world| {
        let own = world.comments.iter_mut().filter(|comment| is_own(comment));
        own.for_each(|comment| comment.body = body(9, Outcome::Holds));
    };
    vec![
        ("500", answer(500, &[], "{}", false)),
        ("500 after it was done", answer(500, &[], "", true)),
        ("502 in HTML", answer(502, &[("Content-Type", "text/html")], html, false)),
        ("502 in HTML after it was done", answer(502, &[], html, true)),
        ("200 in HTML", answer(200, &[("Content-Type", "text/html")], html, false)),
        ("closed", Fault::Close { applied: false }),
        ("closed after it was done", Fault::Close { applied: true }),
        ("cut", Fault::Cut),
        ("429", answer(429, &[("Retry-After", "3")], "{}", false)),
        ("403 with retry-after", answer(403, &[("retry-after", "30")], secondary, false)),
        ("403 of a secondary limit", answer(403, &[], secondary, false)),
        ("deleted", Fault::Rival(delete)),
        ("created by an older run", Fault::Rival(create)),
        ("updated by an older run", Fault::Rival(update)),
    ]
}

#[test]
fn one_fault_anywhere_ends_with_one_comment() {
    for (before, make) in BEFORE {
        let calls = {
            let server = world_with(make);
            put(&server, &regressed(10)).0.unwrap();
            server.calls().len()
        };
        assert!((8..20).contains(&calls), "{before}: {calls}");
        for k in 0..calls {
            for (name, fault) in faults() {
                let about = format!("{name} at call {k} where there was {before}");
                let server = world_with(make);
                server.world.lock().unwrap().faults.insert(k, fault);
                let (done, waited) = put(&server, &regressed(10));
                assert!(
                    matches!(done, Ok(Done::Created(_) | Done::Updated(_))),
                    "{about}: {done:?}"
                );
                assert!(waited.all() <= Duration::from_secs(65), "{about}: {:?}", waited.0);
                // What others do after the last list is theirs to tidy, or the next run's.
                if !matches!(
                    name,
                    "deleted" | "created by an older run" | "updated by an older run"
                ) {
                    assert_one(&server, &body(10, Outcome::Regressed), &about);
                }
                put(&server, &regressed(10)).0.unwrap();
                assert_one(&server, &body(10, Outcome::Regressed), &about);
            }
        }
    }
}

#[test]
fn a_fault_that_stays_is_an_error_and_leaves_no_second_comment() {
    for (before, make) in BEFORE {
        for k in 0..8 {
            for (name, fault) in faults() {
                if matches!(fault, Fault::Rival(_)) {
                    continue;
                }
                let about = format!("{name} from call {k} on where there was {before}");
                let server = world_with(make);
                server.world.lock().unwrap().broken_from = Some((k, "", fault));
                let (done, waited) = put(&server, &regressed(10));
                let problem = done.expect_err(&about).to_string();
                assert!(problem.contains("help: "), "{about}: {problem}");
                assert!(waited.all() <= Duration::from_secs(130), "{about}: {:?}", waited.0);
                server.world.lock().unwrap().broken_from = None;
                put(&server, &regressed(11)).0.unwrap();
                assert_one(&server, &body(11, Outcome::Regressed), &about);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_faults_end_with_one_comment(
        before in 0..BEFORE.len(),
        places in vec((0usize..24, any::<Index>()), 1..6),
    ) {
        let server = world_with(BEFORE[before].1);
        let all = faults();
        let mut about = BEFORE[before].0.to_string();
        for (k, which) in places {
            let (name, fault) = which.get(&all).clone();
            about += &format!(", {name} at call {k}");
            server.world.lock().unwrap().faults.insert(k, fault);
        }
        let (done, waited) = put(&server, &regressed(10));
        prop_assert!(waited.all() <= Duration::from_secs(130), "{}: {:?}", about, waited.0);
        prop_assert!(done.as_ref().map_or_else(|problem| problem.help.is_some(), |_| true), "{}", about);
        server.world.lock().unwrap().faults.clear();
        put(&server, &regressed(11)).0.unwrap();
        assert_one(&server, &body(11, Outcome::Regressed), &about);
    }
}

#[test]
fn a_creation_whose_answers_are_always_lost_is_done_once() {
    for (name, fault) in faults() {
        let (Fault::Answer { status: 500.., applied, .. } | Fault::Close { applied }) = fault
        else {
            continue;
        };
        let server = world_with(|_| ());
        server.world.lock().unwrap().broken_from = Some((0, "POST", fault));
        let (done, waited) = put(&server, &regressed(10));
        assert!(waited.all() <= Duration::from_secs(10), "{name}: {:?}", waited.0);
        if applied {
            assert!(matches!(done, Ok(Done::Created(_))), "{name}: {done:?}");
            let calls = server.calls();
            assert_eq!(calls.iter().filter(|call| call.method == "POST").count(), 1, "{name}");
            assert_one(&server, &body(10, Outcome::Regressed), name);
        } else {
            assert!(done.unwrap_err().what.starts_with("POST "), "{name}");
            assert!(!server.comments().iter().any(is_own), "{name}");
        }
    }
}

#[test]
fn a_rival_that_is_later_wins() {
    for (before, make) in BEFORE {
        for k in 0..12 {
            let later: [Change; 2] = [
                |world| {
                    world.add(BOT, &body(20, Outcome::Holds));
                },
                |world| {
                    let own = world.comments.iter_mut().find(|comment| is_own(comment));
                    match own {
                        Some(comment) => comment.body = body(20, Outcome::Holds),
                        None => {
                            world.add(BOT, &body(20, Outcome::Holds));
                        }
                    }
                },
            ];
            for does in later {
                let about = format!("a later run before call {k} where there was {before}");
                let server = world_with(make);
                server.world.lock().unwrap().faults.insert(k, Fault::Rival(does));
                put(&server, &regressed(10)).0.unwrap();
                if server.calls().len() <= k {
                    continue;
                }
                // The rival ends as every run does.
                put(&server, &wish(20, Mode::Always, Outcome::Holds)).0.unwrap();
                assert_one(&server, &body(20, Outcome::Holds), &about);
                let (done, _) = put(&server, &regressed(10));
                assert!(matches!(done, Ok(Done::NotWanted(_))), "{about}: {done:?}");
                assert_one(&server, &body(20, Outcome::Holds), &about);
            }
        }
    }
}

/// Runs 10 and 11 at once, with their calls in an order; returns whose text is there in the end.
fn interleaved(server: &Server, order: u32, calls: usize) -> String {
    server.turns.set((0..calls).map(|k| (order >> k & 1) as usize));
    std::thread::scope(|scope| {
        for (job, token) in [TOKEN, OTHER].into_iter().enumerate() {
            scope.spawn(move || {
                let wish = Wish { author: Some(BOT.to_string()), ..regressed(10 + job as u64) };
                let done = put_with(server, token, &wish).0;
                server.turns.end(job);
                assert!(done.is_ok(), "order {order:b}: {done:?}");
            });
        }
    });
    let own: Vec<Comment> = server.comments().into_iter().filter(is_own).collect();
    assert_eq!(own.len(), 1, "order {order:b}: {own:?}");
    own[0].body.clone()
}

#[test]
fn two_runs_in_every_order_of_their_calls_end_with_one_comment() {
    // Each lists, writes, and lists again; the first may tidy besides.
    const CALLS: usize = 8;
    for (before, make) in BEFORE {
        for order in 0..1 << CALLS {
            let server = world_with(make);
            server.world.lock().unwrap().page = 100;
            let text = interleaved(&server, order, CALLS);
            if text == body(11, Outcome::Regressed) {
                continue;
            }
            // GitHub knows no change under a condition: an older run that read before and writes after all
            // that the later one did is the one way in which its text can stay.
            let about = format!("order {order:b} where there was {before}: {text}");
            assert_eq!(text, body(10, Outcome::Regressed), "{about}");
            let calls = server.calls();
            let last = |until: usize, token: &str, methods: &[&str]| {
                let fits = |call: &Call| {
                    call.head.contains(token) && methods.contains(&call.method.as_str())
                };
                calls[..until].iter().rposition(fits).unwrap()
            };
            let wrote = last(calls.len(), TOKEN, &["PATCH"]);
            let read = last(wrote, TOKEN, &["GET"]);
            let later_wrote = last(calls.len(), OTHER, &["PATCH", "POST"]);
            assert!(read < later_wrote, "{about}");
            assert!(
                last(calls.len(), OTHER, &["GET", "PATCH", "POST", "DELETE"]) < wrote,
                "{about}"
            );
        }
    }
}

#[test]
fn an_older_run_keeps_a_later_one_s_text_when_it_tidies() {
    let server = world_with(|world| {
        world.add(BOT, &body(9, Outcome::Holds));
        world.add(BOT, &body(11, Outcome::Holds));
    });
    put(&server, &regressed(10)).0.unwrap();
    assert_one(&server, &body(11, Outcome::Holds), "the later text moved to the oldest comment");
    // The same run once more is as good as itself, and its second attempt is later.
    let (done, _) = put(&server, &wish(11, Mode::Always, Outcome::Holds));
    assert!(matches!(done, Ok(Done::Unchanged(_))), "{done:?}");
    let mut again = wish(11, Mode::Always, Outcome::Regressed);
    again.state.run = Some(Number { id: 11, attempt: 2 });
    assert!(matches!(put(&server, &again).0, Ok(Done::Updated(_))));
    let (done, _) = put(&server, &regressed(11));
    assert!(matches!(done, Ok(Done::NotWanted(_))), "{done:?}");
}

#[test]
fn limits_are_waited_for_or_said() {
    let limit = |headers: &[(&'static str, &str)]| {
        let server = world_with(|_| ());
        let fault = answer(403, headers, r#"{"message": "API rate limit exceeded"}"#, false);
        server.world.lock().unwrap().faults.insert(1, fault);
        put(&server, &regressed(10))
    };
    let reset = |seconds: u64| (NOW + seconds).to_string();
    let (done, waited) =
        limit(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset(30))]);
    assert!(done.is_ok(), "{done:?}");
    assert_eq!(waited.all(), Duration::from_secs(31));

    let (done, waited) =
        limit(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset(1800))]);
    let problem = done.unwrap_err().to_string();
    assert!(problem.contains("try again after 2027-01-15T08:30:01Z"), "{problem}");
    assert_eq!(waited.all(), Duration::ZERO);
    let huge = u64::MAX.to_string();
    for headers in [
        [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &*huge)],
        [("x-ratelimit-remaining", "0"), ("retry-after", &*huge)],
    ] {
        let problem = limit(&headers).0.unwrap_err().to_string();
        assert!(problem.contains("try again much later"), "{problem}");
    }

    // A server that asks for no wait at all, for ever.
    let server = world_with(|_| ());
    server.world.lock().unwrap().broken_from =
        Some((0, "", answer(429, &[("retry-after", "0")], "", false)));
    assert!(put(&server, &regressed(10)).0.is_err());
    assert!(server.calls().len() <= 10);
}

#[test]
fn the_token_goes_to_no_other_host() {
    // The other host is this machine too, by another name: what counts is what is asked for.
    let other = Server::start();
    let elsewhere = format!("http://localhost:{}{}", other.port, stand_in::BASE);

    let server = world_with(|_| ());
    server.world.lock().unwrap().next_at = Some(elsewhere.clone());
    let problem = put(&server, &regressed(10)).0.unwrap_err().to_string();
    assert!(problem.contains("another host"), "{problem}");

    for status in [301, 302, 307, 308] {
        for (k, method) in [(1, "GET"), (4, "POST")] {
            let server = world_with(|_| ());
            let to = format!("{elsewhere}/repos/o/n/issues/7/comments");
            let fault = answer(status, &[("Location", &to)], "", false);
            server.world.lock().unwrap().faults.insert(k, fault);
            let problem = put(&server, &regressed(10)).0.unwrap_err().to_string();
            assert!(problem.contains("another host"), "{status}: {problem}");
            assert_eq!(server.calls()[k].method, method);
        }
    }
    assert_eq!(other.calls().len(), 0);
}

#[test]
fn a_renamed_repository_is_followed_with_the_same_request() {
    for status in [301, 307, 308] {
        let server = world_with(|_| ());
        let to = format!("{}/repos/o/n/issues/7/comments", server.url());
        let mut world = server.world.lock().unwrap();
        world
            .faults
            .insert(1, answer(status, &[("Location", &format!("{to}?per_page=100"))], "", false));
        world.faults.insert(5, answer(status, &[("Location", &to)], "", false));
        drop(world);
        let (done, waited) = put(&server, &regressed(10));
        assert!(matches!(done, Ok(Done::Created(_))), "{done:?}");
        assert_eq!(server.calls()[6].method, "POST");
        assert_eq!(waited.all(), Duration::ZERO);
        assert_one(&server, &body(10, Outcome::Regressed), "after redirects");
    }
}

/// What a mode does: what is there before, what comes, and whether it is created (c), updated (u) or left (-).
#[test]
fn modes_say_when_a_comment_is_wanted() {
    use Outcome::{Holds, Regressed};
    let table = [
        (Mode::Always, None, Holds, 'c'),
        (Mode::Always, Some(Holds), Holds, 'u'),
        (Mode::Failure, None, Holds, '-'),
        (Mode::Failure, None, Regressed, 'c'),
        (Mode::Failure, Some(Regressed), Holds, 'u'),
        (Mode::Failure, Some(Holds), Holds, 'u'),
        (Mode::Change, None, Holds, '-'),
        (Mode::Change, None, Regressed, 'c'),
        (Mode::Change, Some(Regressed), Regressed, '-'),
        (Mode::Change, Some(Regressed), Holds, 'u'),
        (Mode::Change, Some(Holds), Regressed, 'u'),
        (Mode::Never, None, Regressed, '-'),
        (Mode::Never, Some(Regressed), Holds, '-'),
    ];
    for (mode, before, outcome, expected) in table {
        let about = format!("{mode:?}: {before:?}, then {outcome:?}");
        let server = world_with(|_| ());
        if let Some(before) = before {
            server.world.lock().unwrap().add(BOT, &body(5, before));
        }
        let done = put(&server, &wish(10, mode, outcome)).0.unwrap();
        let text = body(10, outcome);
        match (expected, before) {
            ('c', _) => assert!(matches!(done, Done::Created(_)), "{about}: {done:?}"),
            ('u', _) => assert!(matches!(done, Done::Updated(_)), "{about}: {done:?}"),
            _ => assert!(matches!(done, Done::NotWanted(_)), "{about}: {done:?}"),
        }
        match (expected, before) {
            ('-', None) => assert_eq!(server.comments().iter().filter(|c| is_own(c)).count(), 0),
            ('-', Some(before)) => assert_one(&server, &body(5, before), &about),
            _ => assert_one(&server, &text, &about),
        }
        if mode == Mode::Never {
            assert_eq!(server.calls().len(), 0, "{about}");
        }
    }
}

#[test]
fn other_broken_rules_are_a_change() {
    let server = world_with(|_| ());
    put(&server, &wish(5, Mode::Change, Outcome::Regressed)).0.unwrap();
    let mut other = wish(6, Mode::Change, Outcome::Regressed);
    other.state.told.broken = vec!["throughput".to_string()];
    assert!(matches!(put(&server, &other).0, Ok(Done::Updated(_))));
}

#[test]
fn each_kind_of_token_finds_its_own_comment() {
    for (token, author) in [(TOKEN, BOT), (PERSONAL, "octocat"), (APP, "gate[bot]")] {
        let server = world_with(|_| ());
        let place = Place { repository: Repository::new("o/n").unwrap(), number: 7 };
        for run in 10..13 {
            let (client, _) = client_of(&server, token);
            upsert(&client, &place, &regressed(run)).unwrap();
            let comments = server.comments();
            let own = comments.iter().filter(|c| c.author == author && c.body.starts_with(MARK));
            let bodies: Vec<&str> = own.map(|comment| comment.body.as_str()).collect();
            assert_eq!(bodies, [body(run, Outcome::Regressed)], "{author}, run {run}");
        }
        // With its name, an app need not find it out by making a comment.
        let (client, _) = client_of(&server, token);
        let calls = server.calls().len();
        let wish = Wish { author: Some(author.to_string()), ..regressed(13) };
        assert!(matches!(upsert(&client, &place, &wish), Ok(Done::Updated(_))), "{author}");
        let calls = server.calls().split_off(calls);
        assert!(calls.iter().all(|call| call.path != "/api/v3/user" && call.method != "POST"));
    }
}

#[test]
fn a_text_knows_what_was_said_before_and_fits() {
    let server = world_with(|world| {
        world.add(BOT, &body(5, Outcome::Regressed));
    });
    let mut long = wish(10, Mode::Always, Outcome::Holds);
    long.render = Box::new(|before, most| {
        assert!(most < MOST && most > MOST - 1000);
        format!("before: {:?} {}", before.unwrap().outcome.unwrap(), "é".repeat(MOST))
    });
    put(&server, &long).0.unwrap();
    let own = server.comments().into_iter().find(is_own).unwrap();
    assert!(own.body.contains("before: Regressed"));
    assert!(own.body.len() <= MOST && own.body.len() > MOST - 100, "{}", own.body.len());
    assert_eq!(State::read(&own.body), Some(state(10, Outcome::Holds)));
}

#[test]
fn a_text_that_holds_the_token_is_sent_without() {
    let server = world_with(|_| ());
    let mut leaky = regressed(10);
    leaky.render = Box::new(|_, _| format!("the environment: GITHUB_TOKEN={TOKEN}"));
    put(&server, &leaky).0.unwrap();
    let own = server.comments().into_iter().find(is_own).unwrap();
    assert!(own.body.ends_with("GITHUB_TOKEN=***"), "{}", own.body);
}

const LOCKED: &str = r#"{"message": "Unable to create comment because issue is locked."}"#;

// The binary.

fn project() -> Project {
    Project::new("", "")
}

/// `perfgate comment` as a job of a pull request calls it.
fn command(project: &Project, server: &Server, arguments: &[&str]) -> Command {
    let mut command = project.command(&[&["comment"], arguments].concat());
    command
        .env("GITHUB_TOKEN", TOKEN)
        .env("GITHUB_API_URL", server.url())
        .env("GITHUB_SERVER_URL", "https://github.example")
        .env("GITHUB_REPOSITORY", "o/n")
        .env("GITHUB_WORKSPACE", project.path())
        .env("GITHUB_RUN_ID", "10")
        .env("GITHUB_RUN_ATTEMPT", "1")
        .env("GITHUB_EVENT_NAME", "pull_request");
    command
}

fn event(project: &Project, value: &Value) -> String {
    project.write("event.json", &value.to_string());
    project.path().join("event.json").display().to_string()
}

fn pull_request(project: &Project) -> String {
    event(project, &json!({"pull_request": {"number": 7, "head": {"sha": "0123456789abcdef"}}}))
}

/// Runs it, and looks that no token gets out.
fn run(command: &mut Command) -> Run {
    let run = finished(command.output().unwrap());
    for token in [TOKEN, PERSONAL, READER, APP] {
        assert!(!run.stdout.contains(token) && !run.stderr.contains(token), "{}", run.stderr);
    }
    run
}

#[test]
fn two_gates_of_one_pull_request_have_two_comments() {
    let (project, server) = (project(), world_with(|_| ()));
    let event = pull_request(&project);
    let others = server.comments().len();
    let comment = |text: &str, arguments: &[&str]| {
        let arguments = [&["--problem", text], arguments].concat();
        let mut command = command(&project, &server, &arguments);
        let done = run(command.env("GITHUB_EVENT_PATH", &event));
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.stderr
    };
    // Jobs of one matrix have the same run and attempt.
    assert!(
        comment("red is broken", &["--config", "red/perfgate.toml"]).starts_with("comment created")
    );
    assert!(
        comment("green runs", &["--config", "green/perfgate.toml"]).starts_with("comment created")
    );
    assert!(comment("at the top", &[]).starts_with("comment created"));
    let bodies: Vec<String> = server.comments().into_iter().map(|comment| comment.body).collect();
    assert_eq!(bodies.len(), 3 + others, "{bodies:?}");
    let of = |text: &str| bodies.iter().find(|body| body.contains(text)).expect(text);
    assert!(of("red is broken").contains("Gate red/perfgate.toml"), "{}", of("red is broken"));
    assert!(of("at the top").starts_with(MARK) && !of("at the top").contains("Gate "));
    // Each finds its own again, by whatever way the path is written.
    assert!(
        comment("red is mended", &["--config", "./green/../red/perfgate.toml"])
            .starts_with("comment updated")
    );
    // An id that is named is the one.
    assert!(
        comment("named", &["--config", "red/perfgate.toml", "--id", "default"])
            .starts_with("comment updated")
    );
    assert_eq!(server.comments().len(), 3 + others);
}

#[test]
fn a_job_of_a_pull_request_comments() {
    let (project, server) = (project(), world_with(|_| ()));
    let file = pull_request(&project);
    let comment = |text: &str, id: &str| {
        let mut command = command(&project, &server, &["--problem", text]);
        run(command.env("GITHUB_EVENT_PATH", &file).env("GITHUB_RUN_ID", id))
    };
    let first = comment("no model", "10");
    assert_eq!(first.code, 0, "{}", first.stderr);
    let own = server.comments().into_iter().find(is_own).unwrap();
    let url = format!("https://github.example/o/n/pull/7#issuecomment-{}", own.id);
    assert_eq!(first.stderr, format!("comment created: {url}\n"));
    assert_eq!(first.stdout, "");
    assert!(own.body.contains("\nno model\n"), "{}", own.body);
    let state = State::read(&own.body).unwrap();
    assert_eq!(state.told.commit.as_deref(), Some("0123456789abcdef"));
    assert_eq!(state.run, Some(Number { id: 10, attempt: 1 }));

    assert_eq!(comment("no model", "10").stderr, format!("comment unchanged: {url}\n"));
    assert_eq!(comment("no room", "11").stderr, format!("comment updated: {url}\n"));
    let older = comment("no model", "10");
    assert_eq!((older.code, older.stderr.starts_with("comment not wanted: ")), (0, true));
    assert_eq!(server.comments().iter().filter(|c| is_own(c)).count(), 1);
}

#[test]
fn results_are_rendered_anew_and_damaged_ones_refused() {
    let variants = "[variants.base]\nengine = \"scripted\"\nscript = { token_ms = 5.0 }\n\
                    [variants.other]\nengine = \"scripted\"\nscript = { token_ms = 8.0 }\n";
    let project = Project::new(&scripted(2, variants), "[rules]\nlatency = \"5%\"\n");
    assert_eq!(project.check().code, 1);
    let server = world_with(|_| ());
    let file = pull_request(&project);
    let comment = |arguments: &[&str]| {
        run(command(&project, &server, arguments).env("GITHUB_EVENT_PATH", &file))
    };
    let made = comment(&["--mode", "failure"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let own = server.comments().into_iter().find(is_own).unwrap();
    assert!(own.body.contains("latency"), "{}", own.body);
    let state = State::read(&own.body).unwrap();
    assert_eq!(state.told.outcome, Some(Outcome::Regressed));

    let trial = run(&mut command(&project, &server, &["--dry-run", "--mode", "never"]));
    assert_eq!((trial.code, trial.stderr.as_str()), (0, ""));
    assert!(trial.stdout.starts_with(MARK), "{}", trial.stdout);

    let calls = server.calls().len();
    project.write("broken.json", "{\"format\":2,");
    std::fs::File::create(project.path().join("huge.json")).unwrap().set_len(65 << 20).unwrap();
    for (file, why) in [
        ("broken.json", "cut short"),
        ("huge.json", "64 MiB"),
        (".", "64 MiB"),
        ("none.json", "none.json"),
    ] {
        let refused = comment(&[file]);
        assert_eq!(refused.code, 2, "{file}: {}", refused.stderr);
        assert!(
            refused.stderr.contains(why) && refused.stderr.contains("help: "),
            "{}",
            refused.stderr
        );
    }
    assert_eq!(server.calls().len(), calls, "nobody was asked");
}

#[test]
fn events_without_a_pull_request_are_no_error() {
    let (project, server) = (project(), world_with(|_| ()));
    for name in ["push", "merge_group", "schedule"] {
        let file =
            event(&project, &json!({"merge_group": {"base_sha": "abc"}, "repository": {"id": 1}}));
        let mut command = command(&project, &server, &[]);
        let run = run(command.env("GITHUB_EVENT_NAME", name).env("GITHUB_EVENT_PATH", file));
        let said = format!("comment not wanted: the event '{name}' is of no pull request\n");
        assert_eq!((run.code, run.stderr), (0, said));
    }
    let never = run(command(&project, &server, &["--mode", "never"]).env_remove("GITHUB_TOKEN"));
    assert_eq!((never.code, never.stderr.as_str()), (0, "comment not wanted: the mode is never\n"));
    assert_eq!(server.calls().len(), 0);
}

/// An event of a run that was triggered by one of a fork, on a branch with an awkward name.
fn fork_event(project: &Project) -> String {
    event(
        project,
        &json!({"repository": {"id": 1, "owner": {"login": "o"}}, "workflow_run": {
            "id": 4, "run_attempt": 3, "head_sha": "feedfacecafe", "head_branch": "a&b=c#d/ü+e",
            "html_url": "https://github.example/o/n/actions/runs/4", "pull_requests": [],
            "head_repository": {"id": 2, "owner": {"login": "me"}}}}),
    )
}

fn pull(number: u64, sha: &str, repository: u64) -> Value {
    json!({"number": number, "state": "open", "head": {"sha": sha, "label": "me:a&b=c#d/ü+e",
        "repo": {"id": repository}}, "base": {"repo": {"id": 1}}})
}

#[test]
fn a_fork_s_pull_request_is_found_by_its_head() {
    let project = project();
    let file = fork_event(&project);
    let comment = |pulls: Vec<Value>| {
        let server = world_with(|_| ());
        server.world.lock().unwrap().pulls = pulls;
        let mut command = command(&project, &server, &["--problem", "no model"]);
        let command = command.env("GITHUB_EVENT_NAME", "workflow_run");
        (run(command.env("GITHUB_EVENT_PATH", &file)), server)
    };
    let deleted = json!({"number": 5, "state": "open", "head": {"sha": "feedfacecafe",
        "label": "me:a&b=c#d/ü+e", "repo": null}});
    let others = vec![pull(3, "feedfacecafe", 8), pull(4, "0ddba11", 2), deleted];
    let (found, server) = comment([others.clone(), vec![pull(7, "feedfacecafe", 2)]].concat());
    assert_eq!(found.code, 0, "{}", found.stderr);
    let own = server.comments().into_iter().find(is_own).unwrap();
    let state = State::read(&own.body).unwrap();
    assert_eq!(state.run, Some(Number { id: 4, attempt: 3 }), "the run that measured");
    assert_eq!(state.told.commit.as_deref(), Some("feedfacecafe"));

    for pulls in [vec![], others] {
        let (none, server) = comment(pulls);
        assert_eq!(none.code, 0, "{}", none.stderr);
        assert!(
            none.stderr.starts_with("comment not wanted: no open pull request"),
            "{}",
            none.stderr
        );
        assert!(server.calls().iter().all(|call| call.method == "GET"));
    }
    let (several, _) = comment(vec![pull(7, "feedfacecafe", 2), pull(8, "feedfacecafe", 2)]);
    assert_eq!(several.code, 2);
    assert!(several.stderr.contains("7, 8"), "{}", several.stderr);
}

/// A refusal: its name, the token, further arguments, what goes wrong, and what is said of it.
type Refusal = (&'static str, &'static str, &'static [&'static str], Option<Fault>, &'static str);

#[test]
fn refusals_come_with_a_remedy_and_without_the_token() {
    let project = project();
    let file = pull_request(&project);
    let echo = |status: u16| {
        let body = json!({"message": format!("not with {TOKEN}\n::error::{TOKEN}")}).to_string();
        Some(answer(status, &[("x-accepted-github-permissions", TOKEN)], &body, false))
    };
    let cases: Vec<Refusal> = vec![
        ("a wrong token", "ghs_wrong", &[], None, "401"),
        ("a fork's token", READER, &[], None, "workflow_run"),
        ("no such pull request", TOKEN, &["--pull-request", "8"], None, "404"),
        ("no such repository", TOKEN, &["--repository", "o/x"], None, "404"),
        ("an echo with 401", TOKEN, &[], echo(401), "not with ***"),
        ("an echo with 403", TOKEN, &[], echo(403), "pull-requests: write"),
        ("a locked one", TOKEN, &[], Some(answer(403, &[], LOCKED, false)), "help: unlock"),
        ("an echo with 404", TOKEN, &[], echo(404), "404"),
        ("an echo with 410", TOKEN, &[], echo(410), "no more"),
        ("an echo with 422", TOKEN, &[], echo(422), "--dry-run"),
        ("an echo with 418", TOKEN, &[], echo(418), "418"),
        (
            "a limit",
            TOKEN,
            &[],
            Some(answer(429, &[("retry-after", "7200")], "", false)),
            "try again after",
        ),
        (
            "another host",
            TOKEN,
            &[],
            Some(answer(302, &[("Location", "https://x.test/")], "", false)),
            "host",
        ),
    ];
    for (name, token, arguments, fault, expected) in cases {
        let server = world_with(|_| ());
        if let Some(fault) = fault {
            server.world.lock().unwrap().faults.insert(1, fault);
        }
        let arguments = [&["--problem", "no model"], arguments].concat();
        let mut command = command(&project, &server, &arguments);
        let refused = run(command.env("GITHUB_TOKEN", token).env("GITHUB_EVENT_PATH", &file));
        assert_eq!(refused.code, 2, "{name}: {}", refused.stderr);
        assert!(refused.stderr.contains(expected), "{name}: {}", refused.stderr);
        assert!(refused.stderr.contains("\n  help: "), "{name}: {}", refused.stderr);
        assert!(!refused.stderr.contains("\n::"), "{name}: {}", refused.stderr);
        assert!(!server.comments().iter().any(is_own), "{name}");
    }
    for entry in std::fs::read_dir(project.path()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read(&path).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&text).contains("ghs_"), "{}", path.display());
    }
}

#[test]
fn bad_settings_are_said_before_anybody_is_asked() {
    let (project, server) = (project(), world_with(|_| ()));
    let file = pull_request(&project);
    project.write("damaged.json", "{\"pull_request\": {\"number\": \"seven\"}}");
    project.write("cut.json", "{\"pull_request\"");
    std::fs::File::create(project.path().join("huge.json")).unwrap().set_len(33 << 20).unwrap();
    let cases: [(&str, &str, &str); 13] = [
        ("GITHUB_TOKEN", "", "GITHUB_TOKEN"),
        ("GITHUB_TOKEN", "ghs_ThisMayOnlyRead0123456789\n", "no token has"),
        ("GITHUB_API_URL", "http://api.github.com", "plain http"),
        ("GITHUB_API_URL", "nonsense", "GITHUB_API_URL"),
        ("GITHUB_REPOSITORY", "", "--repository"),
        ("GITHUB_REPOSITORY", "o/../n", "OWNER/NAME"),
        ("GITHUB_EVENT_PATH", "", "--pull-request"),
        ("GITHUB_EVENT_PATH", "damaged.json", "damaged.json:1:"),
        ("GITHUB_EVENT_PATH", "cut.json", "cut.json:1:"),
        ("GITHUB_EVENT_PATH", "huge.json", "32 MiB"),
        ("GITHUB_EVENT_PATH", "missing.json", "missing.json"),
        ("HTTPS_PROXY", "http://", "HTTPS_PROXY"),
        ("ALL_PROXY", "socks5://127.0.0.1:1080", "NO_PROXY"),
    ];
    for (name, value, expected) in cases {
        let mut command = command(&project, &server, &["--problem", "no model"]);
        let refused = run(command.env("GITHUB_EVENT_PATH", &file).env(name, value));
        assert_eq!(refused.code, 2, "{name}={value}: {}", refused.stderr);
        assert!(refused.stderr.contains(expected), "{name}={value}: {}", refused.stderr);
        assert!(refused.stderr.contains("\n  help: "), "{name}={value}: {}", refused.stderr);
    }
    for arguments in [
        ["--id", "a b"],
        ["--link", "javascript:alert(1)"],
        ["--link", "https://x/)[y](z"],
        ["--commit", "HEAD"],
        ["--repository", "o"],
        ["--pull-request", "0"],
    ] {
        let refused = run(&mut command(&project, &server, &arguments));
        assert_eq!(refused.code, 2, "{arguments:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(arguments[0]), "{arguments:?}: {}", refused.stderr);
    }
    assert_eq!(server.calls().len(), 0);
}

#[test]
fn two_runs_at_once_end_with_one_comment() {
    let project = project();
    let file = pull_request(&project);
    for time in 0..20 {
        let is_there = time % 5 == 4;
        let server = world_with(if is_there { BEFORE[1].1 } else { BEFORE[0].1 });
        let start = |id: &str| {
            let text = format!("text of {id}");
            let mut command = command(&project, &server, &["--problem", &text]);
            command.env("GITHUB_EVENT_PATH", &file).env("GITHUB_RUN_ID", id).spawn().unwrap()
        };
        let both = ["10", "11"].map(start);
        for child in both {
            let run = finished(child.wait_with_output().unwrap());
            assert_eq!(run.code, 0, "{}", run.stderr);
        }
        let own: Vec<Comment> = server.comments().into_iter().filter(is_own).collect();
        assert_eq!(own.len(), 1, "time {time}: {own:?}");
        // Of two that update, the older may be held up on its way for longer than the later one looks.
        let is_late = is_there
            && own[0].body.contains(
                "
text of 10
",
            );
        assert!(own[0].body.contains("\ntext of 11\n") || is_late, "time {time}: {own:?}");
    }
}

#[test]
fn comments_of_several_ids_stand_side_by_side() {
    let (project, server) = (project(), world_with(|_| ()));
    let file = pull_request(&project);
    for id in ["int8", "int4", "int8"] {
        let mut command = command(&project, &server, &["--problem", id, "--id", id]);
        assert_eq!(run(command.env("GITHUB_EVENT_PATH", &file)).code, 0);
    }
    let marked = |id: &str| {
        let id = Id::new(id).unwrap();
        server.comments().iter().filter(|comment| id.marks(&comment.body)).count()
    };
    assert_eq!(["int8", "int4", "default"].map(marked), [1, 1, 1], "the last is mallory's");
}

/// A forward proxy: what it was asked for, and the way on for `CONNECT` to this machine.
fn proxy() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, asked) = (stream.unwrap(), asked.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let Some((call, _)) = stand_in::read(&mut reader) else { return };
                asked.lock().unwrap().push(call.head);
                if !call.path.starts_with("127.0.0.1:") {
                    return drop(stream.write_all(b"HTTP/1.1 503 No way there\r\n\r\n"));
                }
                let mut on = TcpStream::connect(&call.path).unwrap();
                stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
                let mut back = on.try_clone().unwrap();
                let mut client = stream.try_clone().unwrap();
                std::thread::spawn(move || drop(std::io::copy(&mut back, &mut client)));
                drop(std::io::copy(&mut reader, &mut on));
            });
        }
    });
    (port, seen)
}

#[test]
fn proxies_are_those_of_the_environment() {
    let (project, server) = (project(), world_with(|_| ()));
    let file = pull_request(&project);
    let through = |name: &str, value: &str, others: &[(&str, &str)]| {
        let mut command = command(&project, &server, &["--problem", "no model"]);
        command.env("GITHUB_EVENT_PATH", &file).env(name, value).envs(others.iter().copied());
        run(&mut command)
    };
    for name in ["HTTP_PROXY", "https_proxy", "ALL_PROXY"] {
        let (port, seen) = proxy();
        let done = through(name, &format!("http://me:pw@127.0.0.1:{port}"), &[]);
        assert_eq!(done.code, 0, "{name}: {}", done.stderr);
        let seen = seen.lock().unwrap();
        assert!(seen[0].starts_with(&format!("CONNECT 127.0.0.1:{} ", server.port)), "{seen:?}");
        assert!(seen[0].to_lowercase().contains("proxy-authorization: basic bwu6chc="), "{seen:?}");
    }

    let (port, seen) = proxy();
    let address = format!("http://127.0.0.1:{port}");
    for address in [&*address, "socks5://127.0.0.1:1"] {
        let done = through("HTTP_PROXY", address, &[("NO_PROXY", "example.com,127.0.0.1")]);
        assert_eq!((done.code, seen.lock().unwrap().len()), (0, 0), "{}", done.stderr);
    }

    // Nothing that isn't encrypted goes to another machine.
    let done = through("HTTP_PROXY", "http://proxy.invalid:3128", &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);

    // What is encrypted shows the proxy the host alone.
    let api = ("GITHUB_API_URL", "https://ghe.invalid/api/v3");
    let refused = through("HTTPS_PROXY", &address, &[api]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("503") && refused.stderr.contains("NO_PROXY"),
        "{}",
        refused.stderr
    );
    let seen = seen.lock().unwrap();
    assert!(seen[0].starts_with("CONNECT ghe.invalid:443 "), "{seen:?}");
    assert!(!seen.iter().any(|head| head.contains("ghs_") || head.contains("Bearer")), "{seen:?}");
}

#[test]
fn a_server_that_the_system_does_not_trust_gets_no_token() {
    // Whoever answers TLS with something else, or with a certificate of his own, sees no request.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            let count = std::io::Read::read(&mut stream, &mut bytes).unwrap();
            hears.lock().unwrap().extend_from_slice(&bytes[..count]);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    let (project, server) = (project(), world_with(|_| ()));
    let mut command = command(&project, &server, &["--problem", "no model", "--pull-request", "7"]);
    let refused = run(command.env("GITHUB_API_URL", format!("https://127.0.0.1:{port}")));
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    let heard = heard.lock().unwrap();
    assert!(!heard.is_empty() && !String::from_utf8_lossy(&heard).contains("ghs_"));
}

#[test]
fn a_head_leaves_room_for_the_text() {
    let head = mark::head(&Id::new(&"x".repeat(64)).unwrap(), &state(u64::MAX, Outcome::Regressed));
    assert_eq!(mark::room(&head), MOST - head.len());
}
