//! The whole program. `BUS_URL` and `BUS_SERVICES` make it a front, a coordinator, or a worker.

use std::error::Error;
use std::process::ExitCode;

use tracing::Level;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coordinator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let level = std::env::var("LOG").map_or(Ok(Level::WARN), |level| level.parse())?;
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    let bus = modules::app()?.start()?;
    println!("ready");
    Ok(bus.run()?)
}
