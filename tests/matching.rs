//! Who hears a key, against a naive matcher: random patterns and keys, registered and given back in
//! random order on a running bus.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::{Arc, Mutex};

use bus::{Context, Registration, Running};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// AMQP 0-9-1, section 3.1.3.3, to the letter.
fn matches(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], []) => true,
        (["#", rest @ ..], _) => {
            matches(rest, key) || (!key.is_empty() && matches(pattern, &key[1..]))
        }
        (["*", rest @ ..], [_, others @ ..]) => matches(rest, others),
        ([word, rest @ ..], [first, others @ ..]) => word == first && matches(rest, others),
        _ => false,
    }
}

fn naive(pattern: &str, key: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let key: Vec<&str> = key.split('.').collect();
    matches(&pattern, &key)
}

fn words(of: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    vec(select(of), 1..=most).prop_map(|words| words.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    words(&["a", "b", "c", "*", "#"], 6)
}

fn key() -> impl Strategy<Value = String> {
    words(&["a", "b", "c", "d"], 7)
}

#[derive(Debug, Clone)]
enum Step {
    Register(String),
    GiveBack(prop::sample::Index),
    Fire(String),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => pattern().prop_map(Step::Register),
        1 => any::<prop::sample::Index>().prop_map(Step::GiveBack),
        4 => key().prop_map(Step::Fire),
    ]
}

/// A bus, and what is registered on it.
struct Bench {
    bus: Running,
    heard: Arc<Mutex<Vec<usize>>>,
    registered: Vec<(usize, String, Registration)>,
    next: usize,
}

impl Bench {
    fn new() -> Self {
        let bus = bus::builder().build().unwrap();
        Self { bus, heard: Arc::default(), registered: Vec::new(), next: 0 }
    }

    fn register(&mut self, pattern: &str) {
        let (number, heard) = (self.next, self.heard.clone());
        self.next += 1;
        let listener = move |_: &Context| heard.lock().unwrap().push(number);
        let guard = self.bus.register_listener(("bus", pattern), listener).unwrap();
        self.registered.push((number, pattern.to_owned(), guard));
    }

    /// Fires `key`; gives who heard it and who should have.
    fn fire(&mut self, key: &str) -> (Vec<usize>, Vec<usize>) {
        self.heard.lock().unwrap().clear();
        let outcomes = self.bus.fire_event(key, ()).handled().wait().unwrap();
        let mut heard = self.heard.lock().unwrap().clone();
        assert_eq!(outcomes.len(), heard.len());
        heard.sort_unstable();
        let expected = self.registered.iter().filter(|(_, pattern, _)| naive(pattern, key));
        (heard, expected.map(|(number, ..)| *number).collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_is_heard_by_whom_the_specification_says(
        patterns in vec(pattern(), 1..12),
        keys in vec(key(), 1..12),
    ) {
        let mut bench = Bench::new();
        for pattern in &patterns {
            bench.register(pattern);
        }
        for key in &keys {
            let (heard, expected) = bench.fire(key);
            prop_assert_eq!(heard, expected, "key {}", key);
        }
    }

    #[test]
    fn registering_and_giving_back_holds_from_the_next_event_on(steps in vec(step(), 1..40)) {
        let mut bench = Bench::new();
        for step in steps {
            match step {
                Step::Register(pattern) => bench.register(&pattern),
                Step::GiveBack(index) if !bench.registered.is_empty() => {
                    let index = index.index(bench.registered.len());
                    drop(bench.registered.remove(index));
                }
                Step::GiveBack(_) => {}
                Step::Fire(key) => {
                    let (heard, expected) = bench.fire(&key);
                    prop_assert_eq!(heard, expected, "key {}", key);
                }
            }
        }
    }

    #[test]
    fn any_text_is_either_a_name_or_refused(text in "\\PC{0,20}") {
        let bench = Bench::new();
        let is_key = bus::name::check_key(&text).is_ok();
        prop_assert_eq!(bench.bus.fire_event(&text, ()).wait().is_ok(), is_key);
        let is_pattern = bus::name::check_pattern(&text).is_ok();
        let registered = bench.bus.register_listener(("bus", &*text), |_: &Context| ());
        prop_assert_eq!(registered.is_ok(), is_pattern);
        let is_name = bus::name::check_name(&text).is_ok();
        let registered = bench.bus.register_command(&text, || 1);
        prop_assert_eq!(registered.is_ok(), is_name);
    }
}

#[test]
fn a_listener_with_many_matching_bindings_hears_once() {
    let bench = {
        let mut bench = Bench::new();
        for pattern in ["#", "#.#", "a.#", "*.b", "#.b", "a.b", "#.*.#", "a.*"] {
            bench.register(pattern);
        }
        bench
    };
    let mut bench = bench;
    let (heard, expected) = bench.fire("a.b");
    assert_eq!(heard, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(heard, expected);
}
