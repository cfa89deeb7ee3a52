//! The RabbitMQ node of a run, for tests in several processes: `cargo xtask test` starts it.
//!
//! It prints the value of `AUTOBUS_RABBITMQ`, and keeps the node until its standard input ends.

use std::io::{self, Write as _};
use std::process::ExitCode;

use autobus_testkit::{Options, Rabbit};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shared-rabbitmq: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let node = Rabbit::try_start(&Options::default())?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", node.to_env())?;
    stdout.flush()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
