//! The process's default bus: one test, since there is one in a process.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use bus::ErrorKind;
use bus::prelude::*;
use support::{Log, has};

#[event(exchange = "default", key = "note")]
#[derive(Debug)]
struct Note {
    text: String,
}

#[command]
fn hello(name: &str) -> String {
    format!("Hello, {name}!")
}

#[listener]
fn noted(note: &Note, log: State<Log>) {
    log.add(note.text.as_str());
}

#[command]
fn fires(text: &str) {
    drop(Note { text: text.to_owned() }.fire());
}

#[test]
fn the_default_bus_is_started_once_and_used_by_whoever_names_none() {
    // Before it is started.
    assert_eq!(hello::execute("Alice").wait(), Err(ExecuteError::NotStarted));
    assert_eq!(hello::dispatch("Alice").wait().unwrap_err().kind(), ErrorKind::NotStarted);
    assert_eq!(bus::current().unwrap_err().kind(), ErrorKind::NotStarted);
    let error = Note { text: "early".into() }.fire().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotStarted);
    has(&error.to_string(), &["bus::start()"]);
    assert_eq!(error.into_event::<Note>().unwrap().text, "early");

    // A start that fails leaves the place free.
    let error = bus::start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Wiring);
    has(&error.to_string(), &["`noted`", "Log"]);
    let log = Log::<String>::default();
    let bus = bus::builder().state(log.clone()).start().unwrap();

    // A second one is refused, in this thread and in any other.
    let error = bus::builder().state(log.clone()).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyStarted);
    has(&error.to_string(), &["started before", "build()"]);
    assert_eq!(bus::run().unwrap_err().kind(), ErrorKind::AlreadyStarted);
    let error = std::thread::spawn(|| bus::builder().state(Log::<String>::default()).start());
    assert_eq!(error.join().unwrap().unwrap_err().kind(), ErrorKind::AlreadyStarted);

    // Whoever names no bus uses it, from any thread.
    assert_eq!(hello::execute("Alice").wait().unwrap(), "Hello, Alice!");
    let note = Note { text: "first".into() };
    note.note().wait().unwrap();
    std::thread::spawn(move || note.fire().wait()).join().unwrap().unwrap();
    fires::execute("second").wait().unwrap();
    bus.settle();
    assert_eq!(log.all(), ["first", "first", "second"]);

    // Inside of a handler the current bus is the one that runs it.
    let other = Log::<String>::default();
    let second = bus::builder().state(other.clone()).build().unwrap();
    fires::on(&second).execute("elsewhere").wait().unwrap();
    second.shutdown().unwrap();
    assert_eq!(other.all(), ["elsewhere"]);
    bus.settle();
    assert_eq!(log.all().len(), 3);

    // After its end it stays the default one, closed.
    bus.shutdown().unwrap();
    assert_eq!(hello::execute("Alice").wait(), Err(ExecuteError::Closed));
    let error = Note { text: "late".into() }.fire().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.into_event::<Note>().unwrap().text, "late");
    let error = bus::builder().state(log).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyStarted);
}
