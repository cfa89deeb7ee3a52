//! Messages of programs that know nothing of Autobus.

use autobus_core::transport::{Envelope, Queue};
use serde_json::{Value, json};

use super::harness::Foreign;
use super::parts::{EXCHANGE, message, queue};
use super::{Bench, Case, Consumer, Link};
use crate::cases;

pub(super) const CASES: &[Case] = cases![
    a_message_without_any_header_arrives: Foreign,
    what_a_message_says_of_itself_arrives: Foreign,
    absurd_headers_break_nothing: Foreign,
    a_foreign_body_over_the_limit_is_a_dead_letter: Foreign,
    dead_letters_of_messages_without_an_id_are_told_apart: Foreign,
];

fn start(bench: &Bench) -> (Link, Queue, Consumer) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 9);
    (link, queue, consumer)
}

fn a_message_without_any_header_arrives(bench: &Bench) {
    let (_link, _queue, consumer) = start(bench);
    bench.publish(&Foreign::new(EXCHANGE, "x.y", r#"{"id":7}"#));
    let held = consumer.next();
    let mut expected = Envelope::new(EXCHANGE, "x.y", br#"{"id":7}"#.to_vec());
    held.id().clone_into(&mut expected.id);
    assert_eq!(*held.message, expected);
    held.ack();
}

fn what_a_message_says_of_itself_arrives(bench: &Bench) {
    let (_link, _queue, consumer) = start(bench);
    let properties = json!({
        "content_type": "text/plain",
        "message_id": "m-1",
        "correlation_id": "c-1",
        "headers": { "tenant": "acme", "cloudEvents_specversion": "7.3" },
    });
    bench.publish(&Foreign { properties, ..Foreign::new(EXCHANGE, "x", "hello") });
    let held = consumer.next();
    let got = &held.message;
    assert_eq!((got.content_type.as_deref(), got.id.as_str()), (Some("text/plain"), "m-1"));
    assert_eq!(got.correlation_id.as_deref(), Some("c-1"));
    assert_eq!(got.spec_version, "7.3");
    assert_eq!((got.headers.get("tenant"), &got.body[..]), (Some("acme"), &b"hello"[..]));
    held.ack();
}

fn absurd_headers_break_nothing(bench: &Bench) {
    let (link, queue, consumer) = start(bench);
    let absurd: [Value; 6] = [
        json!({ "headers": { "deep": { "er": { "and": ["deeper", { "x": [1, true, 2.5] }] } } } }),
        json!({ "headers": { "cloudEvents_id": 7, "cloudEvents_time": "yesterday" } }),
        json!({ "headers": { "x-death": "not a table", "x-delivery-count": "many" } }),
        json!({ "headers": { "bus-attempt": -5, "bus-lost": "x", "attempt": 4_000_000_000_u64 } }),
        json!({ "headers": { "long": "x".repeat(50_000), "": "" } }),
        json!({ "content_type": "", "reply_to": "nobody", "expiration": "600000", "priority": 9 }),
    ];
    for (number, properties) in absurd.into_iter().enumerate() {
        let body = format!("{number}");
        bench.publish(&Foreign { properties, ..Foreign::new(EXCHANGE, "x", body) });
    }
    link.publish(message("x", "end"));
    let mut got = 0;
    loop {
        let held = consumer.next();
        if held.id() == "end" {
            held.ack();
            break;
        }
        assert!((1..1_000).contains(&held.message.attempt), "{:?}", held.message);
        held.ack();
        got += 1;
    }
    bench.until("all six to arrive or to be dead", || {
        (got + link.dead_letters(&queue).len() == 6).then_some(())
    });
}

fn a_foreign_body_over_the_limit_is_a_dead_letter(bench: &Bench) {
    let mut options = bench.options();
    options.body_limit = 1_000;
    let link = bench.connect_with(&options);
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 9);
    let properties = json!({ "message_id": "huge" });
    let huge = Foreign::new(EXCHANGE, "x", "1".repeat(100_000));
    bench.publish(&Foreign { properties, ..huge });
    link.publish(message("x", "end"));
    assert_eq!(consumer.ids_until("end"), [""; 0]);
    let dead = bench.until("a dead letter", || link.dead_letters(&queue).pop());
    assert_eq!(dead.message.id, "huge");
}

fn dead_letters_of_messages_without_an_id_are_told_apart(bench: &Bench) {
    use autobus_core::transport::Settlement;
    use autobus_core::{Failure, Reason};

    let (link, queue, consumer) = start(bench);
    for body in ["1", "2"] {
        bench.publish(&Foreign::new(EXCHANGE, "x", body));
        let reason = Failure::of(Reason::Decode, "no");
        consumer.next().settle(Settlement::Dead { reason, attempts: 1 });
    }
    let dead = bench.until("two dead letters", || {
        Some(link.dead_letters(&queue)).filter(|dead| dead.len() == 2)
    });
    let second = dead.iter().find(|dead| dead.message.body == b"2").expect("it is dead");
    assert!(link.replay(&queue, &second.message.id));
    let again = consumer.next();
    assert_eq!(again.message.body, b"2");
    again.ack();
}
