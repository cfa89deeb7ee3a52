//! Parts of the runtime that the benchmark measures on their own. For nobody else: no version
//! promises anything about them.

use crate::table::Table;
use crate::trie::Trie;

/// Patterns, each with a number.
#[derive(Default)]
pub struct Patterns(Trie<u32>);

impl Patterns {
    /// Keeps a pattern.
    pub fn insert(&mut self, pattern: &str, number: u32) {
        self.0.insert(pattern, number);
    }

    /// Calls `found` with the number of every pattern that matches.
    pub fn matches(&self, key: &str, mut found: impl FnMut(u32)) {
        self.0.matches(key, |_, number| found(*number));
    }
}

impl std::fmt::Debug for Patterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patterns(..)")
    }
}

/// Keys whose routes a bus has looked up before.
pub struct Keys(Table);

impl Keys {
    /// Looks the routes of these keys up.
    pub fn new<'a>(exchange: &str, keys: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = Table::new(Vec::new());
        for key in keys {
            table.remember(exchange, key);
        }
        Self(table)
    }

    /// How many listeners the key has; nothing if it was not looked up before.
    pub fn listeners(&self, exchange: &str, key: &str) -> Option<usize> {
        self.0.remembered(exchange, key).map(|route| route.deliveries.count as usize)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}
