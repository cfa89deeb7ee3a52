//! Envelopes as AMQP properties, written as they travel.

use std::time::Duration;

use autobus_core::Error;
use autobus_core::transport::Envelope;

use super::flag::{CONTENT_TYPE, CORRELATION_ID, DELIVERY_MODE, EXPIRATION, HEADERS, REPLY_TO};
use super::{
    ATTEMPT, CAUSATION, CORRELATION, CUT, Caller, DEAD_REASON, DEAD_TEXT, DEAD_TIME, EXCHANGE, KEY,
    LOST, MOST_HEADER_BYTES, MOST_HEADERS, MOST_TEXT, OURS, OUTCOME, Outcome, REST, Stamp,
    TRACEPARENT, time,
};
use crate::frame::{write_short, write_sized};

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
pub(crate) fn message(out: &mut Vec<u8>, message: &Envelope, stamp: Option<&Stamp>, by_name: bool) {
    let own = |table: &mut Table<'_>| {
        let (attempt, lost) =
            stamp.map_or((message.attempt, message.lost), |stamp| (stamp.attempt, stamp.lost));
        if attempt != 1 {
            table.number(ATTEMPT, attempt.into());
        }
        if lost != 0 {
            table.number(LOST, lost.into());
        }
        if by_name {
            table.text(EXCHANGE, &message.exchange);
            table.text(KEY, &message.key);
        }
        let Some(stamp) = stamp else { return };
        if !stamp.rest.is_zero() {
            table.number(REST, millis(stamp.rest));
        }
        if let Some((reason, at)) = &stamp.death {
            table.text(DEAD_REASON, reason.reason().name());
            table.text(DEAD_TEXT, cut(reason.message(), MOST_TEXT));
            table.text(DEAD_TIME, &time::write(*at).unwrap_or_default());
        }
    };
    let correlation_id = message.correlation_id.as_deref();
    Draft { delivery_mode: PERSISTENT, correlation_id, ..Draft::default() }
        .write(out, message, own);
}

/// A call: `token` comes back with the answer, and after `timeout` nobody takes it.
pub(crate) fn call(out: &mut Vec<u8>, message: &Envelope, token: &str, timeout: Duration) {
    // An expiration of zero would only reach a server that is idle.
    let expiration = millis(timeout).clamp(1, i64::from(u32::MAX)).to_string();
    let draft = Draft {
        correlation_id: Some(token),
        reply_to: Some("amq.rabbitmq.reply-to"),
        expiration: Some(&expiration),
        ..Draft::default()
    };
    draft.write(out, message, |table| correlation(message, table));
}

/// A call that was received, for another server.
pub(crate) fn call_again(out: &mut Vec<u8>, message: &Envelope, caller: &Caller) {
    let draft = Draft {
        correlation_id: caller.token.as_deref(),
        reply_to: Some(&caller.reply_to),
        expiration: caller.expiration.as_deref(),
        ..Draft::default()
    };
    draft.write(out, message, |table| correlation(message, table));
}

/// What is answered to a call.
pub(crate) fn reply(out: &mut Vec<u8>, message: &Envelope, outcome: Outcome, caller: &Caller) {
    let draft = Draft { correlation_id: caller.token.as_deref(), ..Draft::default() };
    draft.write(out, message, |table| {
        correlation(message, table);
        if let Some(name) = outcome.name() {
            table.text(OUTCOME, name);
        }
    });
}

fn correlation(message: &Envelope, table: &mut Table<'_>) {
    if let Some(id) = &message.correlation_id {
        table.text(CORRELATION, id);
    }
}

/// Delivery modes.
const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

/// The properties of a message: AMQP 0-9-1, section 4.2.6.1. Only what the broker, or whoever answers,
/// has to see; the rest is in the headers, once.
struct Draft<'a> {
    delivery_mode: u8,
    correlation_id: Option<&'a str>,
    reply_to: Option<&'a str>,
    expiration: Option<&'a str>,
}

impl Default for Draft<'_> {
    fn default() -> Self {
        let delivery_mode = TRANSIENT;
        Self { delivery_mode, correlation_id: None, reply_to: None, expiration: None }
    }
}

impl Draft<'_> {
    fn write(self, out: &mut Vec<u8>, message: &Envelope, own: impl FnOnce(&mut Table<'_>)) {
        // What is no short text is left out, as is what is empty.
        let fit = |text: Option<&'_ str>| text.is_some_and(|text| (1..=255).contains(&text.len()));
        let content_type = message.content_type.as_deref();
        let texts = [self.correlation_id, self.reply_to, self.expiration];
        let mut flags = HEADERS | DELIVERY_MODE;
        for (text, flag) in [(content_type, CONTENT_TYPE)]
            .into_iter()
            .chain(texts.into_iter().zip([CORRELATION_ID, REPLY_TO, EXPIRATION]))
        {
            if fit(text) {
                flags |= flag;
            }
        }
        let start = out.len();
        out.extend_from_slice(&flags.to_be_bytes());
        if let Some(text) = content_type.filter(|_| flags & CONTENT_TYPE != 0) {
            write_short(out, text);
        }
        let empty = out.len() + 4;
        write_sized(out, |out| {
            let table = &mut Table(out);
            attributes(message, table);
            own(table);
        });
        if out.len() == empty {
            // An answer has none.
            out.truncate(empty - 4);
            out[start..start + 2].copy_from_slice(&(flags & !HEADERS).to_be_bytes());
        }
        out.push(self.delivery_mode);
        for text in texts.into_iter().filter(|text| fit(*text)).flatten() {
            write_short(out, text);
        }
    }
}

/// A table of headers: AMQP 0-9-1, section 4.2.5.5.
struct Table<'a>(&'a mut Vec<u8>);

impl Table<'_> {
    /// The name of a header is no longer than 255 bytes.
    fn text(&mut self, name: &str, value: &str) {
        write_short(self.0, name);
        self.0.push(b'S');
        write_sized(self.0, |out| out.extend_from_slice(value.as_bytes()));
    }

    fn number(&mut self, name: &str, value: i64) {
        write_short(self.0, name);
        self.0.push(b'l');
        self.0.extend_from_slice(&value.to_be_bytes());
    }
}

/// The headers of the message, and of its attributes.
fn attributes(message: &Envelope, table: &mut Table<'_>) {
    let (mut bytes, mut left) = (0, message.headers.len());
    for (name, value) in message.headers.iter().take(MOST_HEADERS) {
        bytes += name.len() + value.len();
        if bytes > MOST_HEADER_BYTES {
            break;
        }
        // One that is too long counts as cut; one of ours is not anybody else's to set.
        if name.len() <= 255 {
            left -= 1;
            if !OURS.contains(&name) {
                table.text(name, value);
            }
        }
    }
    if left > 0 {
        table.number(CUT, i64::try_from(left).unwrap_or(i64::MAX));
    }
    // What nobody has given an id, such as an answer, is no event.
    if !message.id.is_empty() || !message.key.is_empty() {
        table.text("cloudEvents_specversion", &message.spec_version);
        table.text("cloudEvents_type", &message.key);
    }
    if !message.id.is_empty() {
        table.text("cloudEvents_id", &message.id);
    }
    if !message.source.is_empty() {
        table.text("cloudEvents_source", &message.source);
    }
    if let Some(time) = message.time.and_then(time::write) {
        table.text("cloudEvents_time", &time);
    }
    if let Some(id) = &message.causation_id {
        table.text(CAUSATION, id);
    }
    if let Some(parent) = &message.traceparent {
        table.text(TRACEPARENT, parent);
    }
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
