use bus::prelude::*;

use std::sync::Arc;

struct Db;
type Database = State<Db>;
type Here = Context;

#[event(exchange = "order", key = "order.submit")]
struct Order;

#[listener]
fn any(order: &Order) {
    let _ = order;
}

#[listener(Order::SUBMIT)]
async fn one(order: Arc<Order>) {
    let _ = order;
}

#[listener(Order::EVENT, broadcast)]
fn first(ctx: &Context) {
    let _ = ctx;
}

#[listener("order.*", queue = "billing", retry = 5, concurrency = 8, prefetch = 64)]
async fn billing(order: Order, ctx: &Here, db: Database) -> Result<(), std::fmt::Error> {
    let _ = (order, ctx, db);
    Ok(())
}

#[listener("greet")]
fn greet(name: &str) -> std::io::Result<()> {
    let _ = name;
    Ok(())
}

#[listener("numbers")]
fn numbers(all: &[u32], db: State<Db>, ctx: &Context) -> Result<(), Box<dyn std::error::Error>> {
    let _ = (all, db, ctx);
    Ok(())
}

#[listener("#", exchange = "order", timeout = "5s")]
async fn audit(ctx: &Context) {
    let _ = ctx.key();
}

#[listener("tick", inline)]
fn tick(db: State<Db>) {
    let _ = db;
}

#[listener("a.b")]
#[listener("c.d", retry_if = is_passing)]
fn twice(id: &u32) -> Result<(), String> {
    Err(id.to_string())
}

fn is_passing(_: &String) -> bool {
    true
}

pub fn main() {}
