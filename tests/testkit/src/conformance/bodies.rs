//! Messages arrive as they were sent, whatever is in them.

use std::time::{Duration, SystemTime};

use autobus_core::ErrorKind;
use autobus_core::transport::{Envelope, Options};

use super::parts::{EXCHANGE, message, queue};
use super::{Bench, Case};
use crate::cases;

pub(super) const CASES: &[Case] = cases![
    an_envelope_arrives_whole,
    a_message_without_an_id_gets_one_that_it_keeps,
    bodies_arrive_byte_by_byte,
    a_body_of_a_mebibyte_arrives,
    a_body_over_the_limit_is_refused,
    keys_and_headers_are_unicode,
    a_key_may_have_255_bytes,
];

/// Sends messages, and compares what arrives.
#[track_caller]
fn arrive(bench: &Bench, messages: &[Envelope]) {
    let link = bench.connect();
    let consumer = link.consume(&queue("q", &["#"]), 9);
    for sent in messages {
        assert!(link.publish(sent.clone()));
        let held = consumer.next();
        // A body of a mebibyte is not worth reading.
        assert!(*held.message == *sent, "{}", difference(&held.message, sent));
        held.ack();
    }
}

fn with(id: &str, body: Vec<u8>) -> Envelope {
    let mut message = message("x", id);
    message.body = body;
    message
}

fn difference(got: &Envelope, sent: &Envelope) -> String {
    let without_body = |message: &Envelope| {
        let mut message = message.clone();
        message.body = Vec::new();
        message
    };
    let (got_rest, sent_rest) = (without_body(got), without_body(sent));
    let same = if got.body == sent.body { "the same" } else { "another" };
    format!("{same} body; got {got_rest:?}, sent {sent_rest:?}")
}

fn an_envelope_arrives_whole(bench: &Bench) {
    let mut whole = message("order.v1.submit", "0190-a");
    "shop/billing".clone_into(&mut whole.source);
    whole.time = Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
    whole.content_type = Some("application/json; charset=utf-8".to_owned());
    whole.correlation_id = Some("first".to_owned());
    whole.causation_id = Some("cause".to_owned());
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    whole.traceparent = Some(traceparent.to_owned());
    whole.headers.insert("tenant", "acme");
    whole.headers.insert("x-empty", "");
    whole.headers.insert("a.dotted:name", "value");
    let mut later = whole.clone();
    "2.0".clone_into(&mut later.spec_version);
    let mut bare = Envelope::new(EXCHANGE, "bare", b"{}".to_vec());
    "bare".clone_into(&mut bare.id);
    arrive(bench, &[whole, later, bare]);
}

fn a_message_without_an_id_gets_one_that_it_keeps(bench: &Bench) {
    let link = bench.connect();
    let consumer = link.consume(&queue("q", &["#"]), 9);
    for key in ["a", "b"] {
        link.publish(message(key, ""));
    }
    let held = consumer.take(2);
    let ids = [held[0].id().to_owned(), held[1].id().to_owned()];
    assert!(!ids[0].is_empty() && ids[0] != ids[1], "{ids:?}");
    for held in held {
        let id = held.id().to_owned();
        held.retry(Duration::ZERO, 2);
        let again = consumer.later(bench);
        assert_eq!((again.id(), again.message.attempt), (id.as_str(), 2));
        again.ack();
    }
}

fn bodies_arrive_byte_by_byte(bench: &Bench) {
    let every = (0..=u8::MAX).collect();
    arrive(bench, &[with("none", Vec::new()), with("every", every), with("zero", vec![0; 3])]);
}

fn a_body_of_a_mebibyte_arrives(bench: &Bench) {
    let mut random = fastrand::Rng::with_seed(7);
    let body: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(1 << 20).collect();
    let messages = ["a", "b"].map(|id| with(id, body.clone()));
    arrive(bench, &messages);
}

fn a_body_over_the_limit_is_refused(bench: &Bench) {
    let mut options: Options = bench.options();
    options.body_limit = 1_000;
    let link = bench.connect_with(&options);
    let consumer = link.consume(&queue("q", &["#"]), 9);
    let sized = |size, id| with(id, vec![b'1'; size]);
    let refused = link.try_publish(sized(1_001, "large")).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::Transport));
    link.publish(sized(1_000, "small"));
    assert_eq!(consumer.ids_until("small"), [""; 0]);
}

fn keys_and_headers_are_unicode(bench: &Bench) {
    let mut message = message("größe.日本.🚌", "ключ-1");
    message.headers.insert("größe", "日本 🚌");
    message.headers.insert("long", "ß".repeat(4_096));
    message.correlation_id = Some("причина".to_owned());
    arrive(bench, &[message]);
    let link = bench.connect();
    let exact = queue("exact", &["größe.*.🚌"]);
    link.declare([&exact]);
    assert!(link.publish(super::parts::message("größe.日本.🚌", "a")));
    assert_eq!(link.consume(&exact, 9).next().ack(), "a");
}

fn a_key_may_have_255_bytes(bench: &Bench) {
    let long = "k".repeat(127) + "." + &"k".repeat(127);
    assert_eq!(long.len(), 255);
    let link = bench.connect();
    let exact = queue("q", &[long.as_str()]);
    link.declare([&exact]);
    assert!(link.publish(message(&long, "a")));
    assert_eq!(link.consume(&exact, 9).next().message.key, long);
}
