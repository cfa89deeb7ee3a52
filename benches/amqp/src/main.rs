//! Autobus over RabbitMQ beside minimal programs on raw clients, against one private broker.
//! `cargo xtask bench amqp --help` tells how it is run, the README beside this what it measures and
//! what it found.

mod args;
mod measure;
mod ours;
mod raw;
mod report;
mod stats;

use std::process::ExitCode;

use autobus_testkit::{Options, Rabbit};

use self::args::Args;
use self::measure::Failed;

fn run() -> Result<(), Failed> {
    let args = Args::parse(std::env::args().skip(1))?;
    // As RabbitMQ runs where nobody waits for its start.
    let options = Options::default().with_env("RABBITMQ_SCHEDULER_BUSY_WAIT_THRESHOLD", "none");
    let broker = Rabbit::try_start(&options)?;
    if let Some(profile) = &args.profile {
        let effort = args.effort();
        let n = if profile == "call" { effort.calls } else { effort.orders };
        return measure::profile(*broker, profile, n * args.repetitions.unwrap_or(1));
    }
    let rows = report::rows(&measure::run(*broker, &args)?);
    let table = report::table(&rows);
    println!("{table}");
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&rows)? + "\n")?;
    }
    if let Some(path) = &args.readme {
        std::fs::write(path, report::replace(&std::fs::read_to_string(path)?, &table)?)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench amqp: {error}");
            ExitCode::FAILURE
        }
    }
}
