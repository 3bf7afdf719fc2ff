//! Owns what the tests share: a project folder with configuration, and the binary run in it.

use perfgate::record::{Answer, Entry, Header, JournalLine, Results, Round, Verdict, VerdictKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What GitHub tells its jobs and perfgate reads, without `GITHUB_`: the tests tell it themselves.
const GITHUB: [&str; 13] = [
    "API_URL",
    "EVENT_NAME",
    "EVENT_PATH",
    "OUTPUT",
    "REF",
    "REPOSITORY",
    "RUN_ATTEMPT",
    "RUN_ID",
    "SERVER_URL",
    "SHA",
    "STEP_SUMMARY",
    "TOKEN",
    "WORKSPACE",
];

/// A folder with both configuration files and a few tasks.
pub struct Project {
    folder: TempDir,
}

/// What a single judged session left.
pub struct Session {
    pub header: Header,
    pub rounds: Vec<Round>,
    pub answers: Vec<Answer>,
    pub verdicts: Vec<Verdict>,
}

/// What a run of perfgate came to.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Where `scripts/setup.sh` puts what it makes.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".perfgate")
}

/// A variant of the real model.
pub fn model(name: &str) -> PathBuf {
    let folder = root().join("models/smollm2-135m").join(name);
    assert!(folder.is_dir(), "{} is missing: run scripts/setup.sh first", folder.display());
    folder
}

/// The common head of configurations for the scripted engine: two rounds or so of four tasks, all of which
/// are run.
pub fn scripted(rounds: u32, variants: &str) -> String {
    format!(
        "reference = \"base\"\n[workload]\ntasks = \"tasks.jsonl\"\ngen_tokens = 5\n\
         [session]\nrounds = {rounds}\nstop = \"never\"\nrequest_deadline = \"700ms\"\n{variants}"
    )
}

impl Project {
    pub fn new(config: &str, thresholds: &str) -> Project {
        let project = Project { folder: TempDir::new().unwrap() };
        let tasks: String = (1..=4)
            .map(|n| format!("{{\"id\": \"t{n}\", \"prompt\": \"Say {n} things.\"}}\n"))
            .collect();
        project.write("tasks.jsonl", &tasks);
        project.write("perfgate.toml", config);
        project.write("thresholds.toml", thresholds);
        project
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path().join(name), content).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perfgate"));
        command.current_dir(self.path()).args(arguments).env_remove("PERFGATE_OPENVINO");
        for name in GITHUB {
            command.env_remove(format!("GITHUB_{name}"));
        }
        for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        for name in ["CLICOLOR_FORCE", "GH_TOKEN", "NO_COLOR"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        finished(self.command(arguments).output().unwrap())
    }

    /// Runs a line of bash in the project's folder, with the binary's path in `$PERFGATE`.
    pub fn shell(&self, line: &str) -> Run {
        let mut command = Command::new("bash");
        command.current_dir(self.path()).args(["-c", line]).stdin(Stdio::null());
        command.env("PERFGATE", env!("CARGO_BIN_EXE_perfgate"));
        finished(command.output().unwrap())
    }

    pub fn check(&self) -> Run {
        self.run(&["check"])
    }

    /// Runs git in the project's folder.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(self.path(), arguments)
    }

    /// Makes a repository of the project, with all that is there as its first commit on `main`.
    pub fn make_repository(&self) {
        self.git(&["init", "-q", "-b", "main"]);
        self.write(".gitignore", ".perfgate/\n");
        self.commit("first");
    }

    /// Commits everything; returns the commit's id.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The latest results, held against their schema.
    pub fn combined(&self) -> Results {
        let file = self.path().join(".perfgate/benchmark_results.json");
        crate::schema::validate_results(&file);
        perfgate::session::read_results(&file).unwrap()
    }

    /// The latest results, of one session that was judged.
    pub fn results(&self) -> Session {
        let mut results = self.combined();
        assert_eq!(results.parts.len(), 1);
        let part = results.parts.remove(0);
        Session {
            header: part.header,
            rounds: part.rounds,
            answers: part.answers,
            verdicts: results.judgement.expect("it was judged").verdicts,
        }
    }

    /// The only session's journal, once it exists.
    pub fn journal_file(&self) -> Option<PathBuf> {
        let sessions = std::fs::read_dir(self.path().join(".perfgate/sessions")).ok()?;
        let file = sessions.map(|entry| entry.unwrap().path().join("journal.jsonl")).next()?;
        file.is_file().then_some(file)
    }

    /// The complete lines of the journal so far.
    pub fn journal(&self) -> Vec<Entry> {
        let Some(file) = self.journal_file() else { return Vec::new() };
        let text = std::fs::read_to_string(file).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str::<JournalLine>(line).expect(line).entry)
            .collect()
    }

    /// Waits until the journal satisfies a condition and returns what the condition found.
    pub fn await_journal<T>(&self, mut found: impl FnMut(&[Entry]) -> Option<T>) -> T {
        let end = Instant::now() + Duration::from_secs(180);
        loop {
            if let Some(what) = found(&self.journal()) {
                return what;
            }
            assert!(Instant::now() < end, "the journal never came so far");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Runs git as somebody, whatever the user's own settings are.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    let mut command = Command::new("git");
    command.current_dir(folder).args(identity).args(arguments);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

pub fn finished(output: Output) -> Run {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// Within its limit; an equal variant is called improved by chance now and then.
pub fn holds(verdict: VerdictKind) -> bool {
    matches!(verdict, VerdictKind::Pass | VerdictKind::Improved)
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Whether a process exists and is no zombie.
pub fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
}

pub fn await_death(pid: u32) {
    let end = Instant::now() + Duration::from_secs(10);
    while alive(pid) {
        assert!(Instant::now() < end, "process {pid} lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}
