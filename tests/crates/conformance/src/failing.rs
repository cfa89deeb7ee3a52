//! Deliveries that fail: tried again, counted, kept, tried anew.

use autobus_testkit::cases;
use autobus_testkit::conformance::{Bench, Case};
use bus::transport::{Envelope, MOST_LOST};
use bus::{DeadLetter, Reason};

use crate::books::UNLUCKY;
use crate::process::Process;
use crate::till::Paid;

pub(crate) const CASES: &[Case] = cases![
    a_failed_delivery_is_tried_again_as_often_as_its_listener_says,
    a_dead_letter_is_replayed_from_another_process,
    a_dropped_dead_letter_is_gone,
    what_cannot_be_read_is_dead_at_once,
    what_was_lost_too_often_is_dead_and_does_not_run,
];

/// The dead letters, once there are so many.
#[track_caller]
fn dead(bench: &Bench, process: &Process, count: usize) -> Vec<DeadLetter> {
    bench.until(&format!("{count} dead letters"), || {
        let dead = process.dead_letters().list().expect("the broker tells");
        (dead.len() == count).then_some(dead)
    })
}

/// The numbers and idempotency keys of three attempts.
#[track_caller]
fn attempts(bench: &Bench, books: &Process) -> [String; 3] {
    [1, 2, 3].map(|number| {
        let told = books.next(bench);
        let key = told.strip_prefix(&format!("paid {UNLUCKY} attempt {number} "));
        key.unwrap_or_else(|| panic!("attempt {number} is {told}")).to_owned()
    })
}

fn a_failed_delivery_is_tried_again_as_often_as_its_listener_says(bench: &Bench) {
    let shop = Process::start(bench, &["till"]);
    let books = Process::start(bench, &["books"]);
    shop.fire(Paid { id: UNLUCKY }).wait().expect("the broker takes it");
    let keys = attempts(bench, &books);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    let dead = dead(bench, &shop, 1);
    let letter = &dead[0];
    assert_eq!((letter.listener(), letter.attempts()), ("books.paid", 3));
    assert_eq!((letter.exchange(), letter.key()), ("shop", "shop.v1.paid"));
    assert_eq!(letter.payload(), format!("{{\"id\":{UNLUCKY}}}"));
    assert_eq!((letter.reason().reason(), letter.reason().message()), (Reason::Error, "unlucky"));
    assert_eq!(books.rest(), [""; 0]);
    books.stop();
    shop.stop();
}

fn a_dead_letter_is_replayed_from_another_process(bench: &Bench) {
    let shop = Process::start(bench, &["till"]);
    let books = Process::start(bench, &["books"]);
    shop.fire(Paid { id: UNLUCKY }).wait().expect("the broker takes it");
    let first = attempts(bench, &books);
    let letter = dead(bench, &shop, 1).remove(0);
    shop.dead_letters().replay(letter.id()).expect("it is there");
    // Attempts are counted anew; the idempotency key is of the message.
    assert_eq!(attempts(bench, &books), first);
    dead(bench, &books, 1);
    assert_eq!(shop.dead_letters().replay_all().expect("the broker tells"), 1);
    assert_eq!(attempts(bench, &books), first);
    assert!(shop.dead_letters().replay("no such message").is_err());
    books.stop();
    shop.stop();
}

fn a_dropped_dead_letter_is_gone(bench: &Bench) {
    let shop = Process::start(bench, &["till"]);
    let books = Process::start(bench, &["books"]);
    shop.fire(Paid { id: UNLUCKY }).wait().expect("the broker takes it");
    let letter = dead(bench, &books, 1).remove(0);
    shop.dead_letters().drop(letter.id()).expect("it is there");
    dead(bench, &books, 0);
    assert!(shop.dead_letters().drop(letter.id()).is_err());
    assert!(shop.dead_letters().replay(letter.id()).is_err());
    books.stop();
    shop.stop();
}

fn what_cannot_be_read_is_dead_at_once(bench: &Bench) {
    let books = Process::start(bench, &["books"]);
    let link = bench.connect();
    let message = |id: &str, body: &str| {
        let mut message = Envelope::new("shop", "shop.v1.paid", body.as_bytes().to_vec());
        id.clone_into(&mut message.id);
        message.content_type = Some(Envelope::JSON.to_owned());
        message
    };
    let (broken, other) = (message("broken", "{\"id\":"), message("other", "{\"name\":\"x\"}"));
    let mut typed = message("typed", "{\"id\":1}");
    typed.content_type = Some("application/x-protobuf".to_owned());
    let mut tomorrow = message("tomorrow", "{\"id\":1}");
    "2.0".clone_into(&mut tomorrow.spec_version);
    for message in [broken, other, typed, tomorrow, message("good", "{\"id\":1}")] {
        assert!(link.publish(message));
    }
    assert!(books.next(bench).starts_with("paid 1 attempt 1 "));
    let dead = dead(bench, &books, 4);
    for letter in &dead {
        assert_eq!(letter.reason().reason(), Reason::Decode, "{letter:?}");
        // None, if the handler's turn never came.
        assert!(letter.attempts() <= 1, "{letter:?}");
    }
    assert_eq!(books.rest(), [""; 0]);
    books.stop();
}

fn what_was_lost_too_often_is_dead_and_does_not_run(bench: &Bench) {
    let books = Process::start(bench, &["books"]);
    let link = bench.connect();
    let lost = |id: u64, lost: u32| {
        let mut message = Envelope::new("shop", "shop.v1.paid", format!("{{\"id\":{id}}}").into());
        message.content_type = Some(Envelope::JSON.to_owned());
        (message.lost, message.attempt) = (lost, lost + 1);
        message
    };
    assert!(link.publish(lost(1, MOST_LOST + 1)));
    assert!(link.publish(lost(2, MOST_LOST)));
    let attempt = MOST_LOST + 1;
    assert!(books.next(bench).starts_with(&format!("paid 2 attempt {attempt} ")));
    let letter = dead(bench, &books, 1).remove(0);
    assert_eq!((letter.payload(), letter.reason().reason()), ("{\"id\":1}", Reason::Lost));
    assert_eq!(books.rest(), [""; 0]);
    books.stop();
}
