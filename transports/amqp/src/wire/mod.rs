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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::Parcel;
    use autobus_core::transport::Envelope;

    const SITE: Site = Site { prefix: "", body_limit: 100 };

    fn event() -> Envelope {
        let mut message = Envelope::new("order", "order.v1.submit", b"{}".to_vec());
        message.id = "id-1".to_owned();
        message.source = "shop".to_owned();
        message.time = Some(SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 1));
        message.content_type = Some(Envelope::JSON.to_owned());
        message.causation_id = Some("cause".to_owned());
        message.traceparent =
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
        message.headers.insert("tenant", "acmé");
        message
    }

    fn sent(key: &str, write: impl FnOnce(&mut Vec<u8>)) -> Parcel {
        let mut properties = Vec::new();
        write(&mut properties);
        let (exchange, key) = (String::new(), key.to_owned());
        Parcel { tag: 1, redelivered: false, exchange, key, properties, body: b"{}".to_vec() }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let mut message = event();
        message.correlation_id = Some("chain".to_owned());
        message.attempt = 3;
        message.lost = 1;
        let parcel = sent("billing.order", |out| super::message(out, &message, None, true));
        assert_eq!(id(&parcel).as_deref(), Some("id-1"));
        let received = read(parcel, &SITE);
        assert_eq!((received.message, received.unique), (message, true));
    }

    #[test]
    fn a_call_is_read_with_whom_to_answer_and_its_answer_with_whose_it_is() {
        let mut message = event();
        message.exchange.clear();
        message.correlation_id = Some("chain".to_owned());
        let parcel = sent("command.order.v1.submit", |out| {
            call(out, &message, "7", Duration::from_secs(2));
        });
        let received = read(parcel, &Site { prefix: "command.", ..SITE });
        let caller = received.caller.unwrap();
        assert_eq!(received.message, message);
        assert_eq!(
            (caller.token.as_deref(), caller.expiration.as_deref()),
            (Some("7"), Some("2000"))
        );
        let answer = Envelope::new("", "", b"{}".to_vec());
        for outcome in [Outcome::Answered, Outcome::Interrupted, Outcome::Unserved] {
            let parcel = sent(&caller.reply_to, |out| reply(out, &answer, outcome, &caller));
            // Nothing but the mode of delivery and whose it is.
            assert!(outcome != Outcome::Answered || parcel.properties.len() == 5);
            let received = read(parcel, &SITE);
            assert_eq!((received.outcome, received.token), (outcome, Some(7)));
        }
    }

    #[test]
    fn nobody_else_sets_a_header_of_ours() {
        let mut message = event();
        message.headers.insert(LOST, "9");
        message.headers.insert("cloudEvents_id", "other");
        let read = read(sent("q", |out| super::message(out, &message, None, true)), &SITE).message;
        assert_eq!((read.id.as_str(), read.lost, read.headers.len()), ("id-1", 0, 1));
    }

    #[test]
    fn properties_of_any_bytes_are_read_somehow() {
        for seed in 0..20_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = (0..random.usize(0..80)).map(|_| random.u8(..)).collect();
            assert!(!read(sent("q", |out| *out = bytes), &SITE).message.id.is_empty());
        }
    }
}
