//! The envelope of a message: what travels around its payload, with the attribute names of
//! [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md).

use std::collections::BTreeMap;
use std::time::SystemTime;

/// A message on its way through a transport: its address, its attributes, its payload.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// use bus::transport::Envelope;
///
/// let mut message = Envelope::new("order", "order.v1.submit", br#"{"id":7}"#.to_vec());
/// message.headers.insert("tenant", "acme");
/// assert_eq!((message.key.as_str(), message.attempt), ("order.v1.submit", 1));
/// assert_eq!(message.headers.get("tenant"), Some("acme"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// The exchange that it is published on; empty for a command.
    pub exchange: String,
    /// The routing key, or the command's name.
    pub key: String,
    /// CloudEvents `id`: unique for each message, and the same on every attempt. A transport gives
    /// one to a message from elsewhere that has none, before it delivers it.
    pub id: String,
    /// CloudEvents `source`: who sent it; empty if whoever sent it did not say.
    pub source: String,
    /// CloudEvents `specversion`: [`SPEC_VERSION`](Self::SPEC_VERSION), unless whoever sent it said
    /// another.
    pub spec_version: String,
    /// CloudEvents `time`: when it was sent, if known.
    pub time: Option<SystemTime>,
    /// CloudEvents `datacontenttype`: the media type of the body, if whoever sent it said one.
    pub content_type: Option<String>,
    /// The id of the first message in the chain of causes, unless this is the first.
    pub correlation_id: Option<String>,
    /// The id of the message whose handler sent this one.
    pub causation_id: Option<String>,
    /// The attempt that sent this one, as a `traceparent` of
    /// [W3C Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header).
    pub traceparent: Option<String>,
    /// Which attempt this is, counted from 1: failed ones and those that were lost on the way.
    pub attempt: u32,
    /// How many of the attempts before this one ended without an outcome, because the consumer
    /// died or lost its connection.
    pub lost: u32,
    /// Whether it may have been handled before, although no attempt was counted.
    pub redelivered: bool,
    /// Everything else.
    pub headers: Headers,
    /// The payload.
    pub body: Vec<u8>,
}

impl Envelope {
    /// The version of CloudEvents that is written, and the only one that is read.
    pub const SPEC_VERSION: &str = "1.0";

    /// The media type of what this bus writes.
    pub const JSON: &str = "application/json";

    /// A first attempt, with nothing but an address and a body.
    pub fn new(exchange: impl Into<String>, key: impl Into<String>, body: Vec<u8>) -> Self {
        Self {
            exchange: exchange.into(),
            key: key.into(),
            id: String::new(),
            source: String::new(),
            spec_version: Self::SPEC_VERSION.to_owned(),
            time: None,
            content_type: None,
            correlation_id: None,
            causation_id: None,
            traceparent: None,
            attempt: 1,
            lost: 0,
            redelivered: false,
            headers: Headers::default(),
            body,
        }
    }
}

/// The headers of a message: names and texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// No headers.
    pub(crate) fn none() -> &'static Self {
        static NONE: Headers = Headers(BTreeMap::new());
        &NONE
    }

    /// The text of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a header; a second one of the same name replaces the first.
    pub fn insert(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.0.insert(name.into(), text.into());
    }

    /// Takes a header out.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Every header, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
