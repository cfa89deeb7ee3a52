//! Typed commands and events, wired by macros at link time.
//!
//! Annotate functions, call [`bus::start()`](start), and every command, listener and event of the
//! program is already on the bus. Each service runs on a thread of its own; in one process today,
//! in many over a broker later, without another line of code.
//!
//! This page is a tutorial, in the order in which one types. The
//! [README](https://docs.rs/crate/autobus/latest/source/README.md) shows the whole at a glance, and
//! what is not there yet.
//!
//! ```toml
//! [dependencies]
//! autobus = "0.1" # the library is called `bus`
//! ```
//!
//! # Commands
//!
//! [`#[command]`](macro@command) leaves the function as it is, and puts a *handle* of the same name
//! beside it. `say_hello(..)` calls the function; `say_hello::execute(..)` goes through the bus,
//! runs it on its service's thread, and gives a [`Promise`]. The handle takes the parameters of the
//! function, borrowed ones borrowed.
//!
//! ```rust,standalone_crate
//! use bus::prelude::*;
//!
//! /// Greets somebody.
//! #[command]
//! fn say_hello(name: &str) -> String {
//!     format!("Hello, {name}!")
//! }
//!
//! #[command]
//! async fn half(number: u32) -> Result<u32, String> {
//!     if number % 2 == 0 { Ok(number / 2) } else { Err(format!("{number} is odd")) }
//! }
//!
//! fn main() -> bus::Result<()> {
//!     let bus = bus::start()?;
//!
//!     // On any thread, a promise is waited for; in any executor it is awaited.
//!     assert_eq!(say_hello::execute("Alice").wait()?, "Hello, Alice!");
//!     let halved = async { half::execute(8).await };
//!     assert_eq!(futures_lite::future::block_on(halved)?, 4);
//!
//!     // The handler's own error arrives typed, apart from everything else that can go wrong.
//!     assert_eq!(half::execute(7).wait(), Err(ExecuteError::Handler("7 is odd".to_owned())));
//!
//!     // Without an answer: a task, which is retried when it fails.
//!     say_hello::dispatch("Bob").wait()?;
//!     bus.shutdown()
//! }
//! ```
//!
//! Parameters and answers are serde types, unless the command is `local`. A function's body may be
//! missing: then it is the contract of a command that another crate serves.
//!
//! Many at once: `scatter` executes a command for each of many items, so many at a time, and gives
//! a [`Gather`]: a stream of each item with its result, as they come; or [all](Gather::all) of them;
//! or the [first success](Gather::first_ok), which cancels the rest. Several processes that serve the
//! command share the work.
//!
//! ```rust,standalone_crate
//! use std::ops::Range;
//! use std::time::Duration;
//!
//! use bus::prelude::*;
//!
//! /// The first number of a range whose square ends like that.
//! #[command]
//! fn search(range: Range<u64>, ending: u64, ctx: &Context) -> Result<u64, String> {
//!     let mut numbers = range.take_while(|_| !ctx.cancelled()); // the answer may be elsewhere
//!     let found = numbers.find(|number| number * number % 10_000 == ending);
//!     found.ok_or_else(|| "not here".to_owned())
//! }
//!
//! fn main() -> bus::Result<()> {
//!     let bus = bus::start()?;
//!     let ranges = (0..10_000).step_by(1_000).map(|start| (start..start + 1_000, 7_161));
//!
//!     let first = search::scatter(ranges.clone()).within(Duration::from_secs(10)).first_ok();
//!     let ((range, _), number) = first.wait()?; // or `.await`
//!     assert!(range.contains(&number));
//!
//!     for ((range, _), result) in search::scatter(ranges).in_flight(4).wait() {
//!         println!("{range:?}: {result:?}"); // what failed is known by its item
//!     }
//!     bus.shutdown()
//! }
//! ```
//!
//! # Listeners
//!
//! [`#[listener]`](macro@listener) hears events. The simplest event is a name and any serde value:
//!
//! ```rust,standalone_crate
//! use bus::prelude::*;
//!
//! #[listener("user_registered")]
//! fn welcome(name: &str) -> Result<(), String> {
//!     if name.is_empty() { Err("nobody to welcome".to_owned()) } else { Ok(()) }
//! }
//!
//! #[listener("user_registered")]
//! async fn log(name: String, ctx: &Context) {
//!     println!("{}: {name}, attempt {}", ctx.key(), ctx.attempt());
//! }
//!
//! fn main() -> bus::Result<()> {
//!     let bus = bus::start()?;
//!     bus.fire_event("user_registered", "Carol").wait()?; // accepted
//!     bus.fire_event("user_registered", "Dave").handled().wait()?.ok()?; // every listener succeeded
//!     bus.shutdown()
//! }
//! ```
//!
//! A firing never blocks and returns a [`Receipt`]: wait for it or await it, ask it for the outcome
//! of every listener, or drop it.
//!
//! # Events
//!
//! A typed event is a struct that knows its exchange and routing key. [`#[event]`](macro@event)
//! stands above it once for each event; [`#[payload]`](macro@payload) is for the types inside. Both
//! derive what travelling needs, and no crate but this one has to be in the manifest for it.
//!
//! ```rust,standalone_crate
//! use bus::prelude::*;
//!
//! #[event(exchange = "order", key = "order.v1.submit")]
//! #[event(key = "order.v1.chargeback")]
//! pub struct Order {
//!     pub id: u64,
//!     pub lines: Vec<Line>,
//! }
//!
//! #[payload]
//! pub struct Line {
//!     pub product: String,
//!     pub quantity: u32,
//! }
//!
//! #[listener] // every event whose payload is an `Order`
//! fn count(order: &Order) {
//!     println!("{} lines", order.lines.len());
//! }
//!
//! #[listener(Order::SUBMIT)] // one event; a misspelt name does not compile
//! fn bill(order: &Order) {
//!     println!("order {} is billed", order.id);
//! }
//!
//! #[listener("order.*.submit", retry = 5, backoff = "2s", concurrency = 8)]
//! async fn ship(order: Order) -> Result<(), String> {
//!     if order.lines.is_empty() { Err("nothing to ship".to_owned()) } else { Ok(()) }
//! }
//!
//! #[listener("order.#", exchange = "order")] // everything on the exchange, undecoded
//! fn audit(ctx: &Context) {
//!     println!("{} at {:?}", ctx.key(), ctx.time());
//! }
//!
//! fn main() -> bus::Result<()> {
//!     let bus = bus::start()?;
//!     let order = Order { id: 7, lines: vec![Line { product: "tea".to_owned(), quantity: 2 }] };
//!
//!     order.submit().wait()?; // borrows, and fires a copy
//!     let outcomes = order.chargeback().handled().wait()?;
//!     assert_eq!(outcomes.len(), 2); // `count` and `audit`
//!     bus.fire(order).handled().wait()?.ok()?; // the struct's first event; moves, copies nothing
//!     bus.shutdown()
//! }
//! ```
//!
//! Patterns are the bindings of an AMQP 0-9-1 topic exchange: words split by `.`, of which `*`
//! stands for exactly one and `#` for any number. Within a process the payload is moved or shared,
//! never serialized.
//!
//! With [`#[derive(Event)]`](derive@Event) the same `#[event(..)]` are helpers, and nothing is
//! derived that is not written down.
//!
//! # Versions
//!
//! A newer struct names the older ones that become it. Its listeners hear every version, each as
//! their own type; chains of versions compose.
//!
//! ```rust,standalone_crate
//! use bus::prelude::*;
//!
//! #[event(exchange = "order", key = "order.v1.submit")]
//! pub struct OrderV1 {
//!     pub id: u32,
//! }
//!
//! #[event(exchange = "order", key = "order.v2.submit", upcasts(OrderV1))]
//! pub struct Order {
//!     pub id: u64,
//!     pub note: String,
//! }
//!
//! impl From<OrderV1> for Order {
//!     fn from(old: OrderV1) -> Self {
//!         Self { id: old.id.into(), note: String::new() }
//!     }
//! }
//!
//! #[listener("order.*.submit")]
//! fn ship(order: &Order) {
//!     println!("order {} goes out", order.id);
//! }
//!
//! fn main() -> bus::Result<()> {
//!     let bus = bus::start()?;
//!     OrderV1 { id: 7 }.submit().handled().wait()?.ok()?;
//!     Order { id: 8, note: "fragile".to_owned() }.submit().handled().wait()?.ok()?;
//!     bus.shutdown()
//! }
//! ```
//!
//! Between types without a declared upcast the codec converts, by way of JSON. A payload that does
//! not decode fails that one delivery.
//!
//! # Services
//!
//! A service is a module: each top-level module of a crate is one, and so is the crate's root,
//! named as the crate. [`service_name!`] names the service of its module and of all that is below
//! it. A service's handlers run on its own thread, the synchronous ones one after another.
//!
//! A service with state of its own is an `impl` block under [`#[service]`](macro@service). The
//! state lives on the service's thread and need not be `Send`.
//!
//! ```rust,standalone_crate
//! mod billing {
//!     use bus::prelude::*;
//!
//!     #[derive(Default)]
//!     pub struct Ledger {
//!         cents: i64,
//!     }
//!
//!     // The service `billing.ledger`; `book` is the command `billing.ledger.book`.
//!     #[service]
//!     impl Ledger {
//!         #[command]
//!         fn book(&mut self, cents: i64) -> i64 {
//!             self.cents += cents;
//!             self.cents
//!         }
//!
//!         #[command]
//!         fn balance(&self) -> i64 {
//!             self.cents
//!         }
//!
//!         #[shutdown]
//!         fn close(&mut self) {
//!             println!("closed with {} cents", self.cents);
//!         }
//!     }
//! }
//!
//! fn main() -> bus::Result<()> {
//!     let bus = bus::start()?;
//!     billing::book::execute(700).wait()?;
//!     billing::book::execute(-50).wait()?;
//!     assert_eq!(billing::balance::execute().wait()?, 650);
//!     bus.shutdown()
//! }
//! ```
//!
//! A handler may wait for another: its service goes on meanwhile. While one holds the state with
//! `&mut self` it cannot, and a wait that would close a circle answers [`ExecuteError::Deadlock`].
//!
//! A crate that no code names is not linked, and its handlers vanish: name it in [`link!`].
//!
//! # State
//!
//! What handlers share is given to the bus, and injected by type as [`State<T>`](State).
//!
//! ```rust,standalone_crate
//! use bus::prelude::*;
//!
//! struct Prices {
//!     tea: u64,
//! }
//!
//! #[command]
//! fn price(quantity: u64, prices: State<Prices>) -> u64 {
//!     quantity * prices.tea
//! }
//!
//! fn main() -> bus::Result<()> {
//!     assert_eq!(price(2, State::new(Prices { tea: 3 })), 6); // still a plain function
//!
//!     let bus = bus::builder().state(Prices { tea: 450 }).start()?;
//!     assert_eq!(price::execute(2).wait()?, 900);
//!     bus.shutdown()
//! }
//! ```
//!
//! # Starting, choosing, stopping
//!
//! [`start()`](start) makes the process's default bus: the one that typed calls and firings mean
//! outside of handlers. Inside of a handler they mean the bus that runs it. [`run()`](run) is the
//! whole `main` of a process that only serves: it starts, waits for SIGINT or SIGTERM, and shuts
//! down.
//!
//! Any number of further buses run beside it, each made by [`Builder::build`], which reads no
//! environment: tests make one each.
//!
//! ```rust,standalone_crate
//! use bus::prelude::*;
//!
//! mod billing {
//!     #[bus::command]
//!     pub fn total() -> u32 {
//!         7
//!     }
//! }
//!
//! mod shipping {
//!     #[bus::command]
//!     pub fn count() -> u32 {
//!         3
//!     }
//! }
//!
//! fn main() -> bus::Result<()> {
//!     // Without `services`, all of them. `BUS_SERVICES=billing` chooses the same at `start()`.
//!     let bus = bus::builder().services(["billing"]).build()?;
//!     assert_eq!(billing::total::on(&bus).execute().wait()?, 7);
//!     let elsewhere = shipping::count::on(&bus).execute().wait();
//!     assert!(matches!(elsewhere, Err(ExecuteError::NotFound(_))));
//!     bus.shutdown()
//! }
//! ```
//!
//! The environment is put over the code at `start()`: `BUS_SERVICES`, names separated by commas,
//! chooses the services, each with those below it; `BUS_URL` the transport, which is `memory:` so
//! far.
//!
//! [`shutdown()`](Bus::shutdown), and the drop of what `start()` returns, refuse new work, finish
//! what was accepted, and join the threads, within 30 s unless the builder says otherwise.
//!
//! # Names at run time
//!
//! Closures, and names that are known only at run time, have a narrow interface of their own: see
//! [`Bus::execute_command`], [`Bus::register_command`], [`Bus::fire_event`] and
//! [`Bus::register_listener`].
//!
//! # Errors
//!
//! While compiling, a macro reports every error of an item at once, with the remedy. At `start()`
//! every fault in the wiring is reported at once, with file and line; [`verify()`](verify) tells
//! the same without starting, and what is worth a warning.
//!
//! ```rust,standalone_crate
//! use bus::prelude::*;
//!
//! struct Db;
//!
//! #[command]
//! fn rows(db: State<Db>) -> u32 {
//!     drop(db);
//!     3
//! }
//!
//! #[event(exchange = "order", key = "order.submit")]
//! struct Order;
//!
//! fn main() {
//!     let error = bus::start().unwrap_err(); // nobody gave it the state `Db`
//!     assert_eq!(error.kind(), bus::ErrorKind::Wiring);
//!     assert_eq!(error.faults().len(), 1);
//!
//!     let report = bus::verify();
//!     assert_eq!(report.faults(), error.faults());
//!     assert_eq!(report.warnings().len(), 1); // nobody hears the event
//! }
//! ```
//!
//! At run time [`ExecuteError`] tells why a command has no answer, and
//! [`outcome_unknown()`](ExecuteError::outcome_unknown) whether it may have run all the same.
//! Everything else is an [`Error`] with its [`kind()`](Error::kind).
//!
//! # Many processes
//!
//! `BUS_URL` chooses the transport, `BUS_SERVICES` the services that a process runs. With a broker, the
//! same binary is the whole program and every one of its microservices:
//!
//! ```text
//! BUS_URL=amqp://rabbit BUS_SERVICES=billing ./shop
//! ```
//!
//! - Events that are not `local` travel through the broker, to one durable queue for each listener of the
//!   whole program, which the replicas of its service share; with `broadcast` to each process.
//! - Commands that this process serves are called in it; others over the broker. What is `local` is
//!   never served to others.
//! - Tasks, `dispatch(..)`, wait in a durable queue for whoever serves the command.
//! - What may travel is a serde type, and travels as JSON in an envelope with the attributes of
//!   CloudEvents 1.0. A payload of another version takes the declared upcast.
//!
//! Every command and event that is not `local` can be called and fired by whoever may publish at the
//! broker: its virtual hosts and permissions are the trust boundary.
//!
//! RabbitMQ comes with the feature `amqp`. `memory:name` is a broker within the process, for tests of
//! several buses. Further brokers implement [`transport::Transport`].
//!
//! # What is promised
//!
//! - **Isolation.** An `Err` or a panic concerns its delivery alone: not the other listeners,
//!   whoever fired, the thread, or the next message. A service with state is made anew after a
//!   panic, unless it says `on_panic = keep`.
//! - **Events and tasks at least once.** A delivery that fails is retried, four times by default,
//!   after 1 s, 5 s, 30 s and 2 min. What still fails, or does not decode, is kept among the
//!   [dead letters](Bus::dead_letters) with its reason. A listener that must have its effect once
//!   keeps [`ctx.idempotency_key()`](Context::idempotency_key) with it. In memory all of this ends
//!   with the process; with a broker a delivery is gone once its handler has succeeded, and comes
//!   again if its process dies before.
//! - **Commands that somebody waits for at most once.** They are never retried; their timeout is 30
//!   s by default. Dropping a promise lets the command run.
//! - **Order** per sender and listener, for first attempts; `concurrency` gives it up.
//! - **Backpressure.** A receipt completes when the mailboxes that the event went to are within
//!   their bound, 1,024 deliveries by default, or when the broker has confirmed it; who waits for receipts is held back. Far over the
//!   bound it fails and [hands the event back](Error::into_event).
//! - **Nothing is lost silently.** Failures are logged through `tracing`, counted in
//!   [`Bus::stats`], and kept.
//!
//! # Features
//!
//! | Feature | Meaning |
//! |---|---|
//! | `amqp` | `amqp://` and `amqps://`: a bus over RabbitMQ |
//! | `tokio` | handlers run in a tokio context: tokio's timers, sockets and `spawn` work in them |
//!
//! By default there is none: the bus needs no async runtime, and its promises and receipts are
//! awaited in any.

pub mod testing;

pub use autobus_core::{
    Accepted, All, AllFailed, Builder, Bus, Catalog, Clock, CodecError, CommandEntry, CommandFn,
    Context, Contract, Cycle, DeadLetter, DeadLetters, ENV_SERVICES, ENV_TOPOLOGY, ENV_URL, Error,
    ErrorKind, Event, ExecuteError, Failure, Fault, FirstOk, Full, Gather, Handle, Handled,
    HandlerStats, Headers, Health, Kind, Layer, ListenerEntry, ListenerFn, Next, NotFound, Outcome,
    Outcomes, Pattern, Promise, Ran, Reason, Receipt, Registration, Report, Result, Results,
    Running, ServiceEntry, ServiceStats, State, Stats, Topic, TracingLayer, TransportStats,
    current, events, name, transport,
};

/// RabbitMQ: what a URL may say, and what is at the broker.
#[cfg(feature = "amqp")]
pub use autobus_amqp as amqp;

pub use autobus_macros::{Event, command, event, link, listener, payload, service, service_name};

#[doc(hidden)]
pub use autobus_core::private as __private;

/// What most files that have handlers want: `use bus::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Bus, Context, Event, ExecuteError, Promise, Receipt, State, command, event, listener,
        payload, service,
    };
}

/// The README's programs, run as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A bus before it runs, with the defaults.
pub fn builder() -> Builder {
    Builder::new()
}

/// Starts the process's default bus: the defaults, then the environment.
///
/// # Errors
///
/// As [`Builder::start`].
pub fn start() -> Result<Running> {
    builder().start()
}

/// Starts the default bus, waits for SIGINT or SIGTERM, and shuts it down: a service's whole `main`.
///
/// # Errors
///
/// As [`Builder::run`].
pub fn run() -> Result<()> {
    builder().run()
}

/// Tells what is wrong with the wiring of this program, and what may be, without starting it.
pub fn verify() -> Report {
    builder().with_env().verify()
}
