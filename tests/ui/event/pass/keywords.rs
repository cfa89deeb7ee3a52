use bus::prelude::*;

#[event(exchange = "a", key = "a.gen")]
#[event(exchange = "a", key = "a.type")]
#[event(exchange = "a", key = "a.async")]
struct r#mod;

#[listener(r#mod::GEN)]
fn hear(it: &r#mod) {
    let _ = it.r#gen();
    let _ = it.r#type();
    let _ = it.r#async();
}

pub fn main() {}
