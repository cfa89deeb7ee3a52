use bus::prelude::*;

#[command("a b", retires = 3)]
fn job<T>(a: &mut T, b: Option<&str>) -> Box<dyn Fn(&str) -> &str> {
    let _ = (a, b);
    Box::new(|text| text)
}

fn main() {}
