//! One event, three listeners: two of them work at the same time, and one always fails.
//!
//! The e-mail and the log listener are asynchronous and overlap, although they share the thread of
//! one service. The third fails every time and harms neither of them, nor whoever fires the event;
//! its deliveries are kept as dead letters.
//!
//! ```text
//! cargo run --example users
//! ```

use bus::prelude::*;
use smol::lock::Barrier;

/// Somebody has registered.
#[event(exchange = "users", key = "user_registered")]
struct UserRegistered {
    name: String,
    email: String,
}

/// Registers a user and tells what each listener made of it.
#[command]
async fn register(name: &str, email: &str) -> bus::Result<Vec<String>> {
    println!("registering {name}");
    let event = UserRegistered { name: name.to_owned(), email: email.to_owned() };
    let outcomes = event.fire().handled().await?;
    Ok(outcomes.iter().map(ToString::to_string).collect())
}

// Each of the two waits for the other to have begun. If they ran one after another, the first would
// wait for ever.
#[listener]
async fn email(user: &UserRegistered, both: State<Barrier>) {
    println!("  e-mail to {}: sending", user.email);
    both.wait().await;
    println!("  e-mail to {}: sent", user.email);
}

#[listener]
async fn log(user: &UserRegistered, both: State<Barrier>) {
    println!("  log of {}: writing", user.name);
    both.wait().await;
    println!("  log of {}: written", user.name);
}

#[listener(retry = 0)]
async fn newsletter(user: &UserRegistered) -> Result<(), String> {
    Err(format!("no newsletter wants {}", user.name))
}

fn main() -> bus::Result<()> {
    let bus = bus::builder().state(Barrier::new(2)).start()?;
    for (name, email) in [("Alice", "alice@example.org"), ("Bob", "bob@example.org")] {
        for outcome in register::execute(name, email).wait()? {
            println!("  {outcome}");
        }
    }
    for letter in bus.dead_letters().list()? {
        println!("dead letter of {}: {}", letter.listener(), letter.payload());
    }
    bus.shutdown()
}
