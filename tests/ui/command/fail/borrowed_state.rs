use bus::prelude::*;

struct Db;

#[command]
fn job(db: &State<Db>) {
    let _ = db;
}

fn main() {}
