//! Traces: who handled what on whose behalf, as W3C Trace Context, and as spans of `tracing`.
//!
//! Ids are computed from the numbers that messages have anyway, and only when somebody asks. So they
//! cost nothing until then, and whoever handles a message can tell the id of the attempt that sent it.

use tracing::Span;
use tracing::field::Empty;

use crate::bus::Bus;
use crate::context::{Context, Kind};
use crate::failure::Failure;
use crate::layer::{Layer, Next, Ran};

/// One attempt of a handler, among all of a bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The number of the message.
    pub(crate) seq: u64,
    /// The handler's place among the outcomes.
    pub(crate) slot: u32,
    /// Counted from 1.
    pub(crate) attempt: u32,
}

impl Origin {
    /// No attempt at all.
    pub(crate) const NONE: Self = Self { seq: 0, slot: 0, attempt: 0 };
}

/// The `traceparent` of an attempt whose chain began with message `correlation`, or elsewhere as part
/// of `trace`.
///
/// Version 00 of [W3C Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header): the
/// trace's id, the span's id, and the flag `sampled`. Of the trace's id the right half is random to
/// who samples by it, and the left one is that of the bus.
pub(crate) fn traceparent(
    bus: &Bus,
    correlation: u64,
    origin: Origin,
    trace: Option<&str>,
) -> String {
    let Origin { seq, slot, attempt } = origin;
    let prefix = bus.prefix();
    let own = mix(prefix ^ mix(correlation));
    let span = mix(own ^ mix(mix(seq) ^ (u64::from(slot) << 32 | u64::from(attempt))));
    // An id of zeros would be none.
    let span = span.max(1);
    match trace {
        Some(trace) => format!("00-{trace}-{span:016x}-01"),
        None => format!("00-{prefix:016x}{own:016x}-{span:016x}-01"),
    }
}

/// The trace's id of a `traceparent` that somebody else wrote, if it is one of version 00.
pub(crate) fn trace_of(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, _flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_one = hex(trace, 32) && hex(span, 16) && trace.bytes().any(|byte| byte != b'0');
    (version == "00" && is_one).then_some(trace)
}

/// Spreads a number over all bits, each number to another one: the finalizer of `SplitMix64`.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A [`Layer`] that makes a span of `tracing` of every attempt.
///
/// The span has the level `INFO`, the target `bus` and the name `handle`; it is entered on every poll.
/// Its fields are the words of the bus: `handler`, `service`, `exchange`, `key`, `id`, `attempt`,
/// `correlation_id`; `traceparent` as [`Context::traceparent`] tells it, and `parent`, that of the
/// attempt which sent the message; `failure` where it failed. For exporters there are `otel.name`,
/// `otel.kind` and `otel.status_code` besides. A span is made inside of the one that is entered only
/// for an `inline` handler: other messages have left it behind.
///
/// # Examples
///
/// ```
/// # fn main() -> autobus_core::Result<()> {
/// let bus = autobus_core::Builder::new().layer(autobus_core::TracingLayer).build()?;
/// # bus.shutdown()
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingLayer;

impl Layer for TracingLayer {
    type Attempt = Span;

    fn before(&self, ctx: &Context) -> Result<Span, Failure> {
        // The fields are computed only if somebody takes the span.
        macro_rules! span {
            ($($parent:tt)*) => {
                tracing::info_span!(
                    target: "bus",
                    $($parent)*
                    "handle",
                    handler = ctx.handler(),
                    service = ctx.service(),
                    exchange = ctx.exchange(),
                    key = ctx.key(),
                    id = ctx.id(),
                    attempt = ctx.attempt(),
                    correlation_id = ctx.correlation_id(),
                    traceparent = ctx.traceparent(),
                    parent = ctx.causation_traceparent(),
                    failure = Empty,
                    otel.name = format!("{} {}", verb(ctx), ctx.key()),
                    otel.kind = kind(ctx),
                    otel.status_code = Empty,
                )
            };
        }
        Ok(if ctx.is_inline() { span!() } else { span!(parent: None,) })
    }

    fn around(&self, span: &mut Span, _: &Context, next: Next<'_>) -> Ran {
        span.in_scope(|| next.run())
    }

    fn after(&self, span: Span, _: &Context, outcome: Result<(), &Failure>) {
        match outcome {
            Ok(()) => span.record("otel.status_code", "OK"),
            Err(failure) => {
                span.record("failure", tracing::field::display(failure));
                span.record("otel.status_code", "ERROR")
            }
        };
    }
}

fn verb(ctx: &Context) -> &'static str {
    if ctx.kind() == Kind::Event { "process" } else { "execute" }
}

/// The kind of the span in the words of OpenTelemetry.
fn kind(ctx: &Context) -> &'static str {
    match ctx.kind() {
        _ if ctx.is_inline() => "internal",
        Kind::Event => "consumer",
        Kind::Command | Kind::Lifecycle => "server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_is_taken_from_a_traceparent_of_version_00_alone() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_of(&format!("00-{trace}-00f067aa0ba902b7-01")), Some(trace));
        for wrong in [
            "",
            "00-4bf9-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_of(wrong), None, "{wrong}");
        }
    }
}
