//! Owns the loop inside a worker process: commands in, replies out, nothing written in between.

use crate::engine::{self, Engine, Forced, LoadError, Unforced};
use crate::protocol::{self, Command, Reply, monotonic_ns};
use crate::record::{Failure, FailureClass};
use std::io::BufReader;
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The hidden subcommand that makes the binary a worker.
pub const SUBCOMMAND: &str = "__worker";

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
    let capabilities = ["load", "generate", "force"].map(str::to_string).to_vec();
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
                    let info = loaded.info();
                    *engine = Some(loaded);
                    Reply::Loaded { id, load_ns, engine: info }
                }
                Ok(Err(LoadError { failure, fatal })) => Reply::Failed { id, failure, fatal },
                Err(failure) => Reply::Failed { id, failure, fatal: false },
            }
        }
        Command::Generate { id, order } => {
            let Some(engine) = engine else { return not_loaded(id) };
            match guarded(|| engine::generate(engine.as_mut(), &order)).and_then(|r| r) {
                Ok(done) => Reply::Generated {
                    id,
                    start_ns: done.start_ns,
                    token_ns: done.token_ns,
                    tokens: done.tokens,
                },
                Err(failure) => Reply::Failed { id, failure, fatal: false },
            }
        }
        Command::Force { id, tokens, stepwise, logits } => {
            let Some(engine) = engine else { return not_loaded(id) };
            match guarded(|| engine::force(engine.as_mut(), &tokens, stepwise, &logits))
                .unwrap_or_else(|panicked| Err(panicked.into()))
            {
                Ok(Forced { positions, vocabulary }) => Reply::Forced { id, positions, vocabulary },
                Err(Unforced { failure, unwritten }) => {
                    Reply::Failed { id, failure, fatal: unwritten }
                }
            }
        }
    }
}

fn not_loaded(id: u64) -> Reply {
    let message = "a request came before a model was loaded".to_string();
    let failure = Failure { class: FailureClass::Protocol, message };
    Reply::Failed { id, failure, fatal: false }
}

/// A panic in an engine's library is a failed request, with the panic's message.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Failure { class: FailureClass::Error, message: format!("the engine panicked: {text}") }
    })
}
