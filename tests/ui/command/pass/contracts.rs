use bus::prelude::*;

pub mod contracts {
    #[bus::command("shop.price")]
    pub fn price(id: u32, name: &str) -> Result<u32, String>;

    #[bus::command(timeout = "5s")]
    pub async fn ping();
}

#[command(serves = contracts::price)]
async fn price(id: u32, name: &str, ctx: &Context) -> Result<u32, String> {
    let _ = (name, ctx);
    Ok(id)
}

#[command(serves = crate::command::contracts::contracts::ping, handle = pong)]
fn ping() {}

pub fn main() {
    let _ = contracts::price::execute(1, "a").wait();
    let _ = price::execute(1, "a").wait();
    let _ = pong::execute().wait();
}
