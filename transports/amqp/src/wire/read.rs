//! AMQP messages as envelopes. What comes from a broker may be anything: nothing of it is trusted.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, SystemTime};

use autobus_core::transport::{Dead, Envelope};
use autobus_core::{Failure, Reason};
use lapin::message::Delivery;

use super::properties::Properties;
use super::{
    ATTEMPT, BROKERS_OWN, CAUSATION, CORRELATION, CUT, DEAD_REASON, DEAD_TEXT, DEAD_TIME, EXCHANGE,
    KEY, LOST, MOST_HEADER_BYTES, MOST_HEADERS, OUTCOME, PREFIXES, REST, TRACEPARENT, time,
};
use crate::lane::Parcel;

/// Where a message was received.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// What is not part of the key in the name of a queue into which somebody put a message by that
    /// name: `task.` or `command.`.
    pub(crate) prefix: &'static str,
    pub(crate) body_limit: usize,
}

/// A message that was received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) message: Envelope,
    /// Why nobody shall have it.
    pub(crate) fault: Option<Failure>,
    /// What is left to wait.
    pub(crate) rest: Duration,
    /// Whom to answer, if it is a call.
    pub(crate) caller: Option<Caller>,
    /// What became of a call, if it is an answer, and of which.
    pub(crate) outcome: Outcome,
    pub(crate) token: Option<u64>,
    /// It has an id and a source as CloudEvents have, which together no other event has.
    pub(crate) unique: bool,
    death: Death,
}

#[derive(Debug, Default)]
struct Death {
    reason: Option<String>,
    text: Option<String>,
    time: Option<SystemTime>,
}

/// Whom to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) reply_to: String,
    pub(crate) token: Option<String>,
    /// After which time nobody takes the answer.
    pub(crate) expiration: Option<String>,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    /// It may have run.
    Interrupted,
    /// It did not.
    Unserved,
}

impl Outcome {
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Answered => None,
            Self::Interrupted => Some("interrupted"),
            Self::Unserved => Some("unserved"),
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "unserved" => Self::Unserved,
            _ => Self::Interrupted,
        }
    }
}

/// Reads a message; one without an id gets one, which its copies keep.
pub(crate) fn read(parcel: Parcel, site: &Site) -> Received {
    let Parcel { exchange, key, properties, body, .. } = parcel;
    let message = Envelope::new(exchange, key, body);
    let id = |_: &Envelope| format!("{:032x}", fastrand::u128(..));
    read_named(message, &Properties::read(&properties), site, id)
}

/// The id of a message, if it says one.
pub(crate) fn id(parcel: &Parcel) -> Option<String> {
    let properties = Properties::read(&parcel.properties);
    let mut id = properties.message_id.map(str::to_owned);
    properties.each_header(|name, value| {
        if PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) == Some("id") {
            id = Some(value.text());
        }
    });
    id
}

fn read_named(
    mut message: Envelope,
    properties: &Properties<'_>,
    site: &Site,
    id: impl FnOnce(&Envelope) -> String,
) -> Received {
    let bytes = message.body.len();
    let by_name = message.exchange.is_empty();
    if by_name && message.key.starts_with(site.prefix) {
        message.key.drain(..site.prefix.len());
    }
    let mut received = attributes(message, properties, by_name);
    if received.message.id.is_empty() {
        received.message.id = id(&received.message);
    }
    if bytes > site.body_limit {
        let limit = site.body_limit;
        let text = format!("body of {bytes} bytes is over the limit of {limit} bytes");
        received.fault = Some(Failure::of(Reason::Decode, text));
    }
    received
}

/// Reads a dead letter. One that somebody else put there, without an id, has the same each time that
/// it is looked at.
pub(crate) fn dead(delivery: Delivery, site: &Site) -> Dead {
    let id = |message: &Envelope| {
        let mut hasher = DefaultHasher::new();
        (&message.key, &message.body).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    let Delivery { exchange, routing_key, properties, data, .. } = delivery;
    let message = Envelope::new(String::from(exchange), String::from(routing_key), data);
    let properties = Properties::of(&properties);
    let Received { message, death, .. } = read_named(message, &properties, site, id);
    let reason = death.reason.as_deref().and_then(Reason::from_name).unwrap_or(Reason::Error);
    let text = death.text.unwrap_or_else(|| "whoever put it here gave no reason".to_owned());
    let time = death.time.or(message.time).unwrap_or(SystemTime::UNIX_EPOCH);
    Dead::new(message, Failure::of(reason, text), time)
}

fn attributes(mut message: Envelope, properties: &Properties<'_>, by_name: bool) -> Received {
    let some = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    message.content_type = some(properties.content_type);
    message.correlation_id = some(properties.correlation_id);
    let caller = some(properties.reply_to).map(|reply_to| Caller {
        reply_to,
        token: properties.correlation_id.map(str::to_owned),
        expiration: properties.expiration.map(str::to_owned),
    });
    let mut received = Received {
        message,
        fault: None,
        rest: Duration::ZERO,
        caller,
        outcome: Outcome::Answered,
        token: properties.correlation_id.and_then(|token| token.parse().ok()),
        unique: false,
        death: Death::default(),
    };
    let (mut count, mut bytes) = (0, 0);
    properties.each_header(|name, value| {
        let message = &mut received.message;
        let small = || u32::try_from(value.number()?).ok();
        match name {
            ATTEMPT => message.attempt = small().unwrap_or(1).max(1),
            LOST => message.lost = small().unwrap_or(0),
            CAUSATION => message.causation_id = Some(value.text()),
            CORRELATION => message.correlation_id = Some(value.text()),
            TRACEPARENT => message.traceparent = Some(value.text()),
            EXCHANGE if by_name => message.exchange = value.text(),
            KEY if by_name => message.key = value.text(),
            EXCHANGE | KEY => {}
            OUTCOME => received.outcome = Outcome::named(&value.text()),
            REST => received.rest = Duration::from_millis(value.number().unwrap_or(0)),
            DEAD_REASON => received.death.reason = Some(value.text()),
            DEAD_TEXT => received.death.text = Some(value.text()),
            DEAD_TIME => received.death.time = time::read(&value.text()),
            _ if BROKERS_OWN.iter().any(|own| name.starts_with(own)) => {}
            _ => match PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
                Some("id") => message.id = value.text(),
                Some("source") => message.source = value.text(),
                Some("specversion") => value.read_into(&mut message.spec_version),
                Some("time") => message.time = time::read(&value.text()),
                Some("datacontenttype") => {
                    message.content_type.get_or_insert_with(|| value.text());
                }
                // It is the routing key.
                Some("type") => {}
                _ => {
                    count += usize::from(name != CUT);
                    bytes += name.len() + value.size();
                    if count <= MOST_HEADERS && bytes <= MOST_HEADER_BYTES {
                        message.headers.insert(name, value.text());
                    }
                }
            },
        }
    });
    let message = &mut received.message;
    received.unique = !message.id.is_empty() && !message.source.is_empty();
    if message.id.is_empty() {
        properties.message_id.unwrap_or_default().clone_into(&mut message.id);
    }
    if message.source.is_empty() {
        properties.app_id.unwrap_or_default().clone_into(&mut message.source);
    }
    if message.time.is_none() {
        message.time = properties
            .timestamp
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    }
    if count > MOST_HEADERS || bytes > MOST_HEADER_BYTES {
        let text = format!(
            "{count} headers of {bytes} bytes are over the limit of {MOST_HEADERS} headers and {MOST_HEADER_BYTES} bytes"
        );
        let kept = received.message.headers.len();
        received.message.headers.insert(CUT, (count - kept).to_string());
        received.fault = Some(Failure::of(Reason::Decode, text));
    }
    received
}
