use bus::prelude::*;

mod own {
    pub enum Result<T> {
        Fine(T),
    }
}

#[command]
fn price() -> own::Result<u32> {
    own::Result::Fine(1)
}

fn main() {}
