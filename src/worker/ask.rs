//! Owns asking an OpenVINO library what it is, in a process of its own: one can load a single library, and a broken
//! one may end it.

use crate::engine::{self, LoadError, Runtime};
use crate::protocol::LoadSpec;
use crate::record::Difference;
use serde::de::DeserializeOwned;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The hidden subcommand by which perfgate's own binary asks one runtime.
pub const ASK_RUNTIME: &str = "__ask-runtime";

/// Longer than a runtime takes to load from a slow disk.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a runtime says of itself, or why it cannot be used.
pub type Answer = Result<Runtime, String>;

/// The properties that are not in force as they were asked for, or why they cannot be tried.
pub type Tried = Result<Vec<Difference>, String>;

/// Asks the runtime in this process, as [`ASK_RUNTIME`] does; the answer is one line of JSON. With what a variant asks
/// for, as JSON, it is which of its properties are not in force.
pub fn answer_for_runtime(library: &Path, spec: Option<&str>) -> String {
    let plain = |error: LoadError| error.failure.message;
    let Some(spec) = spec else {
        let answer: Answer = engine::ask_runtime(library).map_err(plain);
        return serde_json::to_string(&answer).expect("plain data");
    };
    let spec = serde_json::from_str::<LoadSpec>(spec).map_err(|error| error.to_string());
    let answer: Tried = spec.and_then(|spec| engine::try_properties(library, &spec).map_err(plain));
    serde_json::to_string(&answer).expect("plain data")
}

/// Asks a runtime in another process: one can load a single library, and a broken one may end it.
pub fn ask_runtime(program: &Path, library: &Path) -> Answer {
    ask(program, library, None)
}

/// Lets another process try which properties of a variant would not be in force in a runtime.
pub fn try_properties(program: &Path, library: &Path, spec: &LoadSpec) -> Tried {
    ask(program, library, Some(serde_json::to_string(spec).expect("plain data")))
}

fn ask<T: DeserializeOwned>(
    program: &Path,
    library: &Path,
    spec: Option<String>,
) -> Result<T, String> {
    let mut command = Command::new(program);
    command.arg(ASK_RUNTIME).arg(library).args(spec).stdin(Stdio::null());
    let output = output_in_time(command)
        .map_err(|error| format!("{} cannot be asked: {error}", library.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // A library may print something of its own before.
    let last = text.lines().last();
    let answer = last.and_then(|line| serde_json::from_str::<Result<T, String>>(line).ok());
    answer.unwrap_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or("no message");
        let how = match output.status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => output.status.to_string(),
        };
        Err(format!("{} ended the process that loaded it ({how}): {last}", library.display()))
    })
}

/// The output of a process that prints little; it is killed if it takes too long.
fn output_in_time(mut command: Command) -> std::io::Result<Output> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let end = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            let what = format!("no answer within {} s", PATIENCE.as_secs());
            return Err(std::io::Error::other(what));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_says_nothing_is_explained() {
        let why = ask_runtime(Path::new("/bin/false"), Path::new("lib.so")).unwrap_err();
        assert!(why.starts_with("lib.so ended the process that loaded it"), "{why}");
        let why = ask_runtime(Path::new("/no/such/program"), Path::new("lib.so")).unwrap_err();
        assert!(why.starts_with("lib.so cannot be asked"), "{why}");
    }
}
