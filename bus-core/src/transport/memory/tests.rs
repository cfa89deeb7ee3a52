//! What is this broker's own; what every transport promises is tested by the conformance suite.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::clock::Clock;
use crate::transport::{Binding, Incoming, Settlement};

type Link = Arc<dyn Transport>;

fn join(name: &str, options: &Options) -> Link {
    connect(&format!("memory:tests.{name}"), options).unwrap()
}

fn options() -> Options {
    Options::new("test", Clock::manual())
}

fn all(name: &str) -> Queue {
    Queue::listener(name, vec![Binding::new("x", "#")])
}

fn message(id: &str) -> Envelope {
    Envelope { id: id.to_owned(), ..Envelope::new("x", "a.b", id.as_bytes().to_vec()) }
}

fn ask<T: Send + 'static>(request: impl FnOnce(Resolver<T>)) -> Result<T> {
    let (resolver, completion) = Resolver::pair();
    request(resolver);
    completion.wait(Some(Instant::now() + Duration::from_secs(10))).map(Option::unwrap)
}

fn declare(link: &Link, queues: Vec<Queue>) {
    ask(|done| link.declare(Topology::new([], queues), done)).unwrap();
}

fn publish(link: &Link, id: &str) -> bool {
    ask(|done| link.publish(message(id), done)).unwrap().routed
}

/// The receiver goes last: a sink that throws its messages away gets them again and again.
fn consume(link: &Link, queue: &Queue, prefetch: u16) -> (Receiver<Incoming>, Subscription) {
    let (sender, receiver): (Sender<Incoming>, _) = channel();
    let sink: Sink = Arc::new(move |incoming| drop(sender.send(incoming)));
    let subscription = ask(|done| link.consume(queue, prefetch, sink, done)).unwrap();
    (receiver, subscription)
}

fn ids(received: &Receiver<Incoming>) -> Vec<String> {
    received
        .try_iter()
        .map(|incoming| {
            let id = incoming.message.id.clone();
            incoming.acker.settle(Settlement::Ack);
            id
        })
        .collect()
}

#[test]
fn a_url_names_its_broker() {
    for url in ["memory:", "memory", "amqp://x"] {
        let error = connect(url, &options()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
    }
    let (one, other) = (join("name", &options()), join("another", &options()));
    declare(&one, vec![all("q")]);
    assert!(publish(&join("name", &options()), "a"));
    assert!(!publish(&other, "a"));
}

#[test]
fn a_broker_lives_as_long_as_a_connection_is_kept() {
    let first = join("life", &options());
    declare(&first, vec![all("q")]);
    let kept = join("life", &options());
    drop(first);
    assert!(publish(&kept, "a"));
    ask(|done| kept.close(Instant::now(), done)).unwrap();
    let later = join("life", &options());
    assert_eq!(ask(|done| later.depth(&all("q"), done)).unwrap().messages, 1);
    drop((kept, later));
    assert!(!publish(&join("life", &options()), "b"));
}

#[test]
fn an_answer_may_ask_again_without_end() {
    fn again(link: &Link, left: Arc<AtomicUsize>) {
        let next = link.clone();
        let done = Resolver::new(move |_| {
            if left.fetch_sub(1, Ordering::Relaxed) > 1 {
                again(&next, left);
            }
        });
        link.publish(message("m"), done);
    }
    let link = join("again", &options());
    let left = Arc::new(AtomicUsize::new(100_000));
    again(&link, left.clone());
    assert_eq!(left.load(Ordering::Relaxed), 0);
}

#[test]
fn a_sink_may_settle_and_publish_at_once() {
    let link = join("at_once", &options());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (sink_link, sink_seen) = (Arc::downgrade(&link), seen.clone());
    let sink: Sink = Arc::new(move |incoming: Incoming| {
        let id: u32 = incoming.message.id.parse().unwrap();
        sink_seen.lock().unwrap().push(id);
        incoming.acker.settle(Settlement::Ack);
        if let Some(link) = sink_link.upgrade().filter(|_| id < 1_000) {
            link.publish(message(&(id + 1).to_string()), Resolver::new(|_| {}));
        }
    });
    let _subscription = ask(|done| link.consume(&all("q"), 1, sink, done)).unwrap();
    publish(&link, "1");
    assert_eq!(*seen.lock().unwrap(), (1..=1_000).collect::<Vec<_>>());
}

#[test]
fn a_sink_that_panics_gives_back_its_message_alone() {
    let link = join("panic", &options());
    let (sender, received) = channel();
    let panicked = AtomicBool::new(false);
    let sink: Sink = Arc::new(move |incoming: Incoming| {
        assert!(panicked.swap(true, Ordering::Relaxed), "once");
        sender.send(incoming.message.id.clone()).unwrap();
        incoming.acker.settle(Settlement::Ack);
    });
    let _subscription = ask(|done| link.consume(&all("q"), 9, sink, done)).unwrap();
    publish(&link, "a");
    publish(&link, "b");
    assert_eq!(received.try_iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_sink_is_called_by_one_thread_at_a_time_and_in_order() {
    let link = join("threads", &options());
    let inside = AtomicBool::new(false);
    let seen: Arc<Mutex<Vec<Vec<u32>>>> = Arc::new(Mutex::new(vec![Vec::new(); 4]));
    let all_seen = seen.clone();
    let sink: Sink = Arc::new(move |incoming: Incoming| {
        assert!(!inside.swap(true, Ordering::SeqCst));
        std::thread::yield_now();
        let (thread, number) = incoming.message.id.split_once(' ').unwrap();
        all_seen.lock().unwrap()[thread.parse::<usize>().unwrap()].push(number.parse().unwrap());
        inside.store(false, Ordering::SeqCst);
        incoming.acker.settle(Settlement::Ack);
    });
    let _subscription = ask(|done| link.consume(&all("q"), 8, sink, done)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let link = &link;
            scope.spawn(move || {
                for number in 0..500 {
                    publish(link, &format!("{thread} {number}"));
                }
            });
        }
    });
    let expected: Vec<u32> = (0..500).collect();
    assert!(seen.lock().unwrap().iter().all(|numbers| *numbers == expected));
}

#[test]
fn what_a_consumer_never_got_goes_back_uncounted_and_in_order() {
    let link = join("never_got", &options());
    let ended: Arc<Mutex<Option<Subscription>>> = Arc::default();
    let (sender, held) = channel();
    let (publisher, end) = (Arc::downgrade(&link), ended.clone());
    let sink: Sink = Arc::new(move |incoming: Incoming| {
        if incoming.message.id == "go" {
            // They are on their way to this very consumer when it ends at the first of them.
            let link = publisher.upgrade().unwrap();
            for id in ["a", "b", "c"] {
                link.publish(message(id), Resolver::new(|_| {}));
            }
            incoming.acker.settle(Settlement::Ack);
        } else {
            drop(end.lock().unwrap().take());
            sender.send(incoming).unwrap();
        }
    });
    let subscription = ask(|done| link.consume(&all("q"), 9, sink, done)).unwrap();
    *ended.lock().unwrap() = Some(subscription);
    publish(&link, "go");
    assert_eq!(held.try_recv().unwrap().message.id, "a");
    // What it had and gave back is in its place as well.
    let (received, _subscription) = consume(&link, &all("q"), 9);
    let rest: Vec<_> = received.try_iter().collect();
    let rest: Vec<_> = rest.iter().map(|m| (m.message.id.as_str(), m.message.lost)).collect();
    assert_eq!(rest, [("a", 0), ("b", 0), ("c", 0)]);
}

#[test]
fn a_retry_comes_by_the_clock_of_a_bus_that_is_gone() {
    let clock = Clock::manual();
    let kept = join("gone", &options());
    let link = join("gone", &Options::new("test", clock.clone()));
    let (received, subscription) = consume(&link, &all("q"), 9);
    publish(&link, "a");
    let hour = Duration::from_secs(3_600);
    let retry = Settlement::Retry { after: hour, attempt: 2 };
    received.try_recv().unwrap().acker.settle(retry);
    drop((subscription, link));
    let (received, _subscription) = consume(&kept, &all("q"), 9);
    clock.advance(Duration::from_secs(3_599));
    assert!(received.try_recv().is_err());
    clock.advance(Duration::from_secs(1));
    assert_eq!(received.try_recv().unwrap().message.attempt, 2);
}

#[test]
fn a_body_over_the_limit_of_its_taker_is_a_dead_letter() {
    let link = join("large", &options());
    let small = join("large", &Options { body_limit: 2, ..options() });
    let (received, _subscription) = consume(&small, &all("q"), 9);
    assert!(ask(|done| small.publish(message("abc"), done)).is_err());
    publish(&link, "abc");
    publish(&link, "ab");
    assert_eq!(ids(&received), ["ab"]);
    let dead = ask(|done| link.dead_letters(&all("q"), done)).unwrap();
    assert_eq!(dead[0].message.id, "abc");
    assert!(dead[0].reason.message().contains("3 bytes"), "{}", dead[0].reason);
}

#[test]
fn a_call_that_waits_longer_than_its_timeout_was_not_sent() {
    let clock = Clock::manual();
    let link = join("expired", &Options::new("test", clock.clone()));
    let (sender, received) = channel();
    let sink: Sink = Arc::new(move |incoming| drop(sender.send(incoming)));
    let _served = ask(|done| link.serve("c", 1, sink, done)).unwrap();
    let call = || {
        let (resolver, completion) = Resolver::pair();
        link.call("c", message("m"), Duration::from_secs(5), resolver);
        completion
    };
    let (taken, waiting) = (call(), call());
    clock.advance(Duration::from_secs(5));
    assert!(matches!(waiting.wait(None), Err(CallError::Unsent(_))));
    received.try_recv().unwrap().acker.settle(Settlement::Reply(Box::new(message("r"))));
    assert_eq!(taken.wait(None).unwrap().unwrap().id, "r");
    assert!(received.try_recv().is_err());
}

#[test]
fn closing_waits_for_settlements_and_tells_what_it_did_not_get() {
    let link = join("close", &options());
    let (received, _subscription) = consume(&link, &all("q"), 9);
    publish(&link, "a");
    let held = received.try_recv().unwrap();
    let (resolver, closed) = Resolver::pair();
    link.close(Instant::now() + Duration::from_secs(60), resolver);
    assert_eq!(link.status(), Status::Closed);
    held.acker.settle(Settlement::Ack);
    closed.wait(None).unwrap();

    let link = join("close", &options());
    let (received, _subscription) = consume(&link, &all("q"), 9);
    publish(&link, "b");
    let held = received.try_recv().unwrap();
    let error = ask(|done| link.close(Instant::now(), done)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("1 message of `q`"), "{error}");
    let link = join("close", &options());
    let (received, _subscription) = consume(&link, &all("q"), 9);
    assert_eq!(received.try_recv().unwrap().message.lost, 1);
    held.acker.settle(Settlement::Ack); // too late, and harmless
}

#[test]
fn one_name_is_one_kind_of_queue() {
    let link = join("kinds", &options());
    declare(&link, vec![all("task.c")]);
    let error = ask(|done| link.enqueue(&Queue::task("c"), message("m"), done)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.to_string().contains("`task.c`"), "{error}");
}
