//! Where the spans of [`bus::TracingLayer`] go: here to standard error, with what handlers log inside.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Prints what this program logs, each line with the span that it was logged in.
pub(crate) fn print() {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    // The spans of the bus have the target `bus`.
    let wanted = Targets::new().with_target("bus", Level::INFO).with_target("layers", Level::INFO);
    tracing_subscriber::registry().with(wanted).with(lines).init();
}
