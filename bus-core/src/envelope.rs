//! The envelope of a message, with the attribute names of CloudEvents 1.0.

use std::collections::BTreeMap;

/// The headers of a message: names and texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// No headers.
    pub(crate) fn none() -> &'static Self {
        static NONE: Headers = Headers(BTreeMap::new());
        &NONE
    }

    /// The text of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Every header, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
