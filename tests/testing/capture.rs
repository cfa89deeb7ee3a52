//! What was fired.

use std::ptr::from_ref;
use std::sync::Arc;

use bus::State;
use serde::{Deserialize, Serialize};

use super::*;

/// Not `Clone`.
#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(exchange = "letters", key = "letter.sent")]
#[event(key = "letter.returned")]
pub(crate) struct Letter {
    text: String,
}

#[event(exchange = "letters", key = "letter.v1.copied")]
pub(crate) struct CopyV1 {
    text: String,
}

#[event(exchange = "letters", key = "letter.v2.copied", upcasts(CopyV1))]
pub(crate) struct Copy {
    text: String,
    pages: u32,
}

impl From<CopyV1> for Copy {
    fn from(old: CopyV1) -> Self {
        Self { text: old.text, pages: 1 }
    }
}

/// No serde type.
#[event(local, exchange = "letters", key = "letter.secret")]
pub(crate) struct Secret(Arc<str>);

/// Where listeners leave the addresses of what they heard.
type Addresses = Log<usize>;

#[listener(Letter::SENT)]
fn send_back(letter: &Letter, ctx: &Context, addresses: State<Addresses>) {
    addresses.add(from_ref(letter).addr());
    if letter.text != "no reply" {
        ctx.bus().fire_as(Letter::RETURNED, Letter { text: format!("re: {}", letter.text) });
    }
}

fn letter(text: &str) -> Letter {
    Letter { text: text.into() }
}

fn capturing() -> (TestBus, Addresses) {
    let addresses = Addresses::default();
    let builder = TestBus::builder().services(["capture"]).state(addresses.clone());
    (builder.build().expect("it is wired rightly"), addresses)
}

#[test]
fn every_event_of_the_type_is_there_in_order() {
    let (bus, _) = capturing();
    bus.fire(letter("one"));
    bus.settle();
    bus.advance(secs(3));
    bus.fire(letter("two"));
    bus.fire(Secret("psst".into()));
    bus.settle();
    let letters = bus.fired::<Letter>();
    let seen: Vec<_> =
        letters.iter().map(|letter| (letter.exchange(), letter.key(), &*letter.text)).collect();
    assert_eq!(
        seen,
        [
            ("letters", "letter.sent", "one"),
            ("letters", "letter.returned", "re: one"),
            ("letters", "letter.sent", "two"),
            ("letters", "letter.returned", "re: two"),
        ]
    );
    assert_eq!(letters[1].causation_id(), Some(letters[0].id()));
    assert_eq!(letters[1].correlation_id(), letters[0].id());
    assert_eq!((letters[0].causation_id(), letters[0].correlation_id()), (None, letters[0].id()));
    assert_eq!(letters[2].time(), letters[0].time() + secs(3));
    assert_eq!(*letters[0], letter("one"));
    assert_eq!(&*bus.fired::<Secret>()[0].0, "psst");
    assert_eq!(bus.fired::<Copy>().len(), 0);
}

#[test]
fn what_is_lent_is_what_the_listeners_heard() {
    let (bus, addresses) = capturing();
    bus.fire(letter("no reply"));
    bus.settle();
    assert_eq!(addresses.all(), [from_ref::<Letter>(&bus.fired::<Letter>()[0]).addr()]);
}

#[test]
fn a_pattern_gives_events_as_a_listener_would_hear_them() {
    let (bus, _) = capturing();
    bus.fire(letter("one"));
    bus.fire(CopyV1 { text: "old".into() });
    bus.fire(Copy { text: "new".into(), pages: 9 });
    bus.fire_event("letter", ("by name", 7));
    bus.settle();

    let returned = bus.fired_as::<Letter>(Letter::RETURNED).unwrap();
    assert_eq!((returned.len(), &*returned[0].text), (1, "re: one"));
    // The older version comes by its upcast.
    let copies = bus.fired_as::<Copy>("letter.*.copied").unwrap();
    let copies: Vec<_> = copies.iter().map(|copy| (&*copy.text, copy.pages)).collect();
    assert_eq!(copies, [("old", 1), ("new", 9)]);
    // By name, and by exchange.
    let named = bus.fired_as::<(String, u32)>("letter").unwrap();
    assert_eq!((named[0].exchange(), &*named[0]), ("bus", &("by name".to_owned(), 7)));
    assert_eq!(bus.fired_as::<serde_json::Value>(("letters", "letter")).unwrap().len(), 0);
    let all = bus.fired_as::<serde_json::Value>("#").unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!(all[0]["text"], "one");
}

#[test]
fn what_does_not_become_the_type_is_an_error_that_names_the_event() {
    let (bus, _) = capturing();
    bus.fire_event("count", "many");
    let error = bus.fired_as::<u32>("count").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    has(&format!("{error:?}"), &["the event `count` is no `u32`", "invalid type"]);
    assert_eq!(
        text(bus.fired_as::<u32>("a..b")),
        "`a..b` has an empty word; write exactly one dot between two words"
    );
}

#[test]
fn what_was_refused_was_not_fired() {
    let (bus, _) = capturing();
    bus.shutdown().unwrap();
    assert_eq!(bus.fire(letter("late")).wait().unwrap_err().kind(), ErrorKind::Closed);
    assert!(bus.fired::<Letter>().is_empty());
}

#[test]
fn forgotten_events_are_gone_and_later_ones_are_not() {
    let (bus, _) = capturing();
    bus.fire(letter("one"));
    bus.settle();
    let before = bus.fired::<Letter>();
    bus.forget_fired();
    assert!(bus.fired::<Letter>().is_empty());
    bus.fire(letter("no reply"));
    assert_eq!(&*bus.fired::<Letter>()[0].text, "no reply");
    drop(bus);
    // Whoever holds one keeps it, longer than the bus.
    assert_eq!(&*before[1].text, "re: one");
    assert_eq!(before[1].key(), "letter.returned");
}
