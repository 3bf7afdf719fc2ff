//! Owns the journal: an append-only file of JSON Lines that holds every sample as it came.

use crate::problem::{Problem, Result};
use crate::record::{
    Answer, Entry, Fidelity, Header, IdlePower, JOURNAL_FORMAT, JournalLine, Load, Round, Told,
};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The open journal of a session.
pub struct Journal {
    path: PathBuf,
    file: File,
    session: String,
    samples: u64,
}

impl Journal {
    /// Creates the journal of a session. An existing file is never touched.
    ///
    /// # Errors
    /// If the folder or the file cannot be made.
    pub fn create(folder: &Path, session: &str) -> Result<Journal> {
        let path = folder.join("journal.jsonl");
        let problem = |error: std::io::Error| {
            Problem::io(&path, "create the journal", &error)
                .help("perfgate saves each sample as it comes; name a writable folder with output = \"FOLDER\" in perfgate.toml")
        };
        std::fs::create_dir_all(folder).map_err(problem)?;
        let file = OpenOptions::new().append(true).create_new(true).open(&path).map_err(problem)?;
        Ok(Journal { path, file, session: session.to_string(), samples: 0 })
    }

    /// Opens the journal of an interrupted session to go on with it. A last line that a kill cut is
    /// dropped.
    ///
    /// # Errors
    /// If it cannot be opened for writing.
    pub fn reopen(path: &Path, session: &str) -> Result<Journal> {
        let problem = |error: std::io::Error| Problem::io(path, "go on with the journal", &error);
        let text = std::fs::read(path).map_err(problem)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let file = OpenOptions::new().append(true).open(path).map_err(problem)?;
        file.set_len(whole as u64).map_err(problem)?;
        Ok(Journal { path: path.to_path_buf(), file, session: session.to_string(), samples: 0 })
    }

    /// Where the journal lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many samples it holds: of requests, of graded tasks and of workers that have ended.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Removes the session's folder, of a session that could not begin.
    pub fn discard(&self) {
        if let Some(folder) = self.path.parent() {
            // What cannot be removed does no harm: it is never read as results.
            let _ = std::fs::remove_dir_all(folder);
            // The folder of all sessions goes too if it is empty, and only then.
            let _ = folder.parent().map(std::fs::remove_dir);
        }
    }

    /// Appends one line with a single write, so that a kill cuts at most the last one.
    ///
    /// # Errors
    /// If it cannot be written, as on a full disk.
    pub fn append(&mut self, entry: &Entry) -> Result<()> {
        let line = JournalLine { session: self.session.clone(), entry: entry.clone() };
        let mut text = serde_json::to_string(&line).expect("a journal line is plain data");
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(|error| {
            Problem::io(&self.path, "write to the journal", &error)
                .help("make room there and run again; the samples up to here are kept")
        })?;
        let sample = matches!(
            entry,
            Entry::Request(_)
                | Entry::Answer(_)
                | Entry::Fidelity(_)
                | Entry::Load(_)
                | Entry::Worker(_)
        );
        self.samples += u64::from(sample);
        Ok(())
    }
}

/// What a journal tells of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// What was known before the first round.
    pub header: Header,
    /// The rounds as far as they came.
    pub rounds: Vec<Round>,
    /// The answers to graded tasks as far as they came.
    pub answers: Vec<Answer>,
    /// The forced documents as far as they came.
    pub fidelity: Vec<Fidelity>,
    /// The loads as far as they came.
    pub load: Vec<Load>,
    /// When the session went on after an interruption.
    pub resumed: Vec<String>,
    /// Idle power as it was measured, where it is subtracted.
    pub idle: Vec<Told<IdlePower>>,
}

/// Reads a journal. A last line without an end, which a kill leaves, is passed over.
///
/// # Errors
/// If it cannot be read, is of another version, or holds a line that is none.
pub fn read_journal(path: &Path) -> Result<Recorded> {
    let text = std::fs::read(path).map_err(|error| Problem::io(path, "read it", &error))?;
    parse_journal(path, &String::from_utf8_lossy(&text))
}

/// Reads the text of a journal as [`read_journal`] does. `path` is for complaints.
///
/// # Errors
/// If it is of another version, or holds a line that is none.
pub fn parse_journal(path: &Path, text: &str) -> Result<Recorded> {
    let mut recorded: Option<Recorded> = None;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if !line.ends_with('\n') {
            break;
        }
        let broken = |what: String| {
            Problem::in_file(path, what)
                .at(index + 1, 1)
                .help("a journal is written by perfgate alone; begin a new session")
        };
        let line: JournalLine = serde_json::from_str(line)
            .map_err(|error| broken(format!("this line is none of a journal: {error}")))?;
        match (line.entry, &mut recorded) {
            (Entry::Session { format, header }, None) if readable(format) => {
                recorded = Some(Recorded {
                    header: *header,
                    rounds: Vec::new(),
                    answers: Vec::new(),
                    fidelity: Vec::new(),
                    load: Vec::new(),
                    resumed: Vec::new(),
                    idle: Vec::new(),
                });
            }
            (Entry::Session { format, .. }, None) => {
                let what = format!(
                    "is of format {format}, and this perfgate reads {} and {JOURNAL_FORMAT}",
                    JOURNAL_FORMAT - 1
                );
                return Err(broken(what));
            }
            (entry, Some(recorded)) => recorded.add(entry),
            (_, None) => return Err(broken("the first line begins no session".to_string())),
        }
    }
    recorded.ok_or_else(|| Problem::in_file(path, "is empty").help("begin a new session"))
}

/// The version before has no looks, and is else the same.
fn readable(format: u32) -> bool {
    format == JOURNAL_FORMAT || format == JOURNAL_FORMAT - 1
}

impl Recorded {
    fn add(&mut self, entry: Entry) {
        let round = self.rounds.last_mut();
        match (entry, round) {
            (Entry::RoundStart { round }, _) => {
                let idle = self.idle.last().and_then(Told::available);
                let idle_watts = idle.map(|power| power.watts);
                self.rounds.push(Round { round, idle_watts, ..Round::default() });
            }
            (Entry::Request(request), Some(round)) => round.requests.push(request),
            // Workers of the quality pass are of round 0.
            (Entry::Worker(worker), Some(round)) if worker.round > 0 => round.workers.push(worker),
            (Entry::Conditions { conditions, .. }, Some(round)) => {
                round.conditions = Some(conditions);
            }
            (Entry::RoundEnd { complete, .. }, Some(round)) => round.complete = complete,
            (Entry::Answer(answer), _) => self.answers.push(answer),
            (Entry::Fidelity(fidelity), _) => self.fidelity.push(fidelity),
            (Entry::Idle { power }, _) => self.idle.push(power),
            (Entry::Load(load), _) => self.load.push(load),
            (Entry::Resume { at }, _) => self.resumed.push(at),
            _ => {}
        }
    }
}
