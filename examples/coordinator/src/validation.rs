//! Which requests are right.

use bus::prelude::*;

use crate::contracts::{self, Request};

/// Everything that is wrong with a request, each with its remedy.
#[command(serves = contracts::validate)]
fn validate(request: &Request) -> Vec<String> {
    let Request { id, text, difficulty, nonces, pieces } = request;
    let of_the_alphabet = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let rules = [
        (
            (1..=64).contains(&id.len()) && id.chars().all(of_the_alphabet),
            "`id` is 1 to 64 of the characters `A-Z a-z 0-9 - _`",
        ),
        ((1..=1_024).contains(&text.len()), "`text` is 1 to 1,024 bytes long"),
        ((1..=48).contains(difficulty), "`difficulty` is 1 to 48 bits"),
        ((1..=1 << 48).contains(nonces), "`nonces` is 1 to 2^48"),
        ((1..=4_096).contains(pieces), "`pieces` is 1 to 4,096"),
    ];
    let broken = rules.into_iter().filter(|(is_kept, _)| !is_kept);
    broken.map(|(_, rule)| rule.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_broken_rule_is_told_at_once() {
        let right =
            Request { id: "a-1".into(), text: "x".into(), difficulty: 8, nonces: 9, pieces: 2 };
        assert_eq!(validate(&right), [""; 0]);
        let wrong =
            Request { id: "../a".into(), text: String::new(), difficulty: 0, nonces: 0, pieces: 0 };
        assert_eq!(validate(&wrong).len(), 5);
    }
}
