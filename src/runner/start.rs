//! Owns the start of a worker process: spawn, handshake, load, under one deadline, with its figures.

use super::probe::{memory_use, reset_peak};
use super::{Cut, Sink, page_cache};
use crate::config::Variant;
use crate::engine;
use crate::protocol::monotonic_ns;
use crate::record::{Entry, Failure, FailureClass, MemoryUse, WorkerRun};
use crate::worker::{Interrupt, Launch, Loaded, Stop, Worker};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Takes the files of a model that is about to be started.
pub type BeforeSpawn<'a> = dyn Fn(&[PathBuf]) + 'a;

/// What it takes to start workers.
pub struct Starter<'a> {
    /// perfgate's own binary, which is also the worker.
    pub program: &'a Path,
    /// From the spawn to the loaded model.
    pub deadline: Duration,
    /// Set once the user wants to stop.
    pub interrupt: &'a Interrupt,
    /// Called with the model's files once they have been looked at, right before each spawn.
    pub before_spawn: Option<&'a BeforeSpawn<'a>>,
}

impl Starter<'_> {
    /// Starts a worker with its model loaded. Without a worker the returned figures say why it failed.
    ///
    /// # Errors
    /// If the variant's set-up is at fault, the user interrupts, or the event cannot be saved.
    pub fn start(
        &self,
        variant: &Variant,
        round: u32,
        attempt: u32,
        sink: &mut Sink<'_>,
    ) -> Result<(Option<Worker>, WorkerRun), Cut> {
        let launch = Launch {
            program: self.program.to_path_buf(),
            arguments: vec![crate::worker::SUBCOMMAND.to_string()],
            threads: variant.load.threads,
        };
        let model = engine::inspect(&variant.load).ok();
        let files = model.as_ref().and_then(|model| engine::model_files(&variant.load, model));
        if let Some(before_spawn) = self.before_spawn {
            before_spawn(files.as_ref().map_or(&[], |(files, _)| files));
        }
        let page_cache = files.as_ref().and_then(|(files, _)| page_cache::resident(files));
        let mut worker = Worker::spawn(&launch).map_err(|error| Cut::Setup {
            variant: variant.name.clone(),
            failure: Failure {
                class: FailureClass::Crash,
                message: format!("cannot spawn {}: {error}", launch.program.display()),
            },
        })?;
        let (name, pid) = (variant.name.clone(), worker.pid());
        sink(&Entry::Spawn { round, variant: name.clone(), attempt, pid })
            .map_err(Cut::NotSaved)?;
        let mut run = WorkerRun {
            round,
            variant: name,
            attempt,
            pid,
            spawn_ns: worker.spawn_ns,
            model_bytes: files.map(|(_, bytes)| bytes),
            page_cache,
            ..WorkerRun::default()
        };
        match self.load(variant, &mut worker, &mut run) {
            Ok(loaded) => {
                run.load_ns = Some(loaded.load_ns);
                run.phases = Some(loaded.phases).filter(|phases| !phases.is_empty());
                run.model_cache = loaded.model_cache;
                let work = engine::work(&variant.load).ok().flatten();
                run.kv_bytes_per_token = work.and_then(|work| work.cache_bytes(&loaded.engine));
                run.engine = Some(loaded.engine);
                run.memory_loaded = memory_use(worker.pid());
                // From here on the kernel's peak is that of serving.
                run.serving_peak = reset_peak(worker.pid());
                Ok((Some(worker), run))
            }
            Err(stop) => {
                run.failure = Some(Cut::unless_failed(stop, &variant.name)?);
                Ok((None, run))
            }
        }
    }

    fn load(
        &self,
        variant: &Variant,
        worker: &mut Worker,
        run: &mut WorkerRun,
    ) -> Result<Loaded, Stop> {
        worker.hello(self.deadline, self.interrupt)?;
        let passed = monotonic_ns() - worker.spawn_ns;
        run.hello_ns = Some(passed);
        // One deadline for both, from the spawn on.
        let left = self.deadline.saturating_sub(Duration::from_nanos(passed));
        worker.load(&variant.load, left, self.interrupt)
    }
}

/// Reads the memory of a worker that has served its last request into its figures.
pub fn read_memory(worker: &Worker, run: &mut WorkerRun) {
    let now = if worker.alive() { memory_use(worker.pid()) } else { None };
    // A worker that died in between had a peak that nobody saw.
    run.serving_peak = run.serving_peak.and(now).map(|memory| memory.peak_rss);
    run.memory = now.map(|now| {
        let loaded = run.memory_loaded.map_or(0, |memory| memory.peak_rss);
        MemoryUse { peak_rss: now.peak_rss.max(loaded), ..now }
    });
}

impl Cut {
    /// A failure that counts; the other two kinds of stops end everything.
    ///
    /// # Errors
    /// The cut that they make.
    pub fn unless_failed(stop: Stop, variant: &str) -> Result<Failure, Cut> {
        match stop {
            Stop::Failed(failure) => Ok(failure),
            Stop::Fatal(failure) => Err(Cut::Setup { variant: variant.to_string(), failure }),
            Stop::Interrupted => Err(Cut::Interrupted),
        }
    }
}
