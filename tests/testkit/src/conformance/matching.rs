//! Matching, compared with its definition: AMQP 0-9-1, section 3.1.3.3.

use std::collections::BTreeMap;

use autobus_core::transport::{Queue, Resolver};

use super::parts::{bindings, message};
use super::{Bench, Case};
use crate::cases;

pub(super) const CASES: &[Case] = cases![six_thousand_patterns_and_keys_agree_with_the_definition];

const PATTERNS: usize = 100;
const KEYS: usize = 60;
const END: &str = "end";

/// A pattern matches a key: to the letter, and slowly.
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

fn defined(pattern: &str, key: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let key: Vec<&str> = key.split('.').collect();
    matches(&pattern, &key)
}

fn words(random: &mut fastrand::Rng, of: &[&str], most: usize) -> String {
    let count = random.usize(1..=most);
    let words: Vec<&str> = (0..count).map(|_| of[random.usize(..of.len())]).collect();
    words.join(".")
}

/// Different ones, so that each counts.
fn generate(random: &mut fastrand::Rng, of: &[&str], most: usize, count: usize) -> Vec<String> {
    let mut all = std::collections::BTreeSet::new();
    while all.len() < count {
        all.insert(words(random, of, most));
    }
    all.into_iter().collect()
}

fn six_thousand_patterns_and_keys_agree_with_the_definition(bench: &Bench) {
    let seed = match std::env::var("CONFORMANCE_SEED") {
        Ok(seed) => seed.parse().expect("CONFORMANCE_SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    let mut random = fastrand::Rng::with_seed(seed);
    let patterns = generate(&mut random, &["a", "b", "c", "*", "#"], 6, PATTERNS);
    let keys = generate(&mut random, &["a", "b", "c", "d"], 6, KEYS);
    assert!(patterns.len() * keys.len() >= 5_000, "too few pairs to tell anything");
    let got = who_gets_what(bench, &patterns, &keys);
    for (pattern, got) in patterns.iter().zip(got) {
        let expected: Vec<&String> = keys.iter().filter(|key| defined(pattern, key)).collect();
        let got: Vec<&String> = got.iter().collect();
        assert_eq!(got, expected, "what `{pattern}` matched; CONFORMANCE_SEED={seed}");
    }
}

/// The keys that each pattern got, in the order in which they were published: one queue a pattern,
/// one message a key, all at once.
fn who_gets_what(bench: &Bench, patterns: &[String], keys: &[String]) -> Vec<Vec<String>> {
    let link = bench.connect();
    let named = |number: usize, pattern: &String| {
        // Queues of this connection: a broker makes them quicker than durable ones.
        Queue::broadcast(format!("q{number}"), bindings(&[pattern, END]))
    };
    let queues: Vec<Queue> = patterns.iter().enumerate().map(|(at, p)| named(at, p)).collect();
    link.declare(&queues);
    let consumers: Vec<_> = queues.iter().map(|queue| link.consume(queue, 256)).collect();
    let mut confirmed = BTreeMap::new();
    for key in keys.iter().map(String::as_str).chain([END]) {
        let (resolver, completion) = Resolver::pair();
        link.transport().publish(message(key, key), resolver);
        confirmed.insert(key, completion);
    }
    for (key, completion) in confirmed {
        let confirm = completion.wait(None).expect("every key is confirmed").expect("no deadline");
        let expected = key == END || patterns.iter().any(|pattern| defined(pattern, key));
        assert_eq!(confirm.routed, expected, "whether `{key}` was routed");
    }
    consumers.iter().map(|consumer| consumer.ids_until(END)).collect()
}
