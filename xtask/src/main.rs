//! The tasks of this repository: `cargo xtask` lists them.
//!
//! It has no dependencies, so that it is built in a second and never the reason why a check fails.

mod bench;
mod bench_amqp;
mod handlers;
mod instructions;
mod node;
mod servers;
mod steps;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
The tasks of this repository.

Usage: cargo xtask <task>

  test              run every step that must pass before a change lands
  test --list       list the steps and the commands that they run
  test <step>...    run these steps only
  test --setup ...  before that, install the servers that are missing (Debian, Ubuntu)
  bench --help      measure beside other crates, in one process
  bench amqp --help measure beside raw clients, over RabbitMQ
  help              print this
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        [] | ["help" | "-h" | "--help"] => {
            print!("{HELP}");
            Ok(())
        }
        ["test", ref steps @ ..] => test::test(steps),
        ["bench", "amqp", ref options @ ..] => bench_amqp::bench(options),
        ["bench", ref options @ ..] => bench::bench(options),
        [task, ..] => Err(format!("there is no task `{task}`; `cargo xtask` lists them")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
