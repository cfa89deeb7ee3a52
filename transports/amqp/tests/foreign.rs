//! What others put on the wire: read as far as it can be, and a dead letter otherwise; never a lost
//! connection, and never the same again and again.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use autobus_core::Reason;
use autobus_core::transport::{Envelope, Queue, Settlement, Transport as _};
use autobus_testkit::{Rabbit, Vhost};
use serde_json::json;

use support::{
    Bus, Raw, ack, bury, connect, event, listener, long, options, short, try_connect, wait,
};

const HEADERS: u16 = 0x2000;
const MESSAGE_ID: u16 = 0x0080;

fn started() -> (Vhost, Bus, Queue) {
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    let queue = listener("billing.order", "order.#");
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    (vhost, bus, queue)
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn plain_json_without_any_of_our_headers_is_taken() {
    let (vhost, bus, queue) = started();
    let consumer = bus.consume(&queue, 8);
    let kombu = json!({"content_type": "application/json", "content_encoding": "utf-8", "headers": {}, "delivery_mode": 2, "priority": 0});
    vhost.publish_with("order", "order.v1.submit", r#"{"id":7}"#, &kombu);
    let first = consumer.next();
    assert_eq!(
        (first.message.key.as_str(), first.message.body.as_slice()),
        ("order.v1.submit", &br#"{"id":7}"#[..])
    );
    assert_eq!((first.message.attempt, first.message.lost, first.message.headers.len()), (1, 0, 0));
    let id = first.message.id.clone();
    assert!(!id.is_empty(), "one without an id gets one");
    bury(first, "no");
    assert_eq!(bus.dead(&queue, 1)[0].message.id, id);

    let bytes = json!({"delivery_mode": 1, "message_id": "m", "timestamp": 1_700_000_000, "app_id": "faststream", "correlation_id": "c"});
    vhost.publish_with("order", "order.v1.submit", "{}", &bytes);
    let second = consumer.next();
    assert_eq!((second.message.content_type.as_deref(), second.message.id.as_str()), (None, "m"));
    assert_eq!(
        (second.message.source.as_str(), second.message.correlation_id.as_deref()),
        ("faststream", Some("c"))
    );
    ack(second);

    let headers = json!({"headers": {"n": 7, "yes": true, "f": 1.5, "list": [1, "two"], "cloudEvents:id": "ce", "bus-attempt": "3"}});
    vhost.publish_with("order", "order.v1.submit", "{}", &headers);
    let third = consumer.next();
    let header = |name| third.message.headers.get(name);
    assert_eq!((header("n"), header("yes"), header("f")), (Some("7"), Some("true"), Some("1.5")));
    assert_eq!(header("list"), Some(r#"[1,"two"]"#));
    assert_eq!((third.message.id.as_str(), third.message.attempt), ("ce", 3));
    ack(third);
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn absurd_headers_cost_neither_the_connection_nor_the_message() {
    let (vhost, bus, queue) = started();
    let consumer = bus.consume(&queue, 8);
    let mut raw = Raw::connect(vhost.broker().port(), vhost.name());
    // Latin-1 in a message id.
    raw.publish(b"billing.order", MESSAGE_ID, &short(b"caf\xe9"), b"1");
    let first = consumer.next();
    assert_eq!((first.message.id.as_str(), first.message.body.as_slice()), ("caf?", &b"1"[..]));
    ack(first);
    // Tables in tables, as many as fit into a frame.
    let mut value = vec![b'V'];
    while value.len() < 100_000 {
        value = [vec![b'F'], long(&[short(b""), value].concat())].concat();
    }
    raw.publish(b"billing.order", HEADERS, &long(&[short(b"deep"), value].concat()), b"2");
    // Too many, and too long.
    let many: Vec<u8> =
        (0..200).flat_map(|n| [short(format!("h{n}").as_bytes()), vec![b'V']].concat()).collect();
    raw.publish(b"billing.order", HEADERS, &long(&many), b"3");
    let wide = [short(b"wide"), vec![b'S'], long(&vec![b'w'; 80_000])].concat();
    raw.publish(b"billing.order", HEADERS, &long(&wide), b"4");
    let dead = bus.dead(&queue, 3);
    let bodies: Vec<&[u8]> = dead.iter().map(|dead| dead.message.body.as_slice()).collect();
    assert_eq!(bodies, [b"2", b"3", b"4"]);
    for dead in &dead {
        assert_eq!(dead.reason.reason(), Reason::Decode);
        assert!(
            dead.reason.message().contains("over the limit of 128 headers and 65536 bytes"),
            "{dead:?}"
        );
    }
    bus.publish(event(5)).unwrap();
    ack(consumer.next());
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_body_over_the_limit_is_a_dead_letter_with_its_size() {
    let vhost = Rabbit::shared().vhost();
    let mut options = options();
    options.body_limit = 1_000;
    let bus = Bus(try_connect(&vhost.url(), &options).unwrap());
    let queue = listener("billing.order", "order.#");
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    let consumer = bus.consume(&queue, 8);
    vhost.publish("order", "order.v1.submit", &"x".repeat(1_001));
    let dead = bus.dead(&queue, 1);
    assert_eq!(dead[0].reason.message(), "body of 1001 bytes is over the limit of 1000 bytes");
    assert_eq!((dead[0].reason.reason(), dead[0].message.body.len()), (Reason::Decode, 1_001));
    let mut message = event(1);
    message.body = vec![b'x'; 1_001];
    let error = bus.publish(message).unwrap_err();
    assert_eq!(error.to_string(), "body of 1001 bytes is over the limit of 1000 bytes");
    consumer.nothing();
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_foreign_reply_to_is_answered_or_dropped_and_the_server_goes_on() {
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    let calls = bus.serve("add");
    vhost.declare_queue("celery.answers", &json!({}));
    let answer = || Settlement::Reply(Box::new(Envelope::new("", "add", b"3".to_vec())));
    for reply_to in
        ["celery.answers", "no such queue", "amq.rabbitmq.reply-to.nonsense", &"x".repeat(255)]
    {
        let properties = json!({"reply_to": reply_to, "correlation_id": "task-1"});
        vhost.publish_with("", "command.add", "[1,2]", &properties);
        let call = calls.next();
        assert_eq!(call.message.key, "add");
        call.acker.settle(answer());
    }
    // Nobody waits for this one.
    vhost.publish("", "command.add", "[1,2]");
    calls.next().acker.settle(answer());
    let ours = {
        let (resolver, ours) = autobus_core::transport::Resolver::pair();
        bus.0.call("add", Envelope::new("", "add", b"[]".to_vec()), support::PATIENCE, resolver);
        ours
    };
    calls.next().acker.settle(answer());
    assert_eq!(ours.wait(None).unwrap().unwrap().body, b"3");
    calls.nothing();
    let answers = vhost.get("celery.answers", 9);
    assert_eq!(answers.len(), 1);
    assert_eq!(
        (answers[0].body.as_str(), &answers[0].properties["correlation_id"]),
        ("3", &json!("task-1"))
    );
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn tools_see_who_sent_what_and_when() {
    let (vhost, bus, queue) = started();
    let mut message = event(1);
    message.source = "shop".to_owned();
    message.time = Some(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000));
    message.correlation_id = Some("chain".to_owned());
    message.causation_id = Some("cause".to_owned());
    message.traceparent =
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    bus.publish(message.clone()).unwrap();
    let mut seen = vhost.get("billing.order", 1)[0].properties.clone();
    // A quorum queue's own.
    seen["headers"].as_object_mut().unwrap().remove("x-delivery-count");
    let expected = json!({
        "content_type": "application/json", "correlation_id": "chain", "delivery_mode": 2,
        "headers": {
            "cloudEvents_id": "id-1", "cloudEvents_source": "shop", "cloudEvents_specversion": "1.0",
            "cloudEvents_time": "2023-11-14T22:13:20.000000000Z", "cloudEvents_type": "order.v1.submit",
            "bus-causation": "cause", "traceparent": message.traceparent,
        },
    });
    assert_eq!(seen, expected);
    // And so do we.
    bus.publish(message.clone()).unwrap();
    let consumer = bus.consume(&queue, 8);
    let incoming = consumer.next();
    assert_eq!(*incoming.message, message);
    ack(incoming);
    assert!(!wait(|done| bus.0.replay(&queue, "nothing", done)).unwrap());
    bus.close();
}
