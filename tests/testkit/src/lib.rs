//! What the tests of Autobus need beside Autobus: private servers that may be killed, a proxy that
//! breaks connections, and processes whose output is awaited.
//!
//! Everything that is started here ends when its handle is dropped, and, where `setpriv` of util-linux
//! exists, also when the test process is killed. Servers listen on loopback only, on free ports, with
//! their data in a temporary folder.
//!
//! ```no_run
//! use autobus_testkit::{Proxy, Rabbit};
//!
//! // A virtual host of one's own on the node of this run: what most tests need.
//! let vhost = Rabbit::shared().vhost();
//! println!("{}", vhost.url());
//!
//! // A node of one's own, which may be killed, behind a proxy, which may be cut.
//! let rabbit = Rabbit::start();
//! let proxy = Proxy::start(rabbit.addr());
//! println!("amqp://guest:guest@{}/%2f", proxy.addr());
//! proxy.cut();
//! rabbit.kill();
//! rabbit.restart();
//! ```
//!
//! A test that needs a server says so, because plain `cargo test` must pass without one:
//!
//! ```text
//! #[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
//! ```
//!
//! Functions panic with what is wrong and what to do about it, since a test can do no better; where a
//! test may want to go on, there is a second form that gives an [`Error`].

pub mod conformance;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod rabbitmq;
pub mod redis;

mod error;
mod folder;
mod poll;
mod server;

pub use error::{Error, ErrorKind};
pub use poll::{poll_until, try_poll_until};
pub use process::Process;
pub use proxy::Proxy;
pub use rabbitmq::{Broker, Cluster, Options, Rabbit, Vhost};
pub use redis::Redis;
