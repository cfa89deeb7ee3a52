//! Envelopes as AMQP properties.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use autobus_core::Error;
use autobus_core::transport::Envelope;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::{
    ATTEMPT, CAUSATION, CORRELATION, CUT, Caller, DEAD_REASON, DEAD_TEXT, DEAD_TIME, EXCHANGE, KEY,
    LOST, MOST_HEADER_BYTES, MOST_HEADERS, MOST_TEXT, OUTCOME, Outcome, REST, Stamp, TRACEPARENT,
    time,
};

/// What is checked before a message is sent, so that one that the broker would refuse does not cost
/// the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) body: usize,
}

impl Limits {
    /// # Errors
    ///
    /// `Transport`: says what is too long.
    pub(crate) fn check(self, message: &Envelope) -> Result<(), Error> {
        let (body, limit) = (message.body.len(), self.body);
        if body > limit {
            return Err(Error::transport(format!(
                "body of {body} bytes is over the limit of {limit} bytes"
            )));
        }
        let headers = message.headers.len();
        if headers > MOST_HEADERS {
            return Err(Error::transport(format!(
                "{headers} headers are too many; {MOST_HEADERS} is the most"
            )));
        }
        let attributes =
            [&message.id, &message.source, &message.spec_version, &message.exchange, &message.key];
        let options = [
            &message.correlation_id,
            &message.causation_id,
            &message.traceparent,
            &message.content_type,
        ];
        let mut bytes: usize = attributes.iter().map(|text| text.len()).sum();
        bytes += options.iter().filter_map(|text| text.as_ref()).map(String::len).sum::<usize>();
        for (name, text) in message.headers.iter() {
            crate::error::short("the name of a header", name)?;
            bytes += name.len() + text.len();
        }
        if bytes > MOST_HEADER_BYTES {
            return Err(Error::transport(format!(
                "{bytes} bytes of headers are too many; {MOST_HEADER_BYTES} is the most"
            )));
        }
        Ok(())
    }
}

/// An event or a task. What goes into a queue by its name says where it came from.
pub(crate) fn message(message: &Envelope, stamp: Option<&Stamp>, by_name: bool) -> BasicProperties {
    let mut headers = attributes(message);
    let (attempt, lost) =
        stamp.map_or((message.attempt, message.lost), |stamp| (stamp.attempt, stamp.lost));
    if attempt != 1 {
        put(&mut headers, ATTEMPT, AMQPValue::LongLongInt(attempt.into()));
    }
    if lost != 0 {
        put(&mut headers, LOST, AMQPValue::LongLongInt(lost.into()));
    }
    if by_name {
        put(&mut headers, EXCHANGE, text(&message.exchange));
        put(&mut headers, KEY, text(&message.key));
    }
    if let Some(stamp) = stamp {
        if !stamp.rest.is_zero() {
            put(&mut headers, REST, AMQPValue::LongLongInt(millis(stamp.rest)));
        }
        if let Some((reason, at)) = &stamp.death {
            put(&mut headers, DEAD_REASON, text(reason.reason().name()));
            put(&mut headers, DEAD_TEXT, text(cut(reason.message(), MOST_TEXT)));
            put(&mut headers, DEAD_TIME, text(&time::write(*at).unwrap_or_default()));
        }
    }
    let properties = properties(message, headers).with_delivery_mode(2);
    match message.correlation_id.as_deref().and_then(|id| ShortString::try_new(id).ok()) {
        Some(id) => properties.with_correlation_id(id),
        None => properties,
    }
}

/// A call: `token` comes back with the answer, and after `timeout` nobody takes it.
pub(crate) fn call(message: &Envelope, token: ShortString, timeout: Duration) -> BasicProperties {
    let mut headers = attributes(message);
    correlation(message, &mut headers);
    // An expiration of zero would only reach a server that is idle.
    let expiration = millis(timeout).clamp(1, i64::from(u32::MAX)).to_string();
    properties(message, headers)
        .with_delivery_mode(1)
        .with_correlation_id(token)
        .with_reply_to("amq.rabbitmq.reply-to".into())
        .with_expiration(ShortString::try_new(expiration).unwrap_or_default())
}

/// A call that was received, for another server.
pub(crate) fn call_again(message: &Envelope, caller: &Caller) -> BasicProperties {
    let mut headers = attributes(message);
    correlation(message, &mut headers);
    let mut properties =
        properties(message, headers).with_delivery_mode(1).with_reply_to(caller.reply_to.clone());
    if let Some(token) = &caller.token {
        properties = properties.with_correlation_id(token.clone());
    }
    match &caller.expiration {
        Some(expiration) => properties.with_expiration(expiration.clone()),
        None => properties,
    }
}

/// What is answered to a call.
pub(crate) fn reply(
    message: &Envelope,
    outcome: Outcome,
    token: Option<ShortString>,
) -> BasicProperties {
    let mut headers = attributes(message);
    correlation(message, &mut headers);
    if let Some(name) = outcome.name() {
        put(&mut headers, OUTCOME, text(name));
    }
    let properties = properties(message, headers).with_delivery_mode(1);
    match token {
        Some(token) => properties.with_correlation_id(token),
        None => properties,
    }
}

fn correlation(message: &Envelope, headers: &mut BTreeMap<ShortString, AMQPValue>) {
    if let Some(id) = &message.correlation_id {
        put(headers, CORRELATION, text(id));
    }
}

/// The headers of the message, and of its attributes.
fn attributes(message: &Envelope) -> BTreeMap<ShortString, AMQPValue> {
    let mut headers = BTreeMap::new();
    let (mut bytes, mut left) = (0, message.headers.len());
    for (name, value) in message.headers.iter().take(MOST_HEADERS) {
        bytes += name.len() + value.len();
        if bytes > MOST_HEADER_BYTES {
            break;
        }
        if let Ok(name) = ShortString::try_new(name) {
            headers.insert(name, text(value));
            left -= 1;
        }
    }
    if left > 0 {
        put(&mut headers, CUT, AMQPValue::LongLongInt(i64::try_from(left).unwrap_or(i64::MAX)));
    }
    put(&mut headers, "cloudEvents_specversion", text(&message.spec_version));
    put(&mut headers, "cloudEvents_type", text(&message.key));
    if !message.id.is_empty() {
        put(&mut headers, "cloudEvents_id", text(&message.id));
    }
    if !message.source.is_empty() {
        put(&mut headers, "cloudEvents_source", text(&message.source));
    }
    if let Some(time) = message.time.and_then(time::write) {
        put(&mut headers, "cloudEvents_time", text(&time));
    }
    if let Some(id) = &message.causation_id {
        put(&mut headers, CAUSATION, text(id));
    }
    if let Some(parent) = &message.traceparent {
        put(&mut headers, TRACEPARENT, text(parent));
    }
    headers
}

/// The properties that tools know, as far as they fit into 255 bytes.
fn properties(message: &Envelope, headers: BTreeMap<ShortString, AMQPValue>) -> BasicProperties {
    let mut properties = BasicProperties::default().with_headers(FieldTable::from(headers));
    let short =
        |text: &str| ShortString::try_new(text).ok().filter(|text| !text.as_str().is_empty());
    if let Some(kind) = message.content_type.as_deref().and_then(short) {
        properties = properties.with_content_type(kind);
    }
    if let Some(id) = short(&message.id) {
        properties = properties.with_message_id(id);
    }
    if let Some(key) = short(&message.key) {
        properties = properties.with_type(key);
    }
    if let Some(source) = short(&message.source) {
        properties = properties.with_app_id(source);
    }
    if let Some(seconds) = message.time.and_then(seconds) {
        properties = properties.with_timestamp(seconds);
    }
    properties
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

fn put(headers: &mut BTreeMap<ShortString, AMQPValue>, name: &'static str, value: AMQPValue) {
    if let Ok(name) = ShortString::try_new(name) {
        headers.insert(name, value);
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// At most so many bytes of a text.
fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
