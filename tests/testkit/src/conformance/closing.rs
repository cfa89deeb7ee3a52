//! How a connection ends, and a consumer before it.

use std::time::{Duration, Instant};

use autobus_core::transport::{CallError, Queue, Resolver, Sink, Status, Topology};
use autobus_core::{Error, ErrorKind};

use super::link::answer;
use super::parts::{message, queue, text};
use super::{Bench, Case, Need};
use crate::cases;

pub(super) const CASES: &[Case] = cases![
    a_connection_is_connected_until_it_is_closed,
    what_is_skipped_is_what_the_transport_says_it_cannot_do,
    after_closing_every_request_answers_closed,
    closing_again_is_harmless,
    what_was_published_before_closing_is_there,
    what_closing_leaves_unsettled_goes_back,
    closing_while_a_consumer_is_blocked_ends_by_its_deadline,
    a_consumer_that_has_ended_takes_no_more_and_settles_what_it_has,
    a_server_that_has_ended_answers_what_it_has,
];

fn a_connection_is_connected_until_it_is_closed(bench: &Bench) {
    let link = bench.connect();
    assert_eq!(link.status(), Status::Connected);
    link.close().expect("nothing is left");
    assert_eq!(link.status(), Status::Closed);
}

fn what_is_skipped_is_what_the_transport_says_it_cannot_do(bench: &Bench) {
    let link = bench.connect();
    let can = link.transport().capabilities();
    assert_eq!(can.foreign, bench.meets(Need::Foreign), "foreign");
    assert_eq!(can.gives_back_in_place, bench.meets(Need::GivesBackInPlace), "giving back");
    link.close().expect("nothing is left");
}

fn after_closing_every_request_answers_closed(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    link.declare([&queue]);
    link.close().expect("nothing is left");
    let sink: Sink = std::sync::Arc::new(|_| {});
    let closed = |what: &str, answer: Result<(), Error>| {
        let kind = answer.err().map(|error| error.kind());
        assert_eq!(kind, Some(ErrorKind::Closed), "{what}");
    };
    let topology = Topology::new([], vec![queue.clone()]);
    closed("declare", link.ask(|transport, done| transport.declare(topology, done)));
    closed("publish", link.try_publish(message("x", "a")).map(drop));
    let task = Queue::task("clean");
    let enqueued = link.ask(|transport, done| transport.enqueue(&task, text("a"), done));
    closed("enqueue", enqueued.map(drop));
    let taken = sink.clone();
    let consumed = link.ask(|transport, done| transport.consume(&queue, 1, taken, done));
    closed("consume", consumed.map(drop));
    closed("serve", link.ask(|transport, done| transport.serve("c", 1, sink, done)).map(drop));
    let listed = link.ask(|transport, done| transport.dead_letters(&queue, done));
    closed("dead_letters", listed.map(drop));
    closed("replay", link.ask(|transport, done| transport.replay(&queue, "a", done)).map(drop));
    closed("discard", link.ask(|transport, done| transport.discard(&queue, "a", done)).map(drop));
    closed("depth", link.ask(|transport, done| transport.depth(&queue, done)).map(drop));
    let call = answer(link.call("c", text("a"), Duration::from_secs(1)));
    assert!(matches!(call, Err(CallError::Unsent(_))), "{call:?}");
}

fn closing_again_is_harmless(bench: &Bench) {
    let link = bench.connect();
    let consumer = link.consume(&queue("q", &["#"]), 1);
    link.publish(message("x", "a"));
    let held = consumer.next();
    // All of them wait for what is held.
    let deadline = Instant::now() + Duration::from_secs(10);
    let closing: Vec<_> = (0..3)
        .map(|_| {
            let (resolver, completion) = Resolver::<(), Error>::pair();
            link.transport().close(deadline, resolver);
            completion
        })
        .collect();
    held.ack();
    for closed in closing {
        let closed = closed.wait(Some(deadline + Duration::from_secs(10)));
        assert_eq!(closed.expect("nothing is left"), Some(()));
    }
    link.close().expect("nothing is left");
}

fn what_was_published_before_closing_is_there(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    link.declare([&queue]);
    let mut sent = Vec::new();
    for number in 0..200 {
        let (resolver, completion) = Resolver::<_, Error>::pair();
        link.transport().publish(message("x", &number.to_string()), resolver);
        sent.push(completion);
    }
    link.close().expect("nothing is left");
    for completion in sent {
        completion.wait(None).expect("it is confirmed");
    }
    let link = bench.connect();
    link.publish(message("x", "end"));
    let expected: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    assert_eq!(link.consume(&queue, 64).ids_until("end"), expected);
}

fn what_closing_leaves_unsettled_goes_back(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let consumer = link.consume(&queue, 9);
    for id in ["a", "b", "c"] {
        link.publish(message("x", id));
    }
    let mut held = consumer.take(3);
    held.remove(1).ack();
    timely(link.close_within(Duration::from_millis(300)));
    let link = bench.connect();
    let second = link.consume(&queue, 9);
    let mut again = [second.next().ack(), second.next().ack()];
    again.sort();
    assert_eq!(again, ["a", "c"]);
}

/// Closing may have waited for what is unsettled, or not.
#[track_caller]
fn timely(closed: Result<(), Error>) {
    let kind = closed.err().map(|error| error.kind());
    assert!(matches!(kind, None | Some(ErrorKind::Timeout)), "{kind:?}");
}

fn closing_while_a_consumer_is_blocked_ends_by_its_deadline(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    // It has as many as it may have, and settles none of them.
    let consumer = link.consume(&queue, 1);
    for id in ["a", "b"] {
        link.publish(message("x", id));
    }
    let held = consumer.next();
    let start = Instant::now();
    timely(link.close_within(Duration::from_millis(200)));
    // Far later than the deadline, far earlier than never.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    drop(held);
    let link = bench.connect();
    let second = link.consume(&queue, 9);
    let mut ids = [second.next().ack(), second.next().ack()];
    ids.sort();
    assert_eq!(ids, ["a", "b"]);
}

fn a_consumer_that_has_ended_takes_no_more_and_settles_what_it_has(bench: &Bench) {
    let link = bench.connect();
    let queue = queue("q", &["#"]);
    let mut consumer = link.consume(&queue, 9);
    link.publish(message("x", "a"));
    let held = consumer.next();
    consumer.end();
    held.ack();
    // A broker may count a consumer for as long as it has something to settle.
    bench.until("the consumer to be gone", || (link.depth(&queue).consumers == 0).then_some(()));
    link.publish(message("x", "b"));
    let other = bench.connect();
    let second = other.consume(&queue, 9);
    other.publish(message("x", "end"));
    assert_eq!(second.ids_until("end"), ["b"]);
    assert!(consumer.try_next().is_none());
    link.close().expect("nothing is left");
}

fn a_server_that_has_ended_answers_what_it_has(bench: &Bench) {
    let (link, caller) = (bench.connect(), bench.connect());
    let mut server = link.serve("greet", 9);
    let call = caller.call("greet", text("hello"), Duration::from_secs(60));
    let held = server.next();
    server.end();
    held.reply(text("welcome"));
    assert_eq!(answer(call).expect("it is answered").body, text("welcome").body);
}
