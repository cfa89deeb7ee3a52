//! SIGINT and SIGTERM, and their like elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

use crate::error::{Error, ErrorKind, Result};

/// The status of a process that the second signal ends: 128 and the number of SIGINT, as shells
/// count it.
const INTERRUPTED: i32 = 130;

/// Completes with the first signal.
pub(crate) struct Signal(Receiver<()>);

impl Signal {
    pub(crate) fn wait(self) {
        // The handler is never dropped, so the other end stays.
        let _ = self.0.recv();
    }
}

/// Watches for signals from now on.
pub(crate) fn watch() -> Result<Signal> {
    let (sender, receiver) = channel();
    let first = AtomicBool::new(true);
    let handler = move || {
        if first.swap(false, Ordering::Relaxed) {
            // Whoever waited may have gone: then the process is ending already.
            let _ = sender.send(());
        } else {
            std::process::exit(INTERRUPTED);
        }
    };
    ctrlc::set_handler(handler).map_err(|error| {
        Error::new(ErrorKind::Init, "the signals of the process cannot be watched")
            .with_source(error)
    })?;
    Ok(Signal(receiver))
}
