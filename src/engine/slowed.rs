//! Owns the test switch `slowdown_percent`: an engine made slower by a known share, to prove that
//! the gate sees it.

use super::{Engine, Sequence, Stream, Visit};
use crate::record::{EngineInfo, Execution, Failure, LoadPhases, ModelCache};

/// An engine whose every forward pass is followed by a busy wait of a share of its own duration.
/// A busy wait and not a sleep: it keeps the core and its clock as busy as slower arithmetic would.
pub(super) struct Slowed {
    inner: Box<dyn Engine>,
    share: f64,
}

impl Slowed {
    pub(super) fn new(inner: Box<dyn Engine>, share: f64) -> Slowed {
        Slowed { inner, share }
    }
}

impl Engine for Slowed {
    fn info(&self) -> EngineInfo {
        self.inner.info()
    }

    fn phases(&self) -> LoadPhases {
        self.inner.phases()
    }

    fn model_cache(&self) -> Option<ModelCache> {
        self.inner.model_cache()
    }

    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        Ok(Box::new(SlowedSequence { inner: self.inner.begin()?, share: self.share }))
    }

    fn execution(&mut self) -> Result<Execution, Failure> {
        self.inner.execution()
    }

    fn streams(&mut self, count: usize) -> Result<Vec<Box<dyn Stream + '_>>, Failure> {
        let share = self.share;
        let slowed = |inner| Box::new(SlowedStream { inner, share }) as Box<dyn Stream + '_>;
        Ok(self.inner.streams(count)?.into_iter().map(slowed).collect())
    }

    fn simulates_time(&self) -> bool {
        self.inner.simulates_time()
    }

    fn now_ns(&self) -> u64 {
        self.inner.now_ns()
    }
}

struct SlowedStream<'a> {
    inner: Box<dyn Stream + 'a>,
    share: f64,
}

impl Stream for SlowedStream<'_> {
    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        Ok(Box::new(SlowedSequence { inner: self.inner.begin()?, share: self.share }))
    }

    fn now_ns(&self) -> u64 {
        self.inner.now_ns()
    }

    fn pass_until(&mut self, ns: u64) {
        self.inner.pass_until(ns);
    }
}

struct SlowedSequence<'a> {
    inner: Box<dyn Sequence + 'a>,
    share: f64,
}

impl Sequence for SlowedSequence<'_> {
    fn forward(&mut self, tokens: &[u32]) -> Result<&[f32], Failure> {
        let start = crate::protocol::monotonic_ns();
        let logits = self.inner.forward(tokens)?;
        let now = crate::protocol::monotonic_ns();
        let until = now + ((now - start) as f64 * self.share) as u64;
        while crate::protocol::monotonic_ns() < until {
            std::hint::spin_loop();
        }
        Ok(logits)
    }

    // Forcing measures no time, so nothing waits; the way in which tokens are fed has to stay.
    fn forward_each(&mut self, tokens: &[u32], visit: &mut Visit<'_>) -> Result<(), Failure> {
        self.inner.forward_each(tokens, visit)
    }

    fn now_ns(&self) -> u64 {
        self.inner.now_ns()
    }
}
