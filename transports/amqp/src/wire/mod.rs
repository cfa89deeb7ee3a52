//! An envelope as an AMQP message, and back: the body as it is, the attributes as headers of the
//! [CloudEvents AMQP binding](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/amqp-protocol-binding.md#313-metadata-headers).
//! Of the properties of AMQP that mean the same, none says it again: the broker pays for each, of each
//! message, on the way in and on the way out. What others send needs none of these; where it has a
//! property and no header, the property is read.

mod properties;
mod read;
mod time;
mod value;
mod write;

use std::time::{Duration, SystemTime};

use autobus_core::Failure;

pub(crate) use self::read::{Caller, Outcome, Received, Site, dead, id, read};
pub(crate) use self::write::{Limits, call, call_again, message, reply};

/// What follows the prefix of an attribute of CloudEvents. The binding allows `cloudEvents:` too,
/// which some clients of RabbitMQ cannot write.
const PREFIXES: [&str; 2] = ["cloudEvents_", "cloudEvents:"];

const TRACEPARENT: &str = "traceparent";

/// The attempt, if it is not the first.
const ATTEMPT: &str = "bus-attempt";
/// How many deliveries ended without an outcome, if any.
const LOST: &str = "bus-lost";
const CAUSATION: &str = "bus-causation";
/// The correlation id of a call or reply: the property of that name says whose call it is.
const CORRELATION: &str = "bus-correlation";
/// Where it was published, once it was put into a queue by name.
const EXCHANGE: &str = "bus-exchange";
const KEY: &str = "bus-key";
/// Milliseconds that are left to wait after this rung.
const REST: &str = "bus-rest";
const DEAD_REASON: &str = "bus-dead-reason";
const DEAD_TEXT: &str = "bus-dead-text";
const DEAD_TIME: &str = "bus-dead-time";
/// How many headers were too much, and are gone.
const CUT: &str = "bus-headers-cut";
/// What became of a call that has no answer: an [`Outcome`].
const OUTCOME: &str = "bus-outcome";

/// Headers that say what an envelope has a place for.
const OURS: [&str; 17] = [
    "cloudEvents_specversion",
    "cloudEvents_type",
    "cloudEvents_id",
    "cloudEvents_source",
    "cloudEvents_time",
    TRACEPARENT,
    ATTEMPT,
    LOST,
    CAUSATION,
    CORRELATION,
    EXCHANGE,
    KEY,
    REST,
    DEAD_REASON,
    DEAD_TEXT,
    DEAD_TIME,
    OUTCOME,
];

/// The flags of properties: AMQP 0-9-1, section 4.2.6.1.
mod flag {
    pub(super) const CONTENT_TYPE: u16 = 1 << 15;
    pub(super) const CONTENT_ENCODING: u16 = 1 << 14;
    pub(super) const HEADERS: u16 = 1 << 13;
    pub(super) const DELIVERY_MODE: u16 = 1 << 12;
    pub(super) const PRIORITY: u16 = 1 << 11;
    pub(super) const CORRELATION_ID: u16 = 1 << 10;
    pub(super) const REPLY_TO: u16 = 1 << 9;
    pub(super) const EXPIRATION: u16 = 1 << 8;
    pub(super) const MESSAGE_ID: u16 = 1 << 7;
    pub(super) const TIMESTAMP: u16 = 1 << 6;
    pub(super) const TYPE: u16 = 1 << 5;
    pub(super) const USER_ID: u16 = 1 << 4;
    pub(super) const APP_ID: u16 = 1 << 3;
}

/// What the broker adds to a message that goes through a rung; it grows with each.
const BROKERS_OWN: [&str; 5] =
    ["x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count"];

/// The most headers of a message, beside our own.
const MOST_HEADERS: usize = 128;
/// The most bytes of all names and texts of headers. They travel in one frame, of 128 KiB at most.
const MOST_HEADER_BYTES: usize = 64 << 10;
/// The most bytes of the text of a reason.
const MOST_TEXT: usize = 8 << 10;

/// What a message that goes on has other than the one that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) attempt: u32,
    pub(crate) lost: u32,
    /// What is left to wait.
    pub(crate) rest: Duration,
    pub(crate) death: Option<(Failure, SystemTime)>,
}
