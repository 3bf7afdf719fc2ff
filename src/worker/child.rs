//! Owns the loop inside a worker process: commands in, replies out, nothing written in between.

use crate::engine::{self, Engine, Forced, LoadError, Unforced, guarded};
use crate::protocol::{self, Command, Reply, Together, monotonic_ns};
use crate::record::{Failure, FailureClass};
use std::io::BufReader;
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;

/// The hidden subcommand that makes the binary a worker.
pub const SUBCOMMAND: &str = "__worker";

/// The commands that it answers.
const CAPABILITIES: [&str; 8] =
    ["load", "generate", "generate_together", "prove_rows", "score", "force", "execution", "serve"];

/// Serves the parent until it closes the socket.
///
/// # Errors
/// If there is no socket (someone typed the subcommand) or it breaks.
pub fn run_child() -> std::io::Result<()> {
    let Some(descriptor) = protocol::worker_fd() else {
        return Err(std::io::Error::other("this subcommand is for perfgate itself"));
    };
    // SAFETY: the parent opened this descriptor for us and nobody else in this process owns it.
    let socket = unsafe { UnixStream::from_raw_fd(descriptor) };
    let mut reader = BufReader::new(socket.try_clone()?);
    let capabilities = CAPABILITIES.map(str::to_string).to_vec();
    protocol::send(&socket, &Reply::Hello { protocol: protocol::VERSION, capabilities })?;
    let mut engine: Option<Box<dyn Engine>> = None;
    while let Some(command) = protocol::receive::<Command>(&mut reader)? {
        let reply = serve(&mut engine, command);
        protocol::send(&socket, &reply)?;
    }
    Ok(())
}

fn serve(engine: &mut Option<Box<dyn Engine>>, command: Command) -> Reply {
    match command {
        Command::Load { id, spec } => {
            let start = monotonic_ns();
            match guarded(|| engine::load(&spec)) {
                Ok(Ok(loaded)) => {
                    let load_ns = monotonic_ns() - start;
                    let (info, phases) = (loaded.info(), loaded.phases());
                    let model_cache = loaded.model_cache();
                    *engine = Some(loaded);
                    Reply::Loaded { id, load_ns, phases, model_cache, engine: Box::new(info) }
                }
                Ok(Err(LoadError { failure, fatal })) => Reply::Failed { id, failure, fatal },
                Err(failure) => Reply::Failed { id, failure, fatal: false },
            }
        }
        Command::Generate { id, order } => with(engine, id, |engine| {
            let done = engine::generate(engine, &order)?;
            let (start_ns, token_ns, tokens) = (done.start_ns, done.token_ns, done.tokens);
            Ok(Reply::Generated { id, start_ns, token_ns, tokens })
        }),
        Command::GenerateTogether { id, orders, prefix } => with(engine, id, |engine| {
            let answers = engine::generate_together(engine, &orders, prefix)?;
            Ok(Reply::GeneratedTogether {
                id,
                answers: answers.into_iter().map(together).collect(),
            })
        }),
        Command::ProveRows { id, need } => {
            with(engine, id, |engine| Ok(Reply::Proven { id, rows: engine.prove_rows(need)? }))
        }
        Command::Score { id, prompt, continuations } => with(engine, id, |engine| {
            let log_likelihoods = engine::score(engine, &prompt, &continuations)?;
            Ok(Reply::Scored { id, log_likelihoods })
        }),
        Command::Force { id, tokens, stepwise, logits } => {
            with(engine, id, |engine| match engine::force(engine, &tokens, stepwise, &logits) {
                Ok(Forced { positions, vocabulary }) => {
                    Ok(Reply::Forced { id, positions, vocabulary })
                }
                Err(Unforced { failure, unwritten }) => {
                    Ok(Reply::Failed { id, failure, fatal: unwritten })
                }
            })
        }
        Command::Execution { id } => with(engine, id, |engine| {
            let execution = engine.execution()?;
            Ok(Reply::Execution { id, execution })
        }),
        Command::Serve { id, job } => with(engine, id, |engine| {
            let (start_ns, requests) = engine::serve(engine, &job)?;
            Ok(Reply::Served { id, start_ns, requests })
        }),
    }
}

/// Lets the loaded engine answer the command of an id.
fn with(
    engine: &mut Option<Box<dyn Engine>>,
    id: u64,
    work: impl FnOnce(&mut dyn Engine) -> Result<Reply, Failure>,
) -> Reply {
    let Some(engine) = engine else {
        let message = "a request came before a model was loaded".to_string();
        let failure = Failure { class: FailureClass::Protocol, message };
        return Reply::Failed { id, failure, fatal: false };
    };
    guarded(|| work(engine.as_mut()))
        .and_then(|reply| reply)
        .unwrap_or_else(|failure| Reply::Failed { id, failure, fatal: false })
}

fn together(outcome: Result<Vec<u32>, Failure>) -> Together {
    match outcome {
        Ok(tokens) => Together { tokens, failure: None },
        Err(failure) => Together { tokens: Vec::new(), failure: Some(failure) },
    }
}
