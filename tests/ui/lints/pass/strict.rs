//! What the macros generate stays silent under the strictest lints.
#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_debug_implementations,
    missing_docs,
    rust_2018_idioms,
    unreachable_pub,
    clippy::all,
    clippy::pedantic
)]

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;

use bus::prelude::*;
use serde::{Deserialize, Serialize};

/// Greets somebody.
#[command]
#[must_use]
pub fn say_hello(name: &str) -> String {
    format!("Hello, {name}!")
}

/// Says where it is.
#[command("strict.place", timeout = "5s", retry = 3, backoff = ["1s", "5s"])]
#[must_use]
pub fn place(id: u32, _unused: &[u8], ctx: &Context, db: State<Db>) -> String {
    format!("{} {} {id}", ctx.service(), db.name)
}

#[command(local, concurrency = 4, service = "strict", retry_if = Problem::is_passing, unique)]
async fn divide(
    bus: u32,
    r#type: Option<u8>,
    (x, y): (u32, u32),
    mut by: u32,
    _: u8,
) -> Result<u32, Problem> {
    by += x + y + u32::from(r#type.unwrap_or(0));
    bus.checked_div(by).ok_or(Problem)
}

/// Adds, elsewhere.
#[command("strict.add")]
pub fn add(left: u32, right: &str) -> std::io::Result<u32>;

/// Counts, elsewhere.
#[command("strict.count")]
pub fn count(text: &str) -> std::io::Result<usize>;

mod here {
    // It never fails, and the contract says that it may.
    #[bus::command(serves = super::count, handle = count_here)]
    fn count(text: &str) -> std::io::Result<usize> {
        Ok(text.len())
    }

    #[bus::command(serves = super::add, handle = add_here)]
    fn add(left: u32, right: &str) -> std::io::Result<u32> {
        right.parse().map(|right: u32| left + right).map_err(std::io::Error::other)
    }
}

#[command(inline)]
fn nothing() {}

/// Is on its way out.
#[deprecated(note = "say hello")]
#[command(local)]
#[must_use]
pub fn old(db: &Db) -> String {
    db.name.clone()
}

/// A database.
#[derive(Debug, Clone)]
pub struct Db {
    name: String,
}

/// A problem.
#[derive(Debug)]
pub struct Problem;

impl Problem {
    fn is_passing(&self) -> bool {
        format!("{self:?}").is_empty()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a problem")
    }
}

/// An order.
#[event(exchange = "order", key = "order.v1.submit")]
#[event(key = "order.v1.match")]
#[derive(Debug)]
pub struct OrderV1 {
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A line of an order.
#[payload]
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// What is ordered.
    pub id: u32,
}

#[event(exchange = "order", key = "order.v2.submit", upcasts(OrderV1))]
#[derive(Debug)]
enum Order {
    Empty,
    Full(Vec<Line>),
}

impl From<OrderV1> for Order {
    fn from(old: OrderV1) -> Self {
        if old.lines.is_empty() { Self::Empty } else { Self::Full(old.lines) }
    }
}

#[derive(Debug, Event)]
#[event(local, exchange = "work", key = "work.ready")]
struct Ready(Mutex<u32>);

/// A shipment; its two events are on one exchange.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event(exchange = "shipment", key = "shipment.sent")]
#[event(key = "shipment.lost")]
pub struct Shipment {
    /// What is shipped.
    pub id: u32,
}

bus::link!(bus);
bus::service_name!("strict");

#[listener]
fn any(order: &OrderV1) {
    drop(order.r#match());
}

#[listener(OrderV1::SUBMIT)]
fn one(order: &OrderV1) {
    drop(order.submit());
}

#[listener("order.*.submit", queue = "billing_order", retry = 5, concurrency = 8)]
async fn billing(order: Order, ctx: &Context, db: State<Db>) -> Result<(), Problem> {
    match order {
        Order::Empty if ctx.key() == db.name => Err(Problem),
        Order::Empty => Ok(()),
        Order::Full(lines) => lines.first().map(|_| ()).ok_or(Problem),
    }
}

#[listener("order.*.submit", retry_if = Problem::is_passing)]
fn shared(order: Arc<Order>) -> Result<(), Problem> {
    if matches!(*order, Order::Empty) { Err(Problem) } else { Ok(()) }
}

#[listener("#", broadcast, exchange = "order")]
async fn audit(ctx: &Context) {
    drop(ctx.key().to_owned());
}

#[listener("greet")]
fn greet(name: &str) -> fmt::Result {
    if name.is_empty() { Err(fmt::Error) } else { Ok(()) }
}

/// A ledger.
#[derive(Debug)]
pub struct Ledger {
    rows: Rc<u32>,
}

#[service(on_panic = keep)]
impl Ledger {
    #[init]
    fn open(db: State<Db>) -> Result<Self, Problem> {
        if db.name.is_empty() { Err(Problem) } else { Ok(Self { rows: Rc::new(3) }) }
    }

    #[command]
    fn balance(&self, account: &str) -> u32 {
        u32::try_from(account.len()).map_or(0, |len| len + *self.rows)
    }

    /// Grows, after a while.
    #[bus::command("ledger.grow", handle = grow_ledger)]
    pub async fn grow(&mut self, by: u32) -> u32 {
        self.rows = Rc::new(*self.rows + by);
        *self.rows
    }

    #[command]
    async fn later(&self) -> u32 {
        *self.rows
    }

    #[command]
    fn version() -> u32 {
        1
    }

    #[listener("order.*.submit")]
    async fn book(&mut self, order: &Order) {
        if let Order::Full(lines) = order {
            self.rows = Rc::new(lines.iter().map(|line| line.id).sum());
        }
    }

    #[listener("#")]
    fn count(&mut self) {
        self.rows = Rc::new(*self.rows + 1);
    }

    #[shutdown]
    async fn close(&mut self, ctx: &Context) {
        drop(ctx.service().to_owned());
        self.rows = Rc::new(0);
    }
}

#[derive(Debug, Default)]
struct Plain;

#[service("strict.plain")]
impl Plain {
    #[command]
    fn words(&self) -> String {
        format!("{self:?}")
    }
}

/// Calls all of it.
///
/// # Errors
///
/// Those of the commands.
pub fn call(bus: &bus::Bus) -> Result<(), Box<dyn std::error::Error>> {
    let greeting: String = say_hello::execute("Alice").wait()?;
    drop(place::dispatch(3, &[]));
    drop(divide::on(bus).execute(1, None, (1, 2), 3, 4).wait());
    let sum: u32 = add::execute(1, &greeting).wait()? + here::add_here::execute(1, "2").wait()?;
    nothing::on(bus).execute().wait()?;
    drop((grow_ledger::dispatch(sum), balance::execute("alice"), later::execute()));
    drop((version::execute(), words::execute()));
    let ready = Ready(Mutex::new(1));
    drop(ready.0.lock());
    drop((ready.fire(), Order::Empty.submit()));
    let shipment = Shipment { id: 1 };
    drop((shipment.sent(), shipment.lost()));
    Ok(())
}

/// Nothing is called here; it is enough that it compiles.
pub fn main() {
    let _: fn(&bus::Bus) -> _ = call;
}
