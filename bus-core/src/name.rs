//! Names on the bus: exchanges, routing keys, patterns and command names.
//!
//! Keys and patterns follow the topic exchange of AMQP 0-9-1 (specification, section 3.1.3.3):
//! words split by `.`; in a pattern `*` is exactly one word and `#` is zero or more. Two rules are
//! narrower than the specification's, so that no key means nothing: a word is never empty, and a
//! key of ours has no `*` or `#` in it, not even inside of a word. The limit of 255 bytes is the
//! specification's `shortstr`; it holds for every name, since each is used as it is, without a prefix.
//! The macros hold the same rules while they run.

use std::fmt;

/// The exchange that carries `fire_event` and every listener of a one-word name.
pub const DEFAULT_EXCHANGE: &str = "bus";

/// The longest key, pattern or name, in bytes (AMQP 0-9-1, `shortstr`).
pub const MAX_LEN: usize = 255;

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// It has no characters.
    Empty,
    /// It has an empty word: it begins or ends with a dot, or has two in a row.
    EmptyWord(String),
    /// It is longer than 255 bytes.
    TooLong(usize),
    /// A routing key has a wildcard.
    Wildcard(String),
    /// `*` or `#` stands beside other characters in one word.
    PartialWildcard(String),
    /// A character that the name may not have.
    Character(String, char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::EmptyWord(name) => {
                write!(f, "`{name}` has an empty word; write exactly one dot between two words")
            }
            Self::TooLong(len) => {
                write!(f, "the name has {len} bytes; the protocol's limit is {MAX_LEN}")
            }
            Self::Wildcard(key) => {
                write!(f, "the routing key `{key}` has a wildcard; only a listener's pattern may")
            }
            Self::PartialWildcard(pattern) => {
                write!(f, "a wildcard in `{pattern}` is part of a word; it must stand alone")
            }
            Self::Character(name, c) => write!(
                f,
                "`{name}` has the character `{c}`; use `A-Z`, `a-z`, `0-9`, `_`, `-` and `.`"
            ),
        }
    }
}

impl std::error::Error for NameError {}

/// Checks a routing key.
///
/// # Errors
///
/// If it is empty, longer than 255 bytes, has an empty word, or `*` or `#` in any word.
pub fn check_key(key: &str) -> Result<(), NameError> {
    check_words(key)?;
    if key.contains(['*', '#']) {
        return Err(NameError::Wildcard(key.to_owned()));
    }
    Ok(())
}

/// Checks a pattern: the routing key of a topic binding.
///
/// # Errors
///
/// If it is empty, too long, has an empty word, or a wildcard that does not stand alone.
pub fn check_pattern(pattern: &str) -> Result<(), NameError> {
    check_words(pattern)?;
    if pattern.split('.').any(|word| word.len() > 1 && word.contains(['*', '#'])) {
        return Err(NameError::PartialWildcard(pattern.to_owned()));
    }
    Ok(())
}

/// Checks the name of a command, a service, a queue or an exchange.
///
/// # Errors
///
/// If it is empty, longer than 255 bytes, has an empty word, or a character outside
/// `A-Z a-z 0-9 _ - .`.
pub fn check_name(name: &str) -> Result<(), NameError> {
    check_words(name)?;
    let odd = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    match name.chars().find(odd) {
        Some(c) => Err(NameError::Character(name.to_owned(), c)),
        None => Ok(()),
    }
}

fn check_words(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_LEN {
        return Err(NameError::TooLong(name.len()));
    }
    if name.split('.').any(str::is_empty) {
        return Err(NameError::EmptyWord(name.to_owned()));
    }
    Ok(())
}

/// Whether `name` is `parent` or lies below it: `billing.ledger` is below `billing`.
pub(crate) fn is_below(name: &str, parent: &str) -> bool {
    name.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The first word, and what follows it.
pub(crate) fn first_word(text: &str) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == b'.') {
        Some(dot) => (&text[..dot], Some(&text[dot + 1..])),
        None => (text, None),
    }
}

/// The known names that resemble `unknown` most, best first, three at the most.
pub(crate) fn near<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = known
        .map(|name| {
            let last = name.rsplit('.').next().unwrap_or(name);
            let score =
                strsim::jaro_winkler(unknown, name).max(strsim::jaro_winkler(unknown, last));
            (score, name)
        })
        .filter(|(score, _)| *score > 0.75)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// `` `a`, `b` `` or `none`.
pub(crate) fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let quoted: Vec<String> =
        names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    if quoted.is_empty() { "none".to_owned() } else { quoted.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_words_and_no_wildcards() {
        assert_eq!(check_key("order.v1.submit"), Ok(()));
        assert_eq!(check_key(""), Err(NameError::Empty));
        assert_eq!(check_key("a..b"), Err(NameError::EmptyWord("a..b".into())));
        assert_eq!(check_key(".a"), Err(NameError::EmptyWord(".a".into())));
        for key in ["a.*", "#", "a.b*", "a#.b", "*a"] {
            assert_eq!(check_key(key), Err(NameError::Wildcard(key.into())));
        }
        assert_eq!(check_key(&"x".repeat(255)), Ok(()));
        assert_eq!(check_key(&"x".repeat(256)), Err(NameError::TooLong(256)));
    }

    #[test]
    fn a_wildcard_is_a_word_of_its_own() {
        assert_eq!(check_pattern("order.*.submit"), Ok(()));
        assert_eq!(check_pattern("#"), Ok(()));
        assert_eq!(check_pattern("a.b*"), Err(NameError::PartialWildcard("a.b*".into())));
        assert_eq!(check_pattern("##"), Err(NameError::PartialWildcard("##".into())));
    }

    #[test]
    fn names_keep_to_their_alphabet() {
        assert_eq!(check_name("billing.say_hello-2"), Ok(()));
        assert_eq!(check_name(&"x".repeat(255)), Ok(()));
        assert_eq!(check_name(&"x".repeat(256)), Err(NameError::TooLong(256)));
        assert_eq!(check_name("a b"), Err(NameError::Character("a b".into(), ' ')));
    }

    #[test]
    fn below_ends_at_a_dot() {
        assert!(is_below("billing.ledger", "billing"));
        assert!(is_below("billing", "billing"));
        assert!(!is_below("billings", "billing"));
    }

    #[test]
    fn near_names_are_found_by_their_last_word_too() {
        let known = ["users.create", "orders.create", "say_hello"];
        assert_eq!(near("say_helo", known.into_iter()), ["say_hello"]);
        assert_eq!(near("create", known.into_iter()), ["orders.create", "users.create"]);
        assert!(near("zzz", known.into_iter()).is_empty());
    }
}
