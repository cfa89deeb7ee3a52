use bus::prelude::*;

#[command]
fn find(x: Option<&str>, y: &mut u32) -> &str {
    *y += 1;
    x.unwrap_or("none")
}

#[command]
async fn longest(a: &str, b: &str) -> Result<&str, String> {
    Ok(if a.len() > b.len() { a } else { b })
}

#[derive(Default)]
struct Shelf;

#[service]
impl Shelf {
    #[command]
    fn pick(a: &str, b: &str) -> Option<&str> {
        Some(if a.len() > b.len() { a } else { b })
    }
}

fn main() {
    drop(find::execute(Some("a"), 1));
    drop(longest::execute("a", "b"));
}
