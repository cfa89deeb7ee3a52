//! The same asynchronous handlers under tokio, under smol, and under no runtime at all.
//!
//! Handlers run on the threads of their services, so whoever calls them may await the answer in any
//! executor. Each round here has a bus of its own.
//!
//! ```text
//! cargo run --example runtimes
//! ```

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bus::prelude::*;

/// A number was squared. It stays in this process, so it needs no serde.
#[derive(Event)]
#[event(local, exchange = "numbers", key = "squared")]
struct Squared {
    number: u64,
    square: u64,
}

/// Squares a number, and tells everybody.
#[command]
async fn square(number: u64) -> bus::Result<u64> {
    let square = number * number;
    Squared { number, square }.fire().handled().await?.ok()?;
    Ok(square)
}

#[listener]
async fn report(event: &Squared) {
    println!("  {} squared is {}", event.number, event.square);
}

/// What every runtime drives.
async fn program(bus: &Bus) -> bus::Result<()> {
    let mut sum = 0;
    for number in 1..=3 {
        sum += square::on(bus).execute(number).await?;
    }
    println!("  sum {sum}");
    Ok(())
}

fn main() -> bus::Result<()> {
    println!("tokio");
    let bus = bus::builder().build()?;
    on_tokio(program(&bus))?;
    bus.shutdown()?;

    println!("smol");
    let bus = bus::builder().build()?;
    smol::block_on(program(&bus))?;
    bus.shutdown()?;

    println!("no runtime");
    let bus = bus::builder().build()?;
    block_on(program(&bus))?;
    bus.shutdown()
}

#[tokio::main(flavor = "current_thread")]
async fn on_tokio(program: impl Future<Output = bus::Result<()>>) -> bus::Result<()> {
    program.await
}

/// The smallest executor there is: polls the future, and parks the thread until it is woken.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = TaskContext::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
