//! Testing what runs on a bus: in virtual time, with eyes, and with faults to order.
//!
//! [`TestBus`] runs what is linked into the test's program: in memory, beside any other bus, and
//! nobody's default. It is a [`Bus`](crate::Bus) with a few words more, so a test fires and executes
//! as the program does.
//!
//! ```rust,standalone_crate
//! use bus::prelude::*;
//! use bus::testing::TestBus;
//!
//! #[event(exchange = "order", key = "order.submit")]
//! pub struct Order {
//!     pub id: u64,
//! }
//!
//! #[event(exchange = "billing", key = "invoice.written")]
//! pub struct Invoice {
//!     pub order: u64,
//! }
//!
//! #[listener]
//! fn write_invoice(order: &Order, ctx: &Context) {
//!     ctx.bus().fire(Invoice { order: order.id });
//! }
//!
//! // A test would stand under `#[test]`.
//! fn main() -> bus::Result<()> {
//!     let bus = TestBus::new()?;
//!     bus.fire(Order { id: 7 });
//!     bus.settle(); // until nothing runs and nothing is ready
//!
//!     let invoices = bus.fired::<Invoice>();
//!     assert_eq!(invoices.len(), 1);
//!     assert_eq!(invoices[0].order, 7);
//!     assert_eq!(invoices[0].key(), "invoice.written");
//!     Ok(())
//! }
//! ```
//!
//! [`fired`](TestBus::fired) lends the payloads themselves, which need not be `Clone`.
//! [`fired_as`](TestBus::fired_as) asks by pattern, also for what was fired by name, and gives the
//! payloads as a listener would receive them: `bus.fired_as::<String>("greet_event")?`. A plain
//! function that says `order.submit()` means the default bus; [`enter`](TestBus::enter) makes the
//! test's bus the current one of its thread.
//!
//! # Time
//!
//! Time is virtual: it stands still while anything runs, and moves from one due timer to the next.
//! Retries over minutes, timeouts and chains of both happen in the order of their times, and take no
//! time at all.
//!
//! Whoever *waits*, on a thread or in an executor, moves time, as far as it takes: a wait ends on a
//! test bus where it would end on any other. [`advance`](TestBus::advance) moves it by hand, for
//! what a test wants to see in between.
//!
//! ```rust,standalone_crate
//! use std::time::Duration;
//!
//! use bus::prelude::*;
//! use bus::testing::TestBus;
//!
//! #[listener("order_placed", retry = 2, backoff = ["10s", "2m"])]
//! fn bill(order: u64, ctx: &Context) -> Result<(), String> {
//!     if ctx.attempt() < 3 { Err("the bank is closed".to_owned()) } else { Ok(()) }
//! }
//!
//! fn main() -> bus::Result<()> {
//!     let bus = TestBus::new()?;
//!     let start = bus.time();
//!     bus.fire_event("order_placed", 7).handled().wait()?.ok()?;
//!     assert_eq!(bus.time(), start + Duration::from_secs(130));
//!
//!     bus.fire_event("order_placed", 8);
//!     bus.advance(Duration::from_secs(129));
//!     assert_eq!(bus.stats().retrying, 1);
//!     bus.advance(Duration::from_secs(1));
//!     assert_eq!(bus.stats().retrying, 0);
//!     Ok(())
//! }
//! ```
//!
//! What time waits for:
//!
//! | A handler | `settle()` | `advance()` and waiting |
//! |---|---|---|
//! | runs, or blocks its thread | waits for it | wait for it |
//! | waits for the bus: a promise, a receipt | waits for that instead | wait for that instead |
//! | awaits what nothing can wake, `pending()` | goes on | go on |
//! | awaits anything else: a socket, a channel | waits for it | wait for it, 1 s at the most |
//!
//! That second is the machine's, and the only real time in all of this: what is outside of the bus
//! has it to answer before its callers time out. [`patience`](TestBuilder::patience) sets it. With
//! [`by_hand`](TestBuilder::by_hand) nobody's waiting moves time, and
//! [`clock().advance(..)`](crate::Clock::advance) moves it without regard for anybody.
//!
//! # In the place of a handler
//!
//! A closure takes the place of a command or a listener, which keeps its name, its service and its
//! options. Types are checked when it is called, as those of any closure on the bus. What only the
//! replaced code needs, such as the state below, need not be there.
//!
//! ```rust,standalone_crate
//! use bus::prelude::*;
//! use bus::testing::TestBus;
//!
//! pub struct Bank;
//!
//! #[payload]
//! #[derive(Debug, PartialEq)]
//! pub struct Declined;
//!
//! #[command]
//! fn charge(card: &str, cents: u32, bank: State<Bank>) -> Result<u32, Declined> {
//!     unimplemented!("asks the bank")
//! }
//!
//! #[command]
//! async fn check_out(card: String) -> Result<u32, Declined> {
//!     match charge::execute(&card, 995).await {
//!         Ok(receipt) => Ok(receipt),
//!         Err(_) => Err(Declined),
//!     }
//! }
//!
//! fn main() -> bus::Result<()> {
//!     let bus = TestBus::builder()
//!         .replace::<charge, _>(|card: String, _cents: u32| {
//!             if card == "gold" { Ok(7) } else { Err(Declined) }
//!         })
//!         .build()?;
//!     assert_eq!(check_out::on(&bus).execute("gold".to_owned()).wait().unwrap(), 7);
//!     let declined = check_out::on(&bus).execute("lead".to_owned()).wait();
//!     assert_eq!(declined, Err(ExecuteError::Handler(Declined)));
//!     Ok(())
//! }
//! ```
//!
//! [`replace_command`](TestBuilder::replace_command) and
//! [`replace_listener`](TestBuilder::replace_listener) go by name.
//! [`without`](TestBuilder::without) leaves whole services out, with their `#[init]`; together they
//! replace a service by closures: `.without(["mail"]).replace_command("mail.send", ..)`. A name that
//! is not there is a fault of the wiring, reported with the others.
//!
//! A program that makes its bus in a function of its own has that tested:
//! `TestBuilder::from(app())`.
//!
//! # Faults to order
//!
//! [`inject`](TestBus::inject) plans faults for the next attempts of a handler, in the order in which
//! they are written: to fail, to come later, to be lost, to come twice.
//!
//! ```rust,standalone_crate
//! use std::time::Duration;
//!
//! use bus::prelude::*;
//! use bus::testing::TestBus;
//!
//! #[command("stock.reserve")]
//! fn reserve(pieces: u32) -> u32 {
//!     pieces
//! }
//!
//! #[listener("order_placed", retry = 3, backoff = "1s")]
//! async fn ship(pieces: u32, ctx: &Context) -> Result<(), Box<dyn std::error::Error>> {
//!     let reserved = reserve::execute(pieces).await?;
//!     ctx.bus().fire_event("shipped", (reserved, ctx.attempt()));
//!     Ok(())
//! }
//!
//! fn main() -> bus::Result<()> {
//!     let bus = TestBus::new()?;
//!     bus.inject("stock.reserve")?
//!         .fail(1, "the warehouse burns")
//!         .drop(1) // its caller times out
//!         .delay(1, Duration::from_secs(5));
//!
//!     let start = bus.time();
//!     bus.fire_event("order_placed", 3).handled().wait()?.ok()?;
//!     // Three attempts: after 0 s, 1 s, and 30 s of waiting in vain, and 1 s more; then the delay.
//!     assert_eq!(bus.time(), start + Duration::from_secs(1 + 30 + 1 + 5));
//!     assert_eq!(*bus.fired_as::<(u32, u32)>("shipped")?[0], (3, 3));
//!
//!     let unknown = bus.inject("stock.reserv").unwrap_err();
//!     assert_eq!(
//!         unknown.to_string(),
//!         "there is no handler `stock.reserv`; did you mean `stock.reserve`"
//!     );
//!     Ok(())
//! }
//! ```
//!
//! [`duplicate`](Injection::duplicate) shows whether a listener is idempotent, as an at-least-once
//! bus asks of it; `ctx.idempotency_key()` is the same both times.

pub use autobus_core::testing::{Fired, Injection, Stay, TestBuilder, TestBus};
