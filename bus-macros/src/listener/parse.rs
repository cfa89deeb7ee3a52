//! The arguments of `#[listener(..)]`.

use syn::{LitStr, Path};

use crate::args::{Count, Flag, Time, arguments};

arguments! {
    /// What `#[listener(..)]` may say, beside what it hears.
    pub(crate) struct Arguments {
        /// The exchange that it hears.
        exchange: LitStr = "exchange",
        /// The queue that holds its deliveries.
        queue: LitStr = "queue",
        /// Every process receives its own copy.
        broadcast: Flag = "broadcast",
        /// The service that it belongs to.
        service: LitStr = "service",
        /// Runs on the calling thread.
        inline: Flag = "inline",
        /// How many further attempts follow a failed one.
        retry: Count = "retry",
        /// How long to wait before each of them.
        backoff: Vec<Time> = "backoff",
        /// Which errors are worth another attempt.
        retry_if: Path = "retry_if",
        /// How long one attempt may take.
        timeout: Time = "timeout",
        /// How many run at once.
        concurrency: Count = "concurrency",
        /// How many deliveries a broker sends ahead.
        prefetch: Count = "prefetch",
        /// The path of the bus.
        root: Path = "crate",
    }
}
