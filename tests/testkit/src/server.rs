//! What the private servers have in common: a process that comes and goes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::process::Process;

/// The process of a server, or none while it is down.
#[derive(Debug, Default)]
pub(crate) struct Server {
    process: Mutex<Option<Process>>,
}

impl Server {
    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the process with `SIGTERM` if it runs, and puts the one that `start` gives in its place.
    pub(crate) fn restart(
        &self,
        start: impl FnOnce() -> Result<Process, Error>,
    ) -> Result<(), Error> {
        self.stop();
        let process = start()?;
        *self.lock() = Some(process);
        Ok(())
    }

    pub(crate) fn kill(&self) {
        if let Some(process) = self.lock().take() {
            process.kill();
        }
    }

    pub(crate) fn stop(&self) {
        if let Some(process) = self.lock().take() {
            process.terminate();
            // A paused one hears of it when it goes on.
            process.resume();
            // What does not end in time is killed by the drop.
            let _ = process.wait_within(crate::poll::PATIENCE);
        }
    }

    pub(crate) fn pause(&self) {
        self.running(Process::pause);
    }

    pub(crate) fn resume(&self) {
        self.running(Process::resume);
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.running(Process::pid)
    }

    fn running<T>(&self, of: impl FnOnce(&Process) -> T) -> Option<T> {
        self.lock().as_ref().map(of)
    }
}
