//! The rules of names: routing keys, patterns, names on the bus, identifiers made of them.
//!
//! Every rule is a function from the text to what is wrong with it, worded with its remedy. The
//! same rules hold at run time for the dynamic API (`bus::name`); here they hold while the macro
//! runs. One limit is for all: a name is used as it is, so that a command's is a routing key and a
//! queue without a prefix.

use std::fmt::Write as _;

use syn::LitStr;

use crate::errors::Errors;

/// AMQP 0-9-1 sends names and keys as short strings (section 4.2.5.3): at most 255 bytes.
const SHORT_STRING: usize = 255;

/// Reports what breaks `rule` in a literal, at the literal.
pub(crate) fn check(text: &LitStr, rule: impl FnOnce(&str) -> Result<(), String>, errors: &Errors) {
    if let Err(message) = rule(&text.value()) {
        errors.at(text, message);
    }
}

/// What is wrong with `key` as the routing key of an event.
///
/// AMQP 0-9-1, section 3.1.3.3: a key is words, delimited by dots. The wildcards belong to
/// patterns alone.
pub(crate) fn key(key: &str) -> Result<(), String> {
    words("a routing key", key)?;
    match key.split('.').find(|word| word.contains(['*', '#'])) {
        Some(word) => Err(format!(
            "an event is fired with one exact key and `{word}` is a wildcard; \
             write a plain word, wildcards belong into a listener's pattern"
        )),
        None => Ok(()),
    }
}

/// What is wrong with `pattern` as the pattern of a listener.
///
/// AMQP 0-9-1, section 3.1.3.3: `*` matches one word, `#` zero or more; both stand for whole
/// words.
pub(crate) fn pattern(pattern: &str) -> Result<(), String> {
    words("a pattern", pattern)?;
    match pattern.split('.').find(|word| word.len() > 1 && word.contains(['*', '#'])) {
        Some(word) => Err(format!(
            "a wildcard stands for whole words and `{word}` mixes it with others; \
             write `*` for one word or `#` for any number of them"
        )),
        None => Ok(()),
    }
}

/// What keys and patterns have in common.
fn words(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{what} has at least one word; write one, such as `order.submit`"));
    }
    if text.split('.').any(str::is_empty) {
        return Err(format!("{what} has no empty words; remove the surplus `.`"));
    }
    short(what, text, SHORT_STRING)
}

/// What is wrong with `name` as the name of a command, a service, an exchange or a queue.
pub(crate) fn on_the_bus(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("the name of {what} is empty; write one"));
    }
    let strange = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if let Some(strange) = name.chars().find(strange) {
        return Err(format!(
            "`{}` cannot stand in the name of {what}; use `A-Z`, `a-z`, `0-9`, `_`, `-` and `.`",
            strange.escape_debug()
        ));
    }
    if name.split('.').any(str::is_empty) {
        return Err(format!("the name of {what} has no empty words; remove the surplus `.`"));
    }
    short(&format!("the name of {what}"), name, SHORT_STRING)
}

/// What is wrong with `name` as the name of an exchange.
pub(crate) fn exchange(name: &str) -> Result<(), String> {
    on_the_bus("an exchange", name)
}

/// What is wrong with `name` as the name of a queue.
///
/// AMQP 0-9-1, `queue.declare`: names that begin with `amq.` are the broker's own.
pub(crate) fn queue(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the name of a queue is empty; write one, or leave `queue` out".to_owned());
    }
    if name.starts_with("amq.") {
        return Err("queues that begin with `amq.` are the broker's own; write another".to_owned());
    }
    on_the_bus("a queue", name)
}

fn short(what: &str, text: &str, most: usize) -> Result<(), String> {
    match text.len() {
        len if len > most => {
            Err(format!("{what} has at most {most} bytes and this one has {len}; shorten it"))
        }
        _ => Ok(()),
    }
}

/// The name of an event that has none: the last word of its key, as an identifier.
pub(crate) fn of_key(key: &str) -> String {
    key.rsplit('.').find(|word| !word.is_empty()).unwrap_or(key).replace('-', "_").to_lowercase()
}

/// What is wrong with `name` as the name of an event, of which a constant and a method are made.
pub(crate) fn event(name: &str) -> Result<(), String> {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c == '_' || c.is_ascii_lowercase());
    let others = chars.all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit());
    if !first || !others || name.chars().all(|c| c == '_') {
        return Err(format!(
            "`{name}` cannot name a method; \
             write `name = \"…\"` in snake_case, such as `name = \"submit\"`"
        ));
    }
    match name {
        "event" => {
            Err("`event` would hide the struct's `EVENT`; write another `name = \"…\"`".to_owned())
        }
        "fire" | "clone" => Err(format!(
            "`{name}` would hide the method that every event has; write another `name = \"…\"`"
        )),
        "self" | "super" | "crate" => {
            Err(format!("`{name}` is a keyword and cannot name a method; write `name = \"…\"`"))
        }
        _ => Ok(()),
    }
}

/// `HttpLedger2` in `snake_case`: `http_ledger2`.
pub(crate) fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (i, c) in chars.iter().enumerate() {
        let after_lower = i > 0 && (chars[i - 1].is_lowercase() || chars[i - 1].is_ascii_digit());
        let ends_acronym = i > 0
            && chars[i - 1].is_uppercase()
            && chars.get(i + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (after_lower || ends_acronym) {
            snake.push('_');
        }
        let _ = write!(snake, "{}", c.to_lowercase());
    }
    snake
}

/// Whether a type of this name would hide a primitive one in the whole module.
pub(crate) fn is_primitive(name: &str) -> bool {
    matches!(
        name,
        "bool"
            | "char"
            | "str"
            | "u8"
            | "u16"
            | "u32"
            | "u64"
            | "u128"
            | "usize"
            | "i8"
            | "i16"
            | "i32"
            | "i64"
            | "i128"
            | "isize"
            | "f16"
            | "f32"
            | "f64"
            | "f128"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(result: Result<(), String>) -> String {
        result.expect_err("the name is wrong")
    }

    #[test]
    fn keys_are_words() {
        assert_eq!(key("order.v1.submit"), Ok(()));
        assert!(refused(key("")).contains("at least one word"));
        assert!(refused(key("order..submit")).contains("no empty words"));
        assert!(refused(key("order.")).contains("no empty words"));
        assert!(refused(key("order.*")).contains("`*` is a wildcard"));
        assert!(refused(key("order.#")).contains("`#` is a wildcard"));
        assert!(refused(key(&"a".repeat(256))).contains("at most 255 bytes and this one has 256"));
        assert_eq!(key(&"a".repeat(255)), Ok(()));
    }

    #[test]
    fn wildcards_stand_for_whole_words() {
        for right in ["#", "*", "order.*.submit", "#.submit", "order.#", "a.#.b.*"] {
            assert_eq!(pattern(right), Ok(()), "{right}");
        }
        assert!(refused(pattern("ord*.submit")).contains("`ord*` mixes it"));
        assert!(refused(pattern("order.##")).contains("`##` mixes it"));
        assert!(refused(pattern("order..submit")).contains("no empty words"));
        assert!(refused(pattern("")).contains("at least one word"));
    }

    #[test]
    fn names_on_the_bus_have_an_alphabet() {
        assert_eq!(on_the_bus("a command", "math.add-2_x"), Ok(()));
        assert!(refused(on_the_bus("a command", "say hello")).starts_with("` ` cannot stand"));
        assert!(refused(on_the_bus("a command", "")).contains("is empty"));
        assert!(refused(on_the_bus("a command", ".add")).contains("no empty words"));
        assert_eq!(on_the_bus("a command", &"a".repeat(255)), Ok(()));
        assert!(refused(on_the_bus("a command", &"a".repeat(256))).contains("at most 255 bytes"));
    }

    #[test]
    fn queues_leave_the_brokers_own_alone() {
        assert_eq!(queue("billing_order"), Ok(()));
        assert!(refused(queue("amq.gen")).contains("broker's own"));
        assert!(refused(queue("")).contains("is empty"));
        assert!(refused(queue("billing order")).contains("cannot stand in the name of a queue"));
        assert_eq!(exchange("amq.topic"), Ok(()));
        assert!(refused(exchange("")).contains("is empty"));
        assert!(refused(exchange("a:b")).contains("cannot stand in the name of an exchange"));
    }

    #[test]
    fn an_event_is_named_after_its_keys_last_word() {
        assert_eq!(of_key("order.v1.submit"), "submit");
        assert_eq!(of_key("order.charge-back"), "charge_back");
        assert_eq!(event("charge_back"), Ok(()));
        assert!(refused(event("2")).contains("cannot name a method"));
        assert!(refused(event("Submit")).contains("snake_case"));
        assert!(refused(event("event")).contains("hide the struct's `EVENT`"));
        assert!(refused(event("fire")).contains("hide the method"));
        assert!(refused(event("self")).contains("keyword"));
    }

    #[test]
    fn type_names_become_snake_case() {
        for (name, snake) in [
            ("Ledger", "ledger"),
            ("HTTPServer", "http_server"),
            ("OrderBook2", "order_book2"),
            ("V2Api", "v2_api"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
    }
}
