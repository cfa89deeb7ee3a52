//! The arguments of `#[command(..)]`.

use syn::{Ident, LitStr, Path};

use crate::args::{Count, Flag, Time, arguments};

arguments! {
    /// What `#[command(..)]` may say, beside its name.
    pub(crate) struct Arguments {
        /// The contract that the function implements.
        serves: Path = "serves",
        /// Never served to other processes.
        local: Flag = "local",
        /// Runs on the calling thread.
        inline: Flag = "inline",
        /// The service that it belongs to.
        service: LitStr = "service",
        /// How long a caller waits, and how long one attempt of a task may take.
        timeout: Time = "timeout",
        /// A second implementation does not compile or link.
        unique: Flag = "unique",
        /// The name of the handle.
        handle: Ident = "handle",
        /// How many further attempts a task has.
        retry: Count = "retry",
        /// How long a task waits before each of them.
        backoff: Vec<Time> = "backoff",
        /// Which errors are worth another attempt.
        retry_if: Path = "retry_if",
        /// How many run at once.
        concurrency: Count = "concurrency",
        /// The path of the bus.
        root: Path = "crate",
    }
}
