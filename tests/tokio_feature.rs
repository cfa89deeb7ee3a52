//! With the feature `tokio`, handlers run inside of a tokio context: its timers, sockets and tasks
//! work in them, wherever the bus was started.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![cfg(feature = "tokio")]

use std::net::SocketAddr;
use std::time::Duration;

use bus::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[command]
async fn sleeps() -> Result<String, String> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    let never = tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>());
    never
        .await
        .map_err(|error| error.to_string())
        .map(|()| "woken".to_owned())
        .or(Ok("slept".to_owned()))
}

#[command]
async fn echoes(text: &str) -> std::io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address: SocketAddr = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await?;
        let mut text = String::new();
        socket.read_to_string(&mut text).await?;
        socket.write_all(text.to_uppercase().as_bytes()).await
    });
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(text.as_bytes()).await?;
    socket.shutdown().await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    server.await??;
    Ok(answer)
}

#[command]
fn spawns() -> bool {
    tokio::spawn(async {});
    tokio::runtime::Handle::try_current().is_ok()
}

#[command]
async fn runtime() -> String {
    tokio::runtime::Handle::current().id().to_string()
}

/// Waits in a synchronous handler, so that a substitute serves meanwhile.
#[command]
fn waits() -> bool {
    spawns::execute().wait().unwrap() && sleeps::execute().wait().is_ok()
}

struct Session {
    opened: bool,
}

#[service]
impl Session {
    #[init]
    async fn open() -> Self {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Self { opened: true }
    }

    #[command]
    async fn opened(&mut self) -> bool {
        tokio::task::yield_now().await;
        self.opened
    }

    #[shutdown]
    async fn close(&mut self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn everything(bus: &Bus) {
    assert_eq!(echoes::on(bus).execute("quiet").wait().unwrap(), "QUIET");
    assert_eq!(sleeps::on(bus).execute().wait().unwrap(), "slept");
    assert_eq!(spawns::on(bus).execute().wait(), Ok(true));
    assert_eq!(waits::on(bus).execute().wait(), Ok(true));
    assert_eq!(opened::on(bus).execute().wait(), Ok(true));
    bus.shutdown().unwrap();
}

#[test]
fn a_handler_uses_tokio_where_nobody_else_does() {
    everything(&bus::builder().build().unwrap());
}

#[test]
fn several_buses_have_a_runtime_each() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| everything(&bus::builder().build().unwrap()));
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_runs_in_the_runtime_that_the_bus_was_started_in() {
    let bus = bus::builder().build().unwrap();
    assert_eq!(echoes::on(&bus).execute("quiet").await.unwrap(), "QUIET");
    assert_eq!(sleeps::on(&bus).execute().await.unwrap(), "slept");
    let here = tokio::runtime::Handle::current().id().to_string();
    assert_eq!(runtime::on(&bus).execute().await.unwrap(), here);
    everything(&bus);
}

#[tokio::test]
async fn blocking_the_only_thread_of_a_runtime_stops_no_handler() {
    everything(&bus::builder().build().unwrap());
}
