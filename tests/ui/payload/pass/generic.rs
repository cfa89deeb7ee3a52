use bus::prelude::*;

#[payload]
#[derive(Debug, PartialEq)]
struct Page<T> {
    rows: Vec<T>,
}

#[payload]
enum Choice {
    Left(u32),
    Right { text: String },
}

#[command]
fn page(choice: Choice) -> Page<u32> {
    match choice {
        Choice::Left(row) => Page { rows: vec![row] },
        Choice::Right { text } => Page { rows: vec![text.len() as u32] },
    }
}

pub fn main() {
    let _ = page::execute(Choice::Left(1));
    let _ = page::execute(Choice::Right { text: String::new() });
}
