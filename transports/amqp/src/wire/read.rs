//! AMQP messages as envelopes. What comes from a broker may be anything: nothing of it is trusted.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, SystemTime};

use autobus_core::transport::{Dead, Envelope};
use autobus_core::{Failure, Reason};
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::ShortString;

use super::value::{number, size, text};
use super::{
    ATTEMPT, BROKERS_OWN, CAUSATION, CORRELATION, CUT, DEAD_REASON, DEAD_TEXT, DEAD_TIME, EXCHANGE,
    KEY, LOST, MOST_HEADER_BYTES, MOST_HEADERS, OUTCOME, PREFIXES, REST, TRACEPARENT, time,
};

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
    pub(crate) reply_to: ShortString,
    pub(crate) token: Option<ShortString>,
    /// After which time nobody takes the answer.
    pub(crate) expiration: Option<ShortString>,
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
}

/// Reads a message; one without an id gets one, which its copies keep.
pub(crate) fn read(delivery: Delivery, site: &Site) -> Received {
    read_named(delivery, site, |_| format!("{:032x}", fastrand::u128(..)))
}

fn read_named(delivery: Delivery, site: &Site, id: impl FnOnce(&Envelope) -> String) -> Received {
    let Delivery { exchange, routing_key, properties, data, .. } = delivery;
    let bytes = data.len();
    let by_name = exchange.as_str().is_empty();
    let mut message = Envelope::new(String::from(exchange), String::from(routing_key), data);
    if by_name && let Some(key) = message.key.strip_prefix(site.prefix) {
        message.key = String::from(key);
    }
    let mut received = attributes(message, &properties, by_name);
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
    let Received { message, death, .. } = read_named(delivery, site, id);
    let reason = death.reason.as_deref().and_then(Reason::from_name).unwrap_or(Reason::Error);
    let text = death.text.unwrap_or_else(|| "whoever put it here gave no reason".to_owned());
    let time = death.time.or(message.time).unwrap_or(SystemTime::UNIX_EPOCH);
    Dead::new(message, Failure::of(reason, text), time)
}

/// Reads what became of a call.
pub(crate) fn outcome(properties: &BasicProperties) -> Outcome {
    let header = properties.headers().as_ref().and_then(|headers| headers.inner().get(OUTCOME));
    match header.map(text).as_deref() {
        None => Outcome::Answered,
        Some("unserved") => Outcome::Unserved,
        Some(_) => Outcome::Interrupted,
    }
}

fn attributes(mut message: Envelope, properties: &BasicProperties, by_name: bool) -> Received {
    let or_empty =
        |text: &Option<ShortString>| text.as_ref().map_or(String::new(), ShortString::to_string);
    let some = |text: &Option<ShortString>| {
        text.as_ref().filter(|text| !text.as_str().is_empty()).map(ShortString::to_string)
    };
    message.id = or_empty(properties.message_id());
    message.source = or_empty(properties.app_id());
    message.content_type = some(properties.content_type());
    message.correlation_id = some(properties.correlation_id());
    message.time = properties
        .timestamp()
        .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    let caller = properties.reply_to().clone().filter(|to| !to.as_str().is_empty());
    let caller = caller.map(|reply_to| Caller {
        reply_to,
        token: properties.correlation_id().clone(),
        expiration: properties.expiration().clone(),
    });
    let mut received =
        Received { message, fault: None, rest: Duration::ZERO, caller, death: Death::default() };
    let Some(headers) = properties.headers() else { return received };

    let (mut count, mut bytes) = (0, 0);
    for (name, value) in headers {
        let name = name.as_str();
        let message = &mut received.message;
        let small = || u32::try_from(number(value)?).ok();
        match name {
            ATTEMPT => message.attempt = small().unwrap_or(1).max(1),
            LOST => message.lost = small().unwrap_or(0),
            CAUSATION => message.causation_id = Some(text(value)),
            CORRELATION => message.correlation_id = Some(text(value)),
            TRACEPARENT => message.traceparent = Some(text(value)),
            EXCHANGE if by_name => message.exchange = text(value),
            KEY if by_name => message.key = text(value),
            EXCHANGE | KEY | OUTCOME => {}
            REST => received.rest = Duration::from_millis(number(value).unwrap_or(0)),
            DEAD_REASON => received.death.reason = Some(text(value)),
            DEAD_TEXT => received.death.text = Some(text(value)),
            DEAD_TIME => received.death.time = time::read(&text(value)),
            _ if BROKERS_OWN.iter().any(|own| name.starts_with(own)) => {}
            _ => match PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
                Some("id") => message.id = text(value),
                Some("source") => message.source = text(value),
                Some("specversion") => message.spec_version = text(value),
                Some("time") => message.time = time::read(&text(value)).or(message.time),
                Some("datacontenttype") => {
                    message.content_type.get_or_insert_with(|| text(value));
                }
                // It is the routing key.
                Some("type") => {}
                _ => {
                    count += usize::from(name != CUT);
                    bytes += name.len() + size(value);
                    if count <= MOST_HEADERS && bytes <= MOST_HEADER_BYTES {
                        message.headers.insert(name, text(value));
                    }
                }
            },
        }
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
