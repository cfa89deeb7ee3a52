use bus::prelude::*;

#[command]
fn first<'a>(words: &'a str) -> String {
    words.to_owned()
}

fn main() {}
