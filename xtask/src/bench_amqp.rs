//! `cargo xtask bench amqp`: builds the benchmark over RabbitMQ and runs it.

use std::process::Command;

use crate::bench::{cargo, root, run};

const HELP: &str = "\
Autobus over RabbitMQ beside minimal programs on raw clients, all against one private broker;
benches/amqp/README.md tells what is measured. It needs rabbitmq-server, which
`cargo xtask test --setup` installs.

Usage: cargo xtask bench amqp [options]

  --quick             fewer and shorter repetitions: under two minutes, and a memory of 50,000 events
  --work <name>       this work alone, such as \"publish\", \"classic\", \"call\" or \"memory\"; may be
                      repeated
  --peer <name>       this peer alone, such as \"lapin\"; may be repeated
  --repetitions <n>   how often each does everything
  --json <file>       writes the numbers as well
  --write-readme      puts the table into benches/amqp/README.md, between its markers
";

/// Runs the benchmark.
///
/// # Errors
///
/// What failed, and how to go on.
pub(crate) fn bench(args: &[&str]) -> Result<(), String> {
    if let [first, ..] = args
        && ["-h", "--help", "help"].contains(first)
    {
        print!("{HELP}");
        return Ok(());
    }
    cargo(&["build", "--release", "--package=autobus-bench-amqp"])?;
    let program = |name: &str| Command::new(root().join("target/release").join(name));
    let works = || args.windows(2).filter(|pair| pair[0] == "--work").map(|pair| pair[1]);
    if works().next().is_none() || works().any(|work| work != "memory") {
        let mut own: Vec<String> = Vec::new();
        for arg in args {
            own.push((*arg).to_owned());
            if *arg == "--write-readme" {
                own.push(root().join("benches/amqp/README.md").display().to_string());
            }
        }
        run(program("autobus-bench-amqp").args(own))?;
    }
    if works().next().is_none() || works().any(|work| work == "memory") {
        let quick = args.iter().filter(|arg| **arg == "--quick");
        run(program("autobus-bench-amqp-memory").args(quick))?;
    }
    Ok(())
}
