//! The whole program. `BUS_URL` and `BUS_SERVICES` make it a front, a coordinator, or a worker.

use std::process::ExitCode;

use tracing::Level;

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_max_level(Level::WARN).with_writer(std::io::stderr).init();
    let run = || Ok::<_, Box<dyn std::error::Error>>(modules::app()?.run()?);
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
