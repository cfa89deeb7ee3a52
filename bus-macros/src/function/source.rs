//! Tokens as text, spaced as one would write them.
//!
//! The text that the compiler makes of tokens differs between its versions and loses spaces when
//! tokens pass through a macro; a command's signature is shown to people and has to stay the same.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// Writes `tokens` as one line.
pub(crate) fn text(tokens: TokenStream) -> String {
    let mut text = String::new();
    let mut before = Before::Start;
    write(tokens, &mut text, &mut before);
    text
}

/// What was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing, or what needs no space behind it.
    Start,
    /// A word, a literal or a closing bracket.
    Word,
    /// What wants a space behind it.
    Spaced,
}

fn write(tokens: TokenStream, text: &mut String, before: &mut Before) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                if *before == Before::Spaced {
                    text.push(' ');
                }
                text.push_str(open);
                *before = Before::Start;
                write(group.stream(), text, before);
                text.push_str(close);
                *before = Before::Word;
            }
            TokenTree::Punct(punct) => punctuation(punct.as_char(), punct.spacing(), text, before),
            word => {
                if *before != Before::Start {
                    text.push(' ');
                }
                let word = word.to_string();
                text.push_str(&word);
                let stands_alone = matches!(&*word, "as" | "dyn" | "for" | "impl" | "mut");
                *before = if stands_alone { Before::Spaced } else { Before::Word };
            }
        }
    }
}

fn punctuation(c: char, spacing: Spacing, text: &mut String, before: &mut Before) {
    let joins_path = c == ':' && (spacing == Spacing::Joint || text.ends_with(':'));
    let arrow = (matches!(c, '-' | '=') && spacing == Spacing::Joint)
        || (c == '>' && text.ends_with(['-', '=']));
    let (space, next) = match c {
        ':' if joins_path => (*before == Before::Spaced, Before::Start),
        ':' | ',' | ';' => (false, Before::Spaced),
        '-' | '=' if arrow => (true, Before::Start),
        '>' if arrow => (false, Before::Spaced),
        '>' => (false, Before::Word),
        '=' | '+' | '|' => (true, Before::Spaced),
        '&' | '*' | '\'' | '#' | '!' => (*before != Before::Start, Before::Start),
        _ => (*before == Before::Spaced, Before::Start),
    };
    if space && !text.is_empty() && !text.ends_with([' ', '(', '[']) {
        text.push(' ');
    }
    text.push(c);
    *before = next;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_reads_as_written() {
        for source in [
            "fn say_hello(name: &str) -> Result<String, MyErr>",
            "async fn f(a: Vec<u8>, (b, c): (u32, u32), d: &[T]) -> std::io::Result<()>",
            "fn g(db: State<Db>, ctx: &Context, x: ::std::option::Option<[u8; 4]>)",
            "fn h(f: Box<dyn Fn(&str) -> u32 + Send + 'static>)",
            "fn i(x: <T as Trait>::Out) -> Vec<Vec<u32>>",
            "fn j(x: (Vec<u32>,), y: &mut [T], z: <T as ::a::B>::C)",
        ] {
            let tokens: TokenStream = source.parse().expect("it is Rust");
            assert_eq!(text(tokens), source);
        }
    }
}
