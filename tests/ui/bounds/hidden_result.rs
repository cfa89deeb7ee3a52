use bus::prelude::*;

type Fallible<T> = Result<T, String>;

#[command]
fn price() -> Fallible<u32> {
    Ok(1)
}

fn main() {}
