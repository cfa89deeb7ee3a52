//! What cases are made of.

use autobus_core::transport::{Binding, Envelope, Queue};

/// The exchange of most cases.
pub(super) const EXCHANGE: &str = "house";

/// The queue of a listener with these patterns on [`EXCHANGE`].
pub(super) fn queue(name: &str, patterns: &[&str]) -> Queue {
    Queue::listener(name, bindings(patterns))
}

/// Patterns on [`EXCHANGE`].
pub(super) fn bindings(patterns: &[&str]) -> Vec<Binding> {
    patterns.iter().map(|pattern| Binding::new(EXCHANGE, *pattern)).collect()
}

/// A message on [`EXCHANGE`].
pub(super) fn message(key: &str, id: &str) -> Envelope {
    let mut message = Envelope::new(EXCHANGE, key, format!("\"{id}\"").into_bytes());
    id.clone_into(&mut message.id);
    message.content_type = Some(Envelope::JSON.to_owned());
    message
}

/// A call, or the answer to one.
pub(super) fn text(text: &str) -> Envelope {
    let mut message = message("", text);
    message.exchange.clear();
    message
}
