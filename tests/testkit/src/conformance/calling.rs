//! Commands: who runs them, and what the caller hears.

use std::sync::Arc;
use std::time::Duration;

use autobus_core::transport::{CallError, Envelope, Incoming, Settlement, Sink, Subscription};

use super::link::answer;
use super::parts::text;
use super::{Bench, Case, Link};
use crate::cases;

pub(super) const CASES: &[Case] = cases![
    a_call_is_answered_whole,
    servers_compete,
    answers_find_their_calls,
    a_command_that_nobody_serves_is_told_at_once,
    a_command_is_gone_with_its_last_server,
    a_call_that_waits_for_longer_than_its_timeout_never_runs,
    a_call_whose_server_dies_is_interrupted_and_never_runs_again,
    a_call_that_its_server_drops_is_interrupted,
    a_call_that_its_server_passes_on_runs_at_another_once_that_one_has_ended,
    an_answer_after_the_end_of_its_caller_is_harmless,
];

const LONG: Duration = Duration::from_secs(60);

fn a_call_is_answered_whole(bench: &Bench) {
    let (link, other) = (bench.connect(), bench.connect());
    let server = link.serve("shop.greet", 9);
    let mut sent = text("hello");
    "shop.greet".clone_into(&mut sent.key);
    sent.headers.insert("tenant", "größe");
    sent.correlation_id = Some("first".to_owned());
    // Also of the connection that serves it.
    for caller in [&other, &link] {
        let call = caller.call("shop.greet", sent.clone(), LONG);
        let held = server.next();
        let got = &held.message;
        assert_eq!((&got.body, &got.headers, &got.id), (&sent.body, &sent.headers, &sent.id));
        assert_eq!(got.correlation_id, sent.correlation_id);
        let mut reply = Envelope::new("", "", b"\"welcome\"".to_vec());
        reply.content_type = Some(Envelope::JSON.to_owned());
        reply.headers.insert("mood", "日本");
        held.reply(reply.clone());
        let answered = answer(call).expect("it is answered");
        assert_eq!((answered.body, answered.headers), (reply.body, reply.headers));
        assert_eq!(answered.content_type, reply.content_type);
    }
}

fn servers_compete(bench: &Bench) {
    let links = [bench.connect(), bench.connect(), bench.connect()];
    let servers = [links[0].serve("greet", 1), links[1].serve("greet", 1)];
    let calls: Vec<_> = (0..2).map(|_| links[2].call("greet", text("hello"), LONG)).collect();
    // One each, since each has room for one.
    for (name, server) in ["first", "second"].into_iter().zip(&servers) {
        let held = server.next();
        assert!(server.try_next().is_none());
        held.reply(text(name));
    }
    let bodies = calls.into_iter().map(|call| answer(call).expect("it is answered").body);
    let mut bodies: Vec<_> = bodies.collect();
    bodies.sort();
    assert_eq!(bodies, [text("first").body, text("second").body]);
}

fn answers_find_their_calls(bench: &Bench) {
    let (link, other) = (bench.connect(), bench.connect());
    let server = link.serve("echo", 64);
    let calls: Vec<_> = (0..50)
        .map(|number: u32| {
            (number.to_string(), other.call("echo", text(&number.to_string()), LONG))
        })
        .collect();
    let mut held = server.take(50);
    held.reverse();
    for held in held {
        let body = held.message.body.clone();
        held.reply(Envelope::new("", "", body));
    }
    for (number, call) in calls {
        let answered = answer(call).expect("it is answered");
        assert_eq!(answered.body, format!("\"{number}\"").into_bytes());
    }
}

fn a_command_that_nobody_serves_is_told_at_once(bench: &Bench) {
    let link = bench.connect();
    let _other = link.serve("greet", 9);
    let call = link.call("greet.nobody", text("hello"), LONG);
    assert_eq!(answer(call), Err(CallError::Unserved));
}

/// Serves a command, and answers every call of it.
#[track_caller]
pub(super) fn answering(link: &Link, command: &str) -> Subscription {
    let sink: Sink = Arc::new(|incoming: Incoming| {
        incoming.acker.settle(Settlement::Reply(Box::new(text("welcome"))));
    });
    link.ask(|transport, done| transport.serve(command, 9, sink, done))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn a_command_is_gone_with_its_last_server(bench: &Bench) {
    const SECOND: Duration = Duration::from_secs(1);
    let (link, other, caller) = (bench.connect(), bench.connect(), bench.connect());
    let (first, second) = (answering(&link, "greet"), answering(&other, "greet"));
    drop(first);
    let greet = || answer(caller.call("greet", text("hello"), SECOND));
    // The first may have a call of the time before its end.
    bench.until("the other one to answer", || greet().ok());
    drop(second);
    bench.until("the command to be gone", || (greet() == Err(CallError::Unserved)).then_some(()));
}

fn a_call_that_waits_for_longer_than_its_timeout_never_runs(bench: &Bench) {
    const SHORT: Duration = Duration::from_millis(300);
    let (link, other) = (bench.connect(), bench.connect());
    let server = link.serve("greet", 1);
    let first = other.call("greet", text("first"), LONG);
    let held = server.next();
    let second = other.call("greet", text("second"), SHORT);
    bench.pass(SHORT * 2);
    held.reply(text("welcome"));
    answer(first).expect("it is answered");
    let third = other.call("greet", text("third"), LONG);
    let held = server.next();
    assert_eq!(held.message.body, text("third").body);
    held.reply(text("welcome"));
    answer(third).expect("it is answered");
    assert!(answer(second).is_err());
}

fn a_call_whose_server_dies_is_interrupted_and_never_runs_again(bench: &Bench) {
    let (link, other, caller) = (bench.connect(), bench.connect(), bench.connect());
    let first = link.serve("greet", 1);
    let call = caller.call("greet", text("killer"), LONG);
    let held = first.next();
    let second = other.serve("greet", 1);
    bench.lose(link);
    assert_eq!(answer(call), Err(CallError::Interrupted));
    let again = caller.call("greet", text("another"), LONG);
    let next = second.next();
    assert_eq!(next.message.body, text("another").body);
    next.reply(text("welcome"));
    answer(again).expect("it is answered");
    // Too late, and harmless.
    held.reply(text("welcome"));
}

fn a_call_that_its_server_drops_is_interrupted(bench: &Bench) {
    let (link, other) = (bench.connect(), bench.connect());
    let server = link.serve("greet", 1);
    let call = other.call("greet", text("dropped"), LONG);
    drop(server.next());
    assert_eq!(answer(call), Err(CallError::Interrupted));
    let again = other.call("greet", text("another"), LONG);
    let next = server.next();
    assert_eq!(next.message.body, text("another").body);
    next.reply(text("welcome"));
    answer(again).expect("it is answered");
}

fn a_call_that_its_server_passes_on_runs_at_another_once_that_one_has_ended(bench: &Bench) {
    let (link, other, caller) = (bench.connect(), bench.connect(), bench.connect());
    let mut first = link.serve("greet", 9);
    let calls = ["one", "two"].map(|call| caller.call("greet", text(call), LONG));
    let (one, two) = (first.next(), first.next());
    let mut second = other.serve("greet", 9);
    one.settle(Settlement::PassOn);
    // Before its end or after it.
    first.end();
    two.settle(Settlement::PassOn);
    let mut bodies = Vec::new();
    for held in second.take(2) {
        bodies.push(held.message.body.clone());
        held.reply(text("welcome"));
    }
    bodies.sort();
    assert_eq!(bodies, [text("one").body, text("two").body]);
    for call in calls {
        answer(call).expect("it is answered");
    }
    assert!(first.try_next().is_none(), "it came to the same one again");
    let last = caller.call("greet", text("last"), LONG);
    let held = second.next();
    held.settle(Settlement::PassOn);
    second.end();
    assert_eq!(answer(last), Err(CallError::Unserved));
}

fn an_answer_after_the_end_of_its_caller_is_harmless(bench: &Bench) {
    let (link, other) = (bench.connect(), bench.connect());
    let server = link.serve("greet", 1);
    drop(other.call("greet", text("hello"), LONG));
    let held = server.next();
    bench.lose(other);
    held.reply(text("welcome"));
    let caller = bench.connect();
    let call = caller.call("greet", text("another"), LONG);
    let next = server.next();
    assert_eq!(next.message.body, text("another").body);
    next.reply(text("welcome"));
    answer(call).expect("it is answered");
}
