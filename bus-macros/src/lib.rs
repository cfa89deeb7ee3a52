//! The macros of Autobus. Depend on [`autobus`](https://docs.rs/autobus), which shows them together
//! with the runtime.
//!
//! Each macro reads what it is put above, checks it, and writes the registrations that
//! `bus::start()` gathers. It reports every error of an item at once, each at the smallest wrong
//! token and with its remedy, and leaves the item itself as it was.
//!
//! | Macro | Above | Makes it |
//! |---|---|---|
//! | [`#[command]`](macro@command) | a function | callable through the bus |
//! | [`#[listener]`](macro@listener) | a function | hear events |
//! | [`#[event]`](macro@event), [`derive(Event)`](derive@Event) | a struct or an enum | an event |
//! | [`#[payload]`](macro@payload) | a struct or an enum | travel inside of events and commands |
//! | [`#[service]`](macro@service) | an `impl` block | a service with state of its own |
//! | [`service_name!`], [`link!`] | in a module | name its service, link other crates |
//!
//! Durations are written as [humantime] reads them, with their units: `"500ms"`, `"2s"`,
//! `"1m 30s"`; any constant expression of type `Duration` does as well. Every macro takes
//! `crate = path` where the bus is not `::bus`.
//!
//! [humantime]: https://docs.rs/humantime/latest/humantime/fn.parse_duration.html

mod args;
mod attrs;
mod command;
mod derives;
mod errors;
mod event;
mod function;
mod link;
mod listener;
mod names;
mod near;
mod payload;
mod root;
mod service;

use proc_macro::TokenStream;

/// Makes a function a command: it can be called through the bus, by its name.
///
/// The function stays as it is. Beside it stands its *handle*, a type of the same name with four
/// functions: `execute(..)` returns a `Promise` of the answer, `dispatch(..)` runs it as a task
/// that nobody waits for and returns a `Receipt`, `scatter(items)` executes it once for each item and
/// returns a `Gather` of the results, `on(&bus)` gives the same on a given bus. They take
/// exactly the parameters of the function, less those that the bus supplies: `&Context` and
/// `State<T>`, known by these names. The handle is as visible as the function, and at least in the
/// whole crate.
///
/// An item is the parameter, if there is one, else the tuple of them; what is lent to `execute` is
/// owned there. It comes back with its result, so it is `Clone`.
///
/// ```rust,standalone_crate
/// use bus::prelude::*;
///
/// /// Greets somebody.
/// #[command]
/// fn say_hello(name: &str) -> String {
///     format!("Hello, {name}!")
/// }
///
/// #[command("billing.invoice", timeout = "5s", retry = 3)]
/// async fn invoice(order: u64, ctx: &Context) -> Result<String, String> {
///     if order == 0 { Err("no order".to_owned()) } else { Ok(format!("{order} by {}", ctx.key())) }
/// }
///
/// fn main() -> bus::Result<()> {
///     let bus = bus::start()?;
///     assert_eq!(say_hello::execute("Alice").wait()?, "Hello, Alice!");
///     assert_eq!(invoice::on(&bus).execute(7).wait()?, "7 by billing.invoice");
///     invoice::dispatch(8).handled().wait()?.ok()?;
///     let invoices = invoice::scatter([9, 0]).all().wait();
///     assert_eq!(invoices[1], (0, Err(ExecuteError::Handler("no order".to_owned()))));
///     bus.shutdown()
/// }
/// ```
///
/// # Arguments
///
/// | Argument | Meaning |
/// |---|---|
/// | `"name"` | the whole name on the bus, of `A-Z a-z 0-9 _ - .`; else `service.function`, in the crate's root service the function's alone |
/// | `service = "name"` | the service that it belongs to; else the one of its module |
/// | `local` | never served to other processes; parameters and answer need no serde |
/// | `inline` | its first attempt runs on the calling thread; for a synchronous function without state |
/// | `timeout = "5s"` | how long who executes it waits; the handler goes on. As a task: how long one attempt may take, [see below](#timeouts) |
/// | `retry = 3` | how many further attempts a task has |
/// | `backoff = "1s"`, `backoff = ["1s", "5s"]` | how long a task waits before each of them; the last one repeats |
/// | `retry_if = path` | a `fn(&E) -> bool` that tells which errors are worth another attempt |
/// | `concurrency = 8` | how many run at once, if asynchronous, and how many tasks a broker sends ahead |
/// | `unique` | a second implementation of the name fails to compile (one crate) or to link (several); without `"name"` it holds the function's name in the whole program |
/// | `handle = name` | another name for the handle, where two would clash |
/// | `serves = path` | implements the contract whose handle is at `path` |
/// | `crate = path` | where the bus is, if not at `::bus` |
///
/// # Contracts
///
/// A signature without a body declares a command that another process serves: the typed handle
/// without the implementation. `serves` checks an implementation against it.
///
/// ```rust,standalone_crate
/// pub mod contracts {
///     #[bus::command("billing.total")]
///     pub fn total(account: &str) -> u64;
/// }
///
/// mod billing {
///     #[bus::command(serves = crate::contracts::total)]
///     fn total(account: &str) -> u64 {
///         account.len() as u64
///     }
/// }
///
/// fn main() -> bus::Result<()> {
///     let bus = bus::start()?;
///     assert_eq!(contracts::total::execute("alice").wait()?, 5);
///     bus.shutdown()
/// }
/// ```
///
/// # Timeouts
///
/// Who executes a command waits for its `timeout`, else for the bus's default of 30 s, and receives
/// `ExecuteError::Timeout`; the handler goes on. For a task, which nobody waits for, `timeout` is
/// how long one attempt may take: an `async fn` is dropped at its next await and the attempt has
/// failed, a synchronous one goes on. A handler that outlives its `timeout` sees it by
/// `ctx.cancelled()`.
///
/// # What a signature may be
///
/// Parameters are values, or borrowed at the call and owned on the way: `&str`, `&[T]`, `&T` with
/// `T: Clone`. The answer is a value or std's `Result`, written as `Result<…>`. All of it is
/// `Send + 'static`; parameters and answer are serde types unless `local`. Generics, `impl Trait`,
/// `&mut` and borrows inside of types are refused.
#[proc_macro_attribute]
pub fn command(arguments: TokenStream, item: TokenStream) -> TokenStream {
    command::attribute(arguments.into(), &item.into()).into()
}

/// Makes a function hear events.
///
/// The payload comes first, as `&T`, `T` (a clone) or `Arc<T>`; then, in any order, `&Context` and
/// any number of `State<T>`. A listener with a pattern or an event may leave the payload out. It
/// returns nothing, or a `Result<(), E>` whose error displays: an error is retried, and kept as a
/// dead letter at last.
///
/// ```rust,standalone_crate
/// use bus::prelude::*;
///
/// #[event(exchange = "order", key = "order.v1.submit")]
/// #[derive(Debug)]
/// struct Order {
///     id: u64,
/// }
///
/// struct Db;
///
/// #[listener] // every event whose payload is `Order`
/// fn any(order: &Order) {
///     println!("{order:?}");
/// }
///
/// #[listener(Order::SUBMIT)] // one event
/// fn one(order: &Order) {
///     println!("{}", order.id);
/// }
///
/// #[listener("order.*.submit", queue = "billing_order", retry = 5, concurrency = 8)]
/// async fn billing(order: Order, ctx: &Context, db: State<Db>) -> Result<(), String> {
///     drop(db);
///     if order.id == 0 { Err(format!("{}: no order", ctx.key())) } else { Ok(()) }
/// }
///
/// fn main() -> bus::Result<()> {
///     let bus = bus::builder().state(Db).start()?;
///     let outcomes = Order { id: 7 }.submit().handled().wait()?;
///     assert_eq!(outcomes.len(), 3);
///     outcomes.ok()?;
///     bus.shutdown()
/// }
/// ```
///
/// A pattern is a binding of an AMQP 0-9-1 topic exchange: words, delimited by `.`, of which `*`
/// stands for exactly one and `#` for any number.
///
/// # Arguments
///
/// | Argument | Meaning |
/// |---|---|
/// | `"pattern"` | hears the keys that it matches |
/// | `Type::EVENT` | hears this event, whose payload has to be the parameter's type |
/// | `exchange = "name"` | the exchange; else those of the declared events that fit, else `bus` for a one-word name |
/// | `queue = "name"` | the queue, shared by all processes; else `service.listener` |
/// | `broadcast` | every process receives its own copy |
/// | `service = "name"` | the service that it belongs to; else the one of its module |
/// | `inline` | its first attempt runs on the firing thread; for a synchronous function without state |
/// | `retry = 5` | how many further attempts follow a failed one |
/// | `backoff = "1s"`, `backoff = ["1s", "5s"]` | how long to wait before each of them; the last one repeats |
/// | `retry_if = path` | a `fn(&E) -> bool` that tells which errors are worth another attempt |
/// | `timeout = "5s"` | how long one attempt may take: an `async fn` is dropped at its next await, a synchronous one only sees `ctx.cancelled()` |
/// | `concurrency = 8` | how many run at once; for an `async fn` |
/// | `prefetch = 64` | how many deliveries a broker sends ahead |
/// | `crate = path` | where the bus is, if not at `::bus` |
#[proc_macro_attribute]
pub fn listener(arguments: TokenStream, item: TokenStream) -> TokenStream {
    listener::attribute(arguments.into(), &item.into()).into()
}

/// Makes a struct or an enum an event, and derives what it needs: `Clone`, `Serialize` and
/// `Deserialize`, less what a derive below it derives already.
///
/// It stands above every `#[derive]`, as often as the type has events; those after the first may
/// leave the exchange out. Each event becomes a constant and a method of its name: `Order::SUBMIT`,
/// `order.submit()`. The first one is `Order::EVENT` too, and `order.fire()` moves it.
///
/// ```rust,standalone_crate
/// use bus::prelude::*;
///
/// #[event(exchange = "order", key = "order.v1.submit")]
/// pub struct OrderV1;
///
/// #[event(exchange = "order", key = "order.v2.submit", upcasts(OrderV1))]
/// #[event(key = "order.v2.chargeback")]
/// #[derive(Debug)]
/// pub struct Order {
///     pub id: u64,
/// }
///
/// impl From<OrderV1> for Order {
///     fn from(OrderV1: OrderV1) -> Self {
///         Self { id: 0 }
///     }
/// }
///
/// fn main() -> bus::Result<()> {
///     assert_eq!(Order::EVENT, Order::SUBMIT);
///     assert_eq!(Order::CHARGEBACK.exchange(), "order");
///     assert_eq!(Order::CHARGEBACK.key(), "order.v2.chargeback");
///
///     let bus = bus::start()?;
///     bus.fire(OrderV1).wait()?;
///     bus.fire_as(Order::CHARGEBACK, Order { id: 7 }).wait()?;
///     bus.shutdown()
/// }
/// ```
///
/// # Arguments
///
/// | Argument | Meaning |
/// |---|---|
/// | `exchange = "name"` | the exchange that it is fired on; a further event of the type that names none takes that of the first |
/// | `key = "order.v1.submit"` | the routing key: words, delimited by `.`, without wildcards, at most 255 bytes |
/// | `name = "submit"` | what it is called in code; else the last word of its key |
/// | `upcasts(OrderV1)` | older types that become this one, each by `impl From<OrderV1> for Order` |
/// | `local` | never leaves the process, and needs no serde |
/// | `crate = path` | where the bus is, if not at `::bus` |
#[proc_macro_attribute]
pub fn event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    event::attribute(arguments.into(), &item.into()).into()
}

/// Makes a struct or an enum an event, and derives nothing else.
///
/// Its events are named by the helper `#[event(..)]` below it, with the arguments of
/// [`#[event]`](macro@event).
///
/// ```
/// use bus::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, Event)]
/// #[event(exchange = "order", key = "order.v2.submit")]
/// #[event(key = "order.v2.chargeback")]
/// pub struct Order {
///     pub id: u64,
/// }
///
/// assert_eq!(Order::CHARGEBACK.exchange(), "order");
/// ```
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(item: TokenStream) -> TokenStream {
    event::derive(&item.into()).into()
}

/// Derives what a type needs inside of an event or a command: `Clone`, `Serialize` and
/// `Deserialize`, less what a derive below it derives already.
///
/// Serde is taken from the bus, so that a crate needs nothing else in its manifest. The only
/// argument is `crate = path`, where the bus is not at `::bus`.
///
/// ```
/// #[bus::payload]
/// #[derive(Debug, PartialEq)]
/// pub struct OrderLine {
///     pub id: u32,
///     pub quantity: u32,
/// }
///
/// let line = OrderLine { id: 1, quantity: 2 };
/// assert_eq!(line.clone(), line);
/// ```
#[proc_macro_attribute]
pub fn payload(arguments: TokenStream, item: TokenStream) -> TokenStream {
    payload::attribute(arguments.into(), &item.into()).into()
}

/// Makes an `impl` block a service: its methods handle, and share the state that `self` is.
///
/// The state is made and kept on the service's own thread, so it need not be `Send`. A handler with
/// `&mut self` excludes every other handler of the service, across awaits too. There is one block
/// for a type.
///
/// ```rust,standalone_crate
/// use bus::prelude::*;
///
/// struct Ledger {
///     name: String,
///     cents: i64,
/// }
///
/// #[event(exchange = "order", key = "order.submit")]
/// struct Order {
///     cents: i64,
/// }
///
/// #[service]
/// impl Ledger {
///     #[init]
///     fn open(name: State<String>) -> Result<Self, String> {
///         if name.is_empty() {
///             return Err("a ledger needs a name".to_owned());
///         }
///         Ok(Self { name: name.to_string(), cents: 0 })
///     }
///
///     #[command]
///     fn balance(&self) -> i64 {
///         self.cents
///     }
///
///     #[listener("order.*")]
///     async fn book(&mut self, order: &Order) -> Result<(), String> {
///         self.cents = self.cents.checked_add(order.cents).ok_or("too much")?;
///         Ok(())
///     }
///
///     #[shutdown]
///     fn close(&mut self) {
///         println!("{}: {}", self.name, self.cents);
///     }
/// }
///
/// fn main() -> bus::Result<()> {
///     let bus = bus::builder().state("main".to_owned()).start()?;
///     Order { cents: 700 }.submit().handled().wait()?.ok()?;
///     assert_eq!(balance::execute().wait()?, 700);
///     bus.shutdown()
/// }
/// ```
///
/// # Arguments
///
/// | Argument | Meaning |
/// |---|---|
/// | `"name"` | the whole name of the service; else the type's in `snake_case` below its module |
/// | `on_panic = rebuild` | after a panic `#[init]` makes the state anew: the default |
/// | `on_panic = keep` | after a panic the state stays as it is |
/// | `crate = path` | where the bus is, if not at `::bus` |
///
/// # Inside of the block
///
/// | Attribute | Method |
/// |---|---|
/// | [`#[command]`](macro@command), [`#[listener]`](macro@listener) | handles; takes `&self`, `&mut self` or neither, and then what it takes as a function |
/// | `#[init]` | makes the state: takes `&Context` and `State<T>`, returns `Self` or `Result<Self, E>`; else `Default` does |
/// | `#[shutdown]` | ends it: takes `&self` or `&mut self`, then `&Context` and `State<T>` |
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    service::attribute(arguments.into(), &item.into()).into()
}

/// Links crates whose handlers are wanted and which no code names.
///
/// A crate that nothing names is not linked, and its handlers vanish without a word.
///
/// ```
/// bus::link!(std); // in earnest: `bus::link!(billing, logistic)`
/// ```
#[proc_macro]
pub fn link(crates: TokenStream) -> TokenStream {
    link::link(crates.into()).into()
}

/// Names the service of the module that it stands in, and of all that is below it.
///
/// Where nothing does, each top-level module of a crate is a service, and so is the crate's root,
/// named as the crate.
///
/// ```rust,standalone_crate
/// mod billing {
///     bus::service_name!("invoices");
///
///     pub mod paid {
///         #[bus::command]
///         pub fn total() -> u64 {
///             7
///         }
///     }
/// }
///
/// fn main() -> bus::Result<()> {
///     let bus = bus::start()?;
///     let total: u64 = bus.execute_command("invoices.total", ()).wait()?;
///     assert_eq!(total, billing::paid::total());
///     bus.shutdown()
/// }
/// ```
#[proc_macro]
pub fn service_name(name: TokenStream) -> TokenStream {
    link::service_name(name.into()).into()
}
