//! Patterns, and which of them match a key.
//!
//! A pattern without wildcards is found by its whole text, in one look-up. The others are a trie of
//! words: a word has a number, and a child is found by its parent and that number, most of them in
//! the parent itself, the rest in one table for all. A key is followed depth first, so matching
//! takes time by the words of the key and by what matches, not by the number of patterns, and
//! allocates nothing unless the key has more than sixteen words, or a pattern more than one `#`.
//!
//! Keys may come from anybody. Nothing is kept of them, and every table's hasher has a seed of its
//! own, so nobody chooses keys or patterns that collide.

use std::collections::{HashMap, HashSet};
use std::ops::{Index, IndexMut};

use foldhash::fast::RandomState;

use crate::name::first_word;

/// No node, word or value.
const NONE: u32 = u32::MAX;

const ROOT: u32 = 0;

/// How many words of a key are kept without an allocation.
const FEW: usize = 16;

/// Values by pattern.
pub(crate) struct Trie<V> {
    /// The first value of every pattern without wildcards.
    exact: HashMap<Box<str>, u32, RandomState>,
    /// Where the words of the others lead. The first one is the root.
    nodes: Slab<Node>,
    /// Children that have no place in their parents.
    edges: HashMap<(u32, u32), u32, RandomState>,
    words: HashMap<Box<str>, Word, RandomState>,
    /// The numbers that no word has any more.
    unused: Vec<u32>,
    values: Slab<Value<V>>,
    next: u64,
}

/// Where some words lead.
struct Node {
    star: u32,
    hash: u32,
    /// One child and its word; most nodes have no other.
    word: u32,
    child: u32,
    /// How many more there are, among the edges.
    more: u32,
    /// The first value of the pattern that ends here.
    first: u32,
}

/// A word of patterns.
struct Word {
    number: u32,
    /// How many children have it.
    uses: u32,
}

/// A value, and the next one of its pattern.
struct Value<V> {
    order: u64,
    next: u32,
    held: Option<V>,
}

impl Default for Node {
    fn default() -> Self {
        Self { star: NONE, hash: NONE, word: NONE, child: NONE, more: 0, first: NONE }
    }
}

impl<V> Default for Value<V> {
    fn default() -> Self {
        Self { order: 0, next: NONE, held: None }
    }
}

impl Node {
    fn is_leaf(&self) -> bool {
        self.star == NONE && self.hash == NONE && self.child == NONE && self.more == 0
    }
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        let mut nodes = Slab::default();
        nodes.insert(Node::default());
        Self {
            exact: HashMap::default(),
            nodes,
            edges: HashMap::default(),
            words: HashMap::default(),
            unused: Vec::new(),
            values: Slab::default(),
            next: 0,
        }
    }
}

fn is_exact(pattern: &str) -> bool {
    !pattern.contains(['*', '#']) || !pattern.split('.').any(|word| matches!(word, "*" | "#"))
}

impl<V> Trie<V> {
    pub(crate) fn insert(&mut self, pattern: &str, value: V) {
        let (order, next) = (self.next, NONE);
        self.next += 1;
        let number = self.values.insert(Value { order, next, held: Some(value) });
        let first = if is_exact(pattern) {
            self.exact.entry(pattern.into()).or_insert(NONE)
        } else {
            let node = pattern.split('.').fold(ROOT, |node, word| self.child_or_new(node, word));
            &mut self.nodes[node].first
        };
        self.values[number].next = std::mem::replace(first, number);
    }

    pub(crate) fn remove(&mut self, pattern: &str, gone: impl Fn(&V) -> bool) {
        if is_exact(pattern) {
            let Some(&first) = self.exact.get(pattern) else { return };
            match self.retain(first, gone) {
                NONE => drop(self.exact.remove(pattern)),
                kept => drop(self.exact.insert(pattern.into(), kept)),
            }
            return;
        }
        let mut node = ROOT;
        let mut path = Vec::new();
        for word in pattern.split('.') {
            path.push((node, word));
            node = self.child(node, word);
            if node == NONE {
                return;
            }
        }
        self.nodes[node].first = self.retain(self.nodes[node].first, gone);
        while let Some((parent, word)) = path.pop()
            && self.nodes[node].first == NONE
            && self.nodes[node].is_leaf()
        {
            self.nodes.remove(node);
            self.unlink(parent, word);
            node = parent;
        }
    }

    /// Takes values out of those that begin with `first`; tells which is the first then.
    fn retain(&mut self, mut first: u32, gone: impl Fn(&V) -> bool) -> u32 {
        let (mut last, mut number) = (NONE, first);
        while number != NONE {
            let next = self.values[number].next;
            if self.values[number].held.as_ref().is_none_or(&gone) {
                self.values.remove(number);
                match last {
                    NONE => first = next,
                    last => self.values[last].next = next,
                }
            } else {
                last = number;
            }
            number = next;
        }
        first
    }

    fn child(&self, node: u32, word: &str) -> u32 {
        match word {
            "*" => self.nodes[node].star,
            "#" => self.nodes[node].hash,
            word => self.words.get(word).map_or(NONE, |word| self.follow(node, word.number)),
        }
    }

    /// The child of this word.
    fn follow(&self, node: u32, word: u32) -> u32 {
        let at = &self.nodes[node];
        if at.word == word {
            return at.child;
        }
        let edge = if at.more > 0 { self.edges.get(&(node, word)) } else { None };
        edge.copied().unwrap_or(NONE)
    }

    fn child_or_new(&mut self, node: u32, word: &str) -> u32 {
        match self.child(node, word) {
            NONE => {}
            known => return known,
        }
        let child = self.nodes.insert(Node::default());
        let parent = &mut self.nodes[node];
        match word {
            "*" => parent.star = child,
            "#" => parent.hash = child,
            word => {
                let word = number(&mut self.words, &mut self.unused, word);
                if parent.child == NONE {
                    (parent.word, parent.child) = (word, child);
                } else {
                    parent.more += 1;
                    self.edges.insert((node, word), child);
                }
            }
        }
        child
    }

    /// Takes a child from its parent.
    fn unlink(&mut self, node: u32, word: &str) {
        let parent = &mut self.nodes[node];
        match word {
            "*" => parent.star = NONE,
            "#" => parent.hash = NONE,
            text => {
                let Some(word) = self.words.get_mut(text) else { return };
                if parent.word == word.number {
                    (parent.word, parent.child) = (NONE, NONE);
                } else if self.edges.remove(&(node, word.number)).is_some() {
                    parent.more -= 1;
                }
                word.uses -= 1;
                if word.uses == 0 {
                    self.unused.push(word.number);
                    self.words.remove(text);
                }
            }
        }
    }

    /// Calls `visit` with every value.
    pub(crate) fn each<'a>(&'a self, visit: impl FnMut(&'a V)) {
        self.values.items.iter().filter_map(|value| value.held.as_ref()).for_each(visit);
    }

    /// Calls `found` with every value whose pattern matches, and its order of insertion.
    pub(crate) fn matches<'a>(&'a self, key: &str, mut found: impl FnMut(u64, &'a V)) {
        if let Some(&first) = self.exact.get(key) {
            self.give(first, &mut found);
        }
        if !self.nodes[ROOT].is_leaf() {
            Walk::new(self, key, found).step(ROOT, 0, false);
        }
    }

    /// Calls `found` with the values that begin with `first`.
    fn give<'a>(&'a self, first: u32, found: &mut impl FnMut(u64, &'a V)) {
        let mut number = first;
        while number != NONE {
            let Value { order, next, held } = &self.values[number];
            if let Some(value) = held {
                found(*order, value);
            }
            number = *next;
        }
    }
}

/// The number of a word that one more child has.
fn number(
    words: &mut HashMap<Box<str>, Word, RandomState>,
    unused: &mut Vec<u32>,
    word: &str,
) -> u32 {
    if let Some(known) = words.get_mut(word) {
        known.uses += 1;
        return known.number;
    }
    // There are as many as there are words, but for the unused ones.
    let number = unused.pop().unwrap_or_else(|| index(words.len()));
    words.insert(word.into(), Word { number, uses: 1 });
    number
}

/// A key on its way through a trie.
struct Walk<'k, 'a, V, F> {
    trie: &'a Trie<V>,
    found: F,
    /// The numbers of the words so far, as far as there is room.
    few: [u32; FEW],
    /// And of the others.
    many: Vec<u32>,
    /// How many words were read.
    read: usize,
    /// What was not.
    rest: Option<&'k str>,
    /// The nodes behind a second `#`, of those that were reached.
    entered: HashSet<u32, RandomState>,
}

impl<'k, 'a, V, F: FnMut(u64, &'a V)> Walk<'k, 'a, V, F> {
    fn new(trie: &'a Trie<V>, key: &'k str, found: F) -> Self {
        let entered = HashSet::with_hasher(trie.edges.hasher().clone());
        let (few, many, read, rest) = ([NONE; FEW], Vec::new(), 0, Some(key));
        Self { trie, found, few, many, read, rest, entered }
    }

    /// The number of the word at this place, `NONE` if no pattern has it; nothing behind the last.
    fn word(&mut self, place: usize) -> Option<u32> {
        while self.read <= place {
            let (word, rest) = first_word(self.rest?);
            self.rest = rest;
            let number = self.trie.words.get(word).map_or(NONE, |word| word.number);
            match self.few.get_mut(self.read) {
                Some(place) => *place = number,
                None => self.many.push(number),
            }
            self.read += 1;
        }
        self.few.get(place).or_else(|| self.many.get(place - FEW)).copied()
    }

    /// Goes on from a node, to which the words before `place` lead; whether through a `#`.
    fn step(&mut self, mut node: u32, mut place: usize, behind: bool) {
        loop {
            let at = &self.trie.nodes[node];
            if at.hash != NONE {
                self.enter(at.hash, place, behind);
            }
            if at.first == NONE && at.star == NONE && at.child == NONE && at.more == 0 {
                return;
            }
            let Some(word) = self.word(place) else {
                return self.trie.give(at.first, &mut self.found);
            };
            let child = self.follow(node, word);
            node = match (at.star, child) {
                (NONE, NONE) => return,
                (star, NONE) => star,
                (NONE, child) => child,
                (star, child) => {
                    self.step(star, place + 1, behind);
                    child
                }
            };
            place += 1;
        }
    }

    /// Goes on from a node that a `#` leads to, with any number of words from `place` on.
    ///
    /// The words before the first place at which it is reached are the fewest, so that what follows
    /// from a later one follows from the first; and a node behind no other `#` is reached once.
    fn enter(&mut self, node: u32, place: usize, behind: bool) {
        if behind && !self.entered.insert(node) {
            return;
        }
        let at = &self.trie.nodes[node];
        self.trie.give(at.first, &mut self.found);
        if at.is_leaf() {
            return;
        }
        for place in place.. {
            if at.hash != NONE {
                self.enter(at.hash, place, true);
            }
            let Some(word) = self.word(place) else { return };
            for next in [at.star, self.follow(node, word)] {
                if next != NONE {
                    self.step(next, place + 1, true);
                }
            }
        }
    }

    fn follow(&self, node: u32, word: u32) -> u32 {
        if word == NONE { NONE } else { self.trie.follow(node, word) }
    }
}

/// Things by number; the numbers of those that are gone are given again.
struct Slab<T> {
    items: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }
}

impl<T: Default> Slab<T> {
    fn insert(&mut self, item: T) -> u32 {
        if let Some(number) = self.free.pop() {
            self[number] = item;
            return number;
        }
        self.items.push(item);
        index(self.items.len() - 1)
    }

    fn remove(&mut self, number: u32) {
        self[number] = T::default();
        self.free.push(number);
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, number: u32) -> &T {
        &self.items[number as usize]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, number: u32) -> &mut T {
        &mut self.items[number as usize]
    }
}

/// Memory ends before the numbers do: everything numbered has at least 24 bytes.
fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::matches;

    fn all(words: &[&str], max: usize) -> Vec<String> {
        let mut level: Vec<String> = words.iter().map(ToString::to_string).collect();
        let mut names = level.clone();
        for _ in 1..max {
            level = level
                .iter()
                .flat_map(|name| words.iter().map(move |word| format!("{name}.{word}")))
                .collect();
            names.extend(level.iter().cloned());
        }
        names
    }

    fn of(patterns: &[String]) -> Trie<&str> {
        let mut trie = Trie::default();
        for pattern in patterns {
            trie.insert(pattern, pattern.as_str());
        }
        trie
    }

    fn assert_right(trie: &Trie<&str>, patterns: &[&str], keys: &[String]) {
        for key in keys {
            let mut found = Vec::new();
            trie.matches(key, |_, pattern| found.push(*pattern));
            found.sort_unstable();
            let mut expected: Vec<&str> =
                patterns.iter().copied().filter(|pattern| matches(pattern, key)).collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "key {key}");
        }
    }

    #[test]
    fn the_trie_agrees_with_the_definition_for_every_short_pattern_and_key() {
        let patterns = all(&["a", "b", "*", "#"], 4);
        let refs: Vec<&str> = patterns.iter().map(String::as_str).collect();
        assert_right(&of(&patterns), &refs, &all(&["a", "b", "c"], 5));
    }

    #[test]
    fn the_trie_agrees_with_the_definition_while_patterns_come_and_go() {
        let patterns = all(&["a", "b", "c", "*", "#"], 3);
        let keys = all(&["a", "b", "c", "d"], 4);
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut trie, mut kept) = (Trie::default(), Vec::new());
        for round in 0..4_000 {
            let pattern = patterns[rng.usize(..patterns.len())].as_str();
            if rng.bool() {
                trie.insert(pattern, pattern);
                kept.push(pattern);
            } else {
                trie.remove(pattern, |_| true);
                kept.retain(|known| *known != pattern);
            }
            if round % 200 == 0 {
                assert_right(&trie, &kept, &keys);
            }
        }
    }

    #[test]
    fn long_keys_are_matched_to_their_end() {
        let mut rng = fastrand::Rng::with_seed(9);
        let words = |rng: &mut fastrand::Rng, from: &[&str], len| {
            let words: Vec<&str> = (0..len).map(|_| from[rng.usize(..from.len())]).collect();
            words.join(".")
        };
        let mut patterns: Vec<String> =
            (0..400).map(|_| words(&mut rng, &["a", "*", "*", "#"], 18)).collect();
        patterns.sort_unstable();
        patterns.dedup();
        let refs: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let keys: Vec<String> = (15..22).map(|len| words(&mut rng, &["a", "b"], len)).collect();
        assert_right(&of(&patterns), &refs, &keys);
    }

    #[test]
    fn removed_patterns_leave_nothing_behind() {
        let patterns = all(&["a", "b", "*", "#"], 3);
        let mut trie = of(&patterns);
        for pattern in &patterns {
            trie.remove(pattern, |value| value == pattern);
            trie.matches("a.a.a", |_, value| assert_ne!(value, pattern));
        }
        assert!(trie.exact.is_empty() && trie.edges.is_empty() && trie.words.is_empty());
        assert_eq!(trie.nodes.items.len() - trie.nodes.free.len(), 1);
        assert!(trie.nodes[ROOT].is_leaf());
        assert_eq!(trie.values.items.len(), trie.values.free.len());
        let before = (trie.nodes.items.len(), trie.values.items.len());
        for pattern in &patterns {
            trie.insert(pattern, pattern);
        }
        assert_eq!((trie.nodes.items.len(), trie.values.items.len()), before);
    }

    #[test]
    fn of_the_values_of_one_pattern_only_the_wanted_ones_go() {
        for pattern in ["a.b", "a.*"] {
            let mut trie = Trie::default();
            (0..5).for_each(|number| trie.insert(pattern, number));
            trie.remove(pattern, |number| number % 2 == 0);
            let mut found = Vec::new();
            trie.matches("a.b", |order, number| found.push((order, *number)));
            found.sort_unstable();
            assert_eq!(found, [(1, 1), (3, 3)]);
        }
    }

    #[test]
    fn many_hashes_take_no_time_that_grows_with_their_combinations() {
        let mut trie = Trie::default();
        trie.insert(&["#"; 60].join(".a."), ());
        let mut hits = 0;
        trie.matches(&["a"; 120].join("."), |_, ()| hits += 1);
        assert_eq!(hits, 1);
    }
}
