//! What is published arrives, and what is settled is gone, or where it belongs.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use autobus_core::Reason;
use autobus_core::transport::{Incoming, Settlement, Subscription};
use autobus_testkit::{Rabbit, poll_until};
use serde_json::json;

use support::*;

const ALL: &str = "order.*.submit";

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_is_published_arrives_in_order_and_is_gone_after_its_acknowledgement() {
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    let queue = listener("billing.order", ALL);
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    for n in 0..500 {
        assert!(bus.publish(event(n)).unwrap().routed);
    }
    let consumer = bus.consume(&queue, 64);
    for n in 0..500 {
        let incoming = consumer.next();
        assert_eq!(incoming.message.id, format!("id-{n}"));
        assert_eq!((incoming.message.attempt, incoming.message.lost), (1, 0));
        ack(incoming);
    }
    bus.close();
    // The broker's own count lags behind.
    let empty = |queue: &str| (vhost.depth(queue)?.ready == 0).then_some(());
    poll_until("an empty queue", || empty("billing.order"));
    assert_eq!(vhost.depth("billing.order.suspect").unwrap().ready, 0);
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_retry_comes_back_to_its_own_queue_alone_and_not_too_early() {
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    let (one, other) = (listener("one", ALL), listener("other", ALL));
    bus.declare(&[one.clone(), other.clone()]).unwrap();
    let (one, other) = (bus.consume(&one, 8), bus.consume(&other, 8));
    let mut message = event(7);
    message.headers.insert("tenant", "acme");
    bus.publish(message).unwrap();
    ack(other.next());
    let first = one.next();
    let began = Instant::now();
    retry(first, Duration::from_millis(60));
    let second = one.next();
    assert!(began.elapsed() >= Duration::from_millis(60));
    assert_eq!((second.message.attempt, second.message.lost), (2, 0));
    assert_eq!(
        (second.message.exchange.as_str(), second.message.key.as_str()),
        ("order", "order.v1.submit")
    );
    assert_eq!(second.message.headers.get("tenant"), Some("acme"));
    assert_eq!(second.message.headers.len(), 1, "{:?}", second.message.headers);
    ack(second);
    other.nothing();
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_dead_letter_is_listed_with_its_reason_and_replayed_as_a_first_attempt() {
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    let queue = listener("billing.order", ALL);
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    let consumer = bus.consume(&queue, 8);
    for n in 0..3 {
        bus.publish(event(n)).unwrap();
        bury(consumer.next(), "no such account");
    }
    // Looking at them changes nothing, however often.
    for _ in 0..3 {
        let dead = bus.dead(&queue, 3);
        let ids: Vec<&str> = dead.iter().map(|dead| dead.message.id.as_str()).collect();
        assert_eq!(ids, ["id-0", "id-1", "id-2"]);
        assert_eq!(dead[0].reason.reason(), Reason::Error);
        assert_eq!(dead[0].reason.message(), "no such account");
        assert_eq!(dead[0].message.key, "order.v1.submit");
        assert!(dead[0].time.elapsed().unwrap() < PATIENCE);
    }
    assert!(wait(|done| bus_replay(&bus, &queue, "id-1", done)).unwrap());
    let again = consumer.next();
    assert_eq!(
        (again.message.id.as_str(), again.message.attempt, again.message.lost),
        ("id-1", 1, 0)
    );
    assert_eq!(
        (again.message.exchange.as_str(), again.message.key.as_str()),
        ("order", "order.v1.submit")
    );
    ack(again);
    assert!(wait(|done| bus_discard(&bus, &queue, "id-0", done)).unwrap());
    assert!(!wait(|done| bus_discard(&bus, &queue, "id-9", done)).unwrap());
    let left = bus.dead_letters(&queue);
    assert_eq!(left.iter().map(|dead| dead.message.id.as_str()).collect::<Vec<_>>(), ["id-2"]);
    bus.close();
}

use autobus_core::transport::{Queue, Resolver, Transport as _};

fn bus_replay(bus: &Bus, queue: &Queue, id: &str, done: Resolver<bool>) {
    bus.0.replay(queue, id, done);
}

fn bus_discard(bus: &Bus, queue: &Queue, id: &str, done: Resolver<bool>) {
    bus.0.discard(queue, id, done);
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_is_given_back_comes_again_uncounted() {
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    let queue = listener("billing.order", ALL);
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    let consumer = bus.consume(&queue, 8);
    bus.publish(event(1)).unwrap();
    consumer.next().acker.settle(Settlement::GiveBack);
    drop(consumer.next());
    let third = consumer.next();
    assert_eq!((third.message.attempt, third.message.lost), (1, 0));
    assert_eq!(third.message.exchange, "order");
    ack(third);
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_command_is_answered() {
    let vhost = Rabbit::shared().vhost();
    let (server, caller) = (connect(&vhost.url()), connect(&vhost.url()));
    let calls = server.serve("add");
    let asked = std::thread::spawn(move || {
        let mut call = autobus_core::transport::Envelope::new("", "add", b"[1,2]".to_vec());
        call.correlation_id = Some("chain".to_owned());
        let answer = wait(|done| caller.0.call("add", call, PATIENCE, done));
        (answer, caller)
    });
    let incoming = calls.next();
    assert_eq!((incoming.message.key.as_str(), incoming.message.exchange.as_str()), ("add", ""));
    assert_eq!(incoming.message.correlation_id.as_deref(), Some("chain"));
    let reply = autobus_core::transport::Envelope::new("", "add", b"3".to_vec());
    incoming.acker.settle(Settlement::Reply(Box::new(reply)));
    let (answer, caller) = asked.join().unwrap();
    assert_eq!(answer.unwrap().body, b"3");
    caller.close();
    server.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_command_can_be_served_while_its_last_server_goes_and_its_queue_with_it() {
    let vhost = Rabbit::shared().vhost();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let server = connect(&vhost.url());
                    drop(server.serve("add"));
                    server.close();
                }
            });
        }
    });
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn closing_waits_until_the_last_acknowledgement_is_written() {
    let vhost = Rabbit::shared().vhost();
    let queue = listener("billing.order", ALL);
    for round in 0..10 {
        let bus = connect(&vhost.url());
        // So few that they wait for others to be acknowledged with.
        let consumer = bus.consume(&queue, 64);
        for n in 0..3 {
            bus.publish(event(round * 3 + n)).unwrap();
        }
        for n in 0..3 {
            let incoming = consumer.next();
            let (id, lost) = (incoming.message.id.clone(), incoming.message.lost);
            assert_eq!((id, lost), (format!("id-{}", round * 3 + n), 0), "it comes again");
            ack(incoming);
        }
        bus.close();
    }
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn the_arguments_of_queues_follow_from_the_url_and_from_nothing_else() {
    let quorum = json!({"x-queue-type": "quorum", "x-delivery-limit": i32::MAX});
    let quorum_rung = json!({
        "x-queue-type": "quorum", "x-delivery-limit": i32::MAX, "x-message-ttl": 1_000,
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "billing.order",
        "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
    });
    let classic = json!({
        "x-queue-type": "classic", "x-queue-version": 2, "x-queue-mode": "lazy",
    });
    let classic_rung = json!({
        "x-queue-type": "classic", "x-queue-version": 2, "x-queue-mode": "lazy",
        "x-message-ttl": 1_000,
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "billing.order",
    });
    for (parameter, kind, arguments, rung) in [
        ("", "quorum", quorum, quorum_rung),
        ("?queue_type=classic", "classic", classic, classic_rung),
    ] {
        let vhost = Rabbit::shared().vhost();
        let url = format!("{}{parameter}", vhost.url());
        let queue = listener("billing.order", ALL);
        let (one, other) = (connect(&url), connect(&url));
        one.declare(std::slice::from_ref(&queue)).unwrap();
        // However much each wants to be sent ahead.
        drop(other.consume(&queue, 500));
        let consumer = one.consume(&queue, 1);
        one.publish(event(1)).unwrap();
        retry(consumer.next(), Duration::from_millis(900));
        let rung_name = "billing.order.retry.1s";
        poll_until("the rung", || vhost.queue(rung_name));
        for (name, arguments) in [
            ("billing.order", &arguments),
            ("billing.order.suspect", &arguments),
            ("billing.order.dead", &arguments),
            (rung_name, &rung),
        ] {
            let found = vhost.queue(name).unwrap();
            assert_eq!((found.kind.as_str(), &found.arguments), (kind, arguments), "{name}");
            assert!(found.durable && !found.auto_delete && !found.exclusive, "{name}");
        }
        one.close();
        other.close();
    }
}

/// Of a quorum queue, RabbitMQ sends more after it has confirmed the end of a consumer, which nobody
/// sees: that is counted.
#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_is_on_its_way_to_a_consumer_that_ends_is_not_counted_as_lost() {
    on_its_way(|bus, _| Bus(bus.0.clone()), |_, consumer| drop(consumer));
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_is_on_its_way_to_a_transport_that_closes_is_not_counted_as_lost() {
    let end = |bus: Bus, consumer| {
        bus.close();
        drop(consumer);
    };
    on_its_way(|_, url| connect(url), end);
}

/// Has consumers that `end` in the middle of what they are sent, of which they hold nothing; each is of the
/// transport that `of` gives.
fn on_its_way(of: impl Fn(&Bus, &str) -> Bus, end: impl Fn(Bus, Subscription)) {
    const MESSAGES: usize = 1_000;
    let vhost = Rabbit::shared().vhost();
    let url = format!("{}?queue_type=classic", vhost.url());
    let bus = connect(&url);
    let queue = listener("billing.order", ALL);
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    let (sender, confirms) = channel();
    for n in 0..MESSAGES {
        let sender = sender.clone();
        bus.0.publish(event(n), Resolver::new(move |confirm| drop(sender.send(confirm))));
    }
    for _ in 0..MESSAGES {
        confirms.recv_timeout(PATIENCE).unwrap().unwrap();
    }
    let (sender, received) = channel();
    let mut ids = BTreeSet::new();
    while ids.len() < MESSAGES {
        let sender = sender.clone();
        let sink = Arc::new(move |incoming: Incoming| {
            let message = incoming.message.clone();
            ack(incoming);
            drop(sender.send(message));
        });
        let ends = of(&bus, &url);
        let consumer = wait(|done| ends.0.consume(&queue, 64, sink, done)).unwrap();
        for _ in 0..20.min(MESSAGES - ids.len()) {
            let message = received.recv_timeout(PATIENCE).expect("a delivery");
            assert_eq!((message.attempt, message.lost), (1, 0), "{}", message.id);
            ids.insert(message.id.clone());
        }
        end(ends, consumer);
    }
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn closing_waits_for_confirms_and_for_what_is_held() {
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    let queue = listener("billing.order", ALL);
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    let consumer = bus.consume(&queue, 1);
    bus.publish(event(0)).unwrap();
    let held = consumer.next();
    let (sender, confirms) = std::sync::mpsc::channel();
    for n in 1..=3_000 {
        let sender = sender.clone();
        bus.0.publish(event(n), Resolver::new(move |confirm| drop(sender.send(confirm))));
    }
    let (resolver, closed) = Resolver::pair();
    bus.0.close(Instant::now() + PATIENCE, resolver);
    for _ in 0..3_000 {
        assert!(confirms.recv_timeout(PATIENCE).unwrap().unwrap().routed);
    }
    ack(held);
    closed.wait(Some(Instant::now() + PATIENCE)).unwrap().expect("closed");
    let left = || vhost.depth("billing.order").filter(|depth| depth.ready == 3_000);
    poll_until("all but the one that was acknowledged", left);
}
