//! Events, and who hears them.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

use autobus_testkit::cases;
use autobus_testkit::conformance::{Bench, Case};
use bus::{Context, ErrorKind, Event as _};

use crate::process::Process;
use crate::till::{self, LookedAt, News, Paid};

pub(crate) const CASES: &[Case] = cases![
    an_event_reaches_a_listener_of_another_process,
    an_event_reaches_a_listener_of_its_own_process,
    each_event_is_handled_by_one_replica,
    a_broadcast_is_heard_in_every_process,
    what_was_fired_before_a_services_first_start_waits_for_it,
    a_local_event_stays_in_its_process,
    an_event_that_nobody_hears_is_accepted_as_unrouted,
    nobody_learns_outcomes_over_a_broker,
    a_chain_of_causes_keeps_its_ids_across_processes,
    a_closure_hears_events_of_other_processes,
];

fn an_event_reaches_a_listener_of_another_process(bench: &Bench) {
    let shop = Process::start(bench, &["till"]);
    let books = Process::start(bench, &["books"]);
    let accepted = shop.fire(Paid { id: 7 }).wait().expect("the broker takes it");
    assert!(accepted.routed);
    assert!(books.next(bench).starts_with("paid 7 attempt 1 "));
    shop.stop();
    books.stop();
}

fn an_event_reaches_a_listener_of_its_own_process(bench: &Bench) {
    let books = Process::start(bench, &["till", "books"]);
    books.fire(Paid { id: 7 }).wait().expect("the broker takes it");
    assert!(books.next(bench).starts_with("paid 7 attempt 1 "));
    books.stop();
}

fn each_event_is_handled_by_one_replica(bench: &Bench) {
    const EVENTS: usize = 50;
    let shop = Process::start(bench, &["till"]);
    // Few are sent ahead, so that both get some.
    let replica = || Process::with(bench, &["books"], |builder| builder.prefetch(2));
    let replicas = [replica(), replica()];
    for id in 100..100 + EVENTS as u64 {
        shop.fire(Paid { id }).wait().expect("the broker takes it");
    }
    let mut told = [Vec::new(), Vec::new()];
    bench.until("all of them", || {
        for (told, replica) in told.iter_mut().zip(&replicas) {
            told.extend(replica.rest());
        }
        (told.iter().map(Vec::len).sum::<usize>() >= EVENTS).then_some(())
    });
    assert!(told.iter().all(|told| !told.is_empty()), "{told:?}");
    let all: Vec<String> = told.concat();
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "{all:?}");
    replicas.into_iter().for_each(Process::stop);
    shop.stop();
}

fn a_broadcast_is_heard_in_every_process(bench: &Bench) {
    let shop = Process::start(bench, &["till"]);
    let boards = [Process::start(bench, &["board"]), Process::start(bench, &["board"])];
    let text = "sale".to_owned();
    shop.fire(News { text }).wait().expect("the broker takes it");
    for board in &boards {
        assert_eq!(board.next(bench), "sale");
    }
    boards.into_iter().for_each(Process::stop);
    shop.stop();
}

fn what_was_fired_before_a_services_first_start_waits_for_it(bench: &Bench) {
    // Its queue is declared by who is linked with it and does not run it.
    let shop = Process::start(bench, &["till"]);
    for id in 100..150 {
        let accepted = shop.fire(Paid { id }).wait().expect("the broker takes it");
        assert!(accepted.routed);
    }
    shop.stop();
    let books = Process::start(bench, &["books"]);
    for id in 100..150 {
        let told = books.next(bench);
        assert!(told.starts_with(&format!("paid {id} attempt 1 ")), "{told}");
    }
    books.stop();
}

fn a_local_event_stays_in_its_process(bench: &Bench) {
    let books = Process::start(bench, &["books"]);
    let shop = Process::start(bench, &["till"]);
    assert!(!shop.fire(LookedAt(1)).wait().expect("it is taken").routed);
    let outcomes = books.fire(LookedAt(2)).handled().wait().expect("its outcome is known");
    outcomes.ok().expect("it is handled");
    assert_eq!(books.rest(), ["looked at 2"]);
    shop.stop();
    books.stop();
}

fn an_event_that_nobody_hears_is_accepted_as_unrouted(bench: &Bench) {
    let shop = Process::start(bench, &["till"]);
    let accepted = shop.fire_event("nobody_hears_this", 7).wait().expect("the broker takes it");
    assert!(!accepted.routed);
    shop.stop();
}

fn nobody_learns_outcomes_over_a_broker(bench: &Bench) {
    let shop = Process::start(bench, &["till"]);
    let error = shop.fire(Paid { id: 1 }).handled().wait().map(drop).expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    shop.stop();
}

fn a_chain_of_causes_keeps_its_ids_across_processes(bench: &Bench) {
    let shop = Process::start(bench, &["till"]);
    let other = Process::start(bench, &["board"]);
    let (sender, chained) = channel();
    let sender = Mutex::new(sender);
    let listener = other.register_listener(Paid::EVENT, move |_: &Paid, ctx: &Context| {
        // Served by the first process again.
        let (_, correlation) = till::change::execute(40).wait().map_err(|e| format!("{e:?}"))?;
        let sent = (ctx.causation_traceparent(), ctx.traceparent());
        let told = (ctx.id(), ctx.correlation_id(), correlation, sent);
        let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.send(told).map_err(|error| error.to_string())
    });
    let listener = listener.expect("the listener is registered");
    shop.fire(Paid { id: 1 }).wait().expect("the broker takes it");
    let (id, correlation, nested, (parent, own)) =
        bench.until("the chain", || chained.try_recv().ok());
    assert_eq!((&correlation, &nested), (&id, &id));
    let trace = |text: &str| text.split('-').nth(1).map(str::to_owned);
    let parent = parent.expect("it was sent with a traceparent");
    assert_eq!((trace(&parent), parent == own), (trace(&own), false));
    drop(listener);
    other.stop();
    shop.stop();
}

fn a_closure_hears_events_of_other_processes(bench: &Bench) {
    let shop = Process::start(bench, &["till"]);
    let other = Process::start(bench, &["board"]);
    let (sender, heard) = channel();
    let sender = Mutex::new(sender);
    // An exchange of which no declared event knows.
    let listener = other.register_listener(("yard", "gate.#"), move |name: String| {
        let _ = sender.lock().unwrap_or_else(PoisonError::into_inner).send(name);
    });
    let listener = listener.expect("the listener is registered");
    let (greet, greeter) = channel();
    let greet = Mutex::new(greet);
    let second = other.register_listener("greet", move |name: String| {
        let _ = greet.lock().unwrap_or_else(PoisonError::into_inner).send(name);
    });
    let second = second.expect("the listener is registered");
    let fired = shop.fire_event("greet", "Bob").wait().expect("the broker takes it");
    assert!(fired.routed);
    assert_eq!(bench.until("a greeting", || greeter.try_recv().ok()), "Bob");
    drop(second);
    bench.until("nobody to hear it", || {
        let fired = shop.fire_event("greet", "Eve").wait().expect("the broker takes it");
        (!fired.routed).then_some(())
    });
    let mut message = bus::transport::Envelope::new("yard", "gate.open", b"\"Ann\"".to_vec());
    message.content_type = Some("application/json".to_owned());
    assert!(bench.connect().publish(message));
    assert_eq!(bench.until("the gate", || heard.try_recv().ok()), "Ann");
    drop(listener);
    other.stop();
    shop.stop();
}
