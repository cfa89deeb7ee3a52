//! W5: which patterns match a key that is known only at run time, and a key that was routed before.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use autobus_core::internals::{Keys, Patterns};

use crate::measure::{Candidate, Workload};
use crate::order::Tally;

/// How many keys are routed, one after another.
const KEYS: usize = 10_000;

/// Words that a key's words are chosen from, at each place.
const WORDS: usize = 40;

/// W5 with ten, a thousand and a hundred thousand patterns, and with a key that was routed before.
pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        workload("W5-10", "route a key among 10 patterns", 10),
        workload("W5-1000", "route a key among 1,000 patterns", 1_000),
        workload("W5-100000", "route a key among 100,000 patterns", 100_000),
        cached(),
    ]
}

/// Patterns and keys, and what each key must find.
struct Case {
    patterns: Vec<String>,
    keys: Vec<String>,
    expected: Vec<u64>,
}

impl Case {
    fn new(count: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(5);
        let patterns: Vec<String> = (0..count).map(|_| pattern(&mut rng)).collect();
        let keys: Vec<String> = (0..KEYS).map(|_| key(&mut rng).join(".")).collect();
        let expected = keys.iter().map(|key| expected(&patterns, key));
        let expected = if count > 1_000 { Vec::new() } else { expected.collect() };
        Self { patterns, keys, expected }
    }

    /// The keys of `n` operations from number `first` on.
    fn keys(&self, first: u64, n: u64) -> impl Iterator<Item = &str> {
        let first = usize::try_from(first).unwrap_or_default() % KEYS;
        let n = usize::try_from(n).unwrap_or_default();
        self.keys.iter().map(String::as_str).cycle().skip(first).take(n)
    }
}

/// Three to five words.
fn key(rng: &mut fastrand::Rng) -> Vec<String> {
    let words = rng.usize(3..=5);
    (0..words)
        .map(|place| format!("{}{:02}", ["a", "b", "c", "d", "e"][place], rng.usize(..WORDS)))
        .collect()
}

/// 70 % exact, 20 % with `*`, 10 % with `#`.
fn pattern(rng: &mut fastrand::Rng) -> String {
    let mut words = key(rng);
    let place = rng.usize(..words.len());
    match rng.u8(..10) {
        0..7 => {}
        7..9 => "*".clone_into(&mut words[place]),
        _ => {
            words.truncate(2 + place % 2);
            words.push("#".to_owned());
        }
    }
    words.join(".")
}

/// The sum of the numbers of the patterns that match, by the definition.
fn expected(patterns: &[String], key: &str) -> u64 {
    let key: Vec<&str> = key.split('.').collect();
    let matching = (1..).zip(patterns).filter(|(_, pattern)| matches(pattern, &key));
    matching.map(|(number, _)| number).sum()
}

fn matches(pattern: &str, key: &[&str]) -> bool {
    fn words<'a>(mut pattern: impl Iterator<Item = &'a str> + Clone, key: &[&str]) -> bool {
        match pattern.next() {
            None => key.is_empty(),
            Some("#") => (0..=key.len()).any(|skip| words(pattern.clone(), &key[skip..])),
            Some(word) => key.split_first().is_some_and(|(first, rest)| {
                (word == "*" || word == *first) && words(pattern, rest)
            }),
        }
    }
    words(pattern.split('.'), key)
}

fn workload(name: &'static str, about: &'static str, count: usize) -> Workload {
    // Made when it is first used: a run of other workloads pays nothing for it.
    let case = Arc::new(OnceLock::new());
    let made = move || -> Arc<Case> { Arc::clone(case.get_or_init(|| Arc::new(Case::new(count)))) };
    let mut peers = Vec::new();
    #[cfg(feature = "peers")]
    {
        let case = made.clone();
        peers.push(Candidate::new("amqp-client-rust", move || amqp_client_rust(case())));
    }
    let case = made.clone();
    peers.push(Candidate::new("autobus", move || ours(case())));
    if count <= 1_000 {
        let case = made.clone();
        peers.push(Candidate::new("linear scan", move || linear(case())));
    }
    let truth = OnceLock::new();
    let expected = move |first, n| {
        let case = made();
        // By the definition where that ends soon; else by our trie, which agrees with it there.
        let sums = truth.get_or_init(|| {
            if case.expected.is_empty() { sums(&case) } else { case.expected.clone() }
        });
        let start = usize::try_from(first).unwrap_or_default() % KEYS;
        let n = usize::try_from(n).unwrap_or_default();
        let sum = sums.iter().cycle().skip(start).take(n).sum();
        Tally { count: n as u64, sum }
    };
    Workload { name, about, target: 0.5, expected: Box::new(expected), peers }
}

fn trie(case: &Case) -> Patterns {
    let mut trie = Patterns::default();
    for (number, pattern) in (1..).zip(&case.patterns) {
        trie.insert(pattern, number);
    }
    trie
}

fn sums(case: &Case) -> Vec<u64> {
    let trie = trie(case);
    let sum = |key: &String| {
        let mut sum = 0;
        trie.matches(key, |number| sum += u64::from(number));
        sum
    };
    case.keys.iter().map(sum).collect()
}

fn ours(case: Arc<Case>) -> impl FnMut(u64, u64) -> Tally {
    let trie = trie(&case);
    move |first, n| {
        let mut tally = Tally::default();
        for key in case.keys(first, n) {
            tally.count += 1;
            trie.matches(key, |number| tally.sum += u64::from(number));
        }
        tally
    }
}

#[cfg(feature = "peers")]
fn amqp_client_rust(case: Arc<Case>) -> impl FnMut(u64, u64) -> Tally {
    let mut trie = amqp_client_rust::api::utils::TopicTrie::new();
    for (number, pattern) in (1_u32..).zip(&case.patterns) {
        trie.insert(pattern, number);
    }
    move |first, n| {
        let mut tally = Tally::default();
        for key in case.keys(first, n) {
            tally.count += 1;
            tally.sum += trie.search(key).into_iter().map(u64::from).sum::<u64>();
        }
        tally
    }
}

fn linear(case: Arc<Case>) -> impl FnMut(u64, u64) -> Tally {
    move |first, n| {
        let mut tally = Tally::default();
        for key in case.keys(first, n) {
            tally.count += 1;
            tally.sum += expected(&case.patterns, key);
        }
        tally
    }
}

/// A key that was routed before, beside one look-up in a `HashMap` of the standard library.
fn cached() -> Workload {
    let hash = || {
        let case = Case::new(0);
        let map: HashMap<String, u64> = case.keys.iter().cloned().map(|key| (key, 0)).collect();
        move |first, n| {
            let found = case.keys(first, n).filter_map(|key| map.get(key));
            found.fold(Tally::default(), |tally, sum| tally.and(Tally { count: 1, sum: *sum }))
        }
    };
    let ours = || {
        let case = Case::new(0);
        let keys = Keys::new("bench", case.keys.iter().map(String::as_str));
        move |first, n| {
            let found = case.keys(first, n).filter_map(|key| keys.listeners("bench", key));
            found
                .fold(Tally::default(), |tally, len| tally.and(Tally { count: 1, sum: len as u64 }))
        }
    };
    Workload {
        name: "W5-cached",
        about: "route a key that was routed before",
        target: 2.0,
        expected: Box::new(|_, n| Tally { count: n, sum: 0 }),
        peers: vec![Candidate::new("one hash look-up", hash), Candidate::new("autobus", ours)],
    }
}
