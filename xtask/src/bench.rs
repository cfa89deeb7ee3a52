//! `cargo xtask bench`: builds the benchmark and runs it.

use std::path::Path;
use std::process::Command;

use crate::instructions;

const HELP: &str = "\
Autobus beside its peers, in one process; benches/README.md tells what is measured.

Usage: cargo xtask bench [options]

  --quick             fewer and shorter repetitions: under two minutes
  --peer <name>       this peer alone, beside ours and the baseline; may be repeated
  --workload <name>   this workload alone, such as W3a, or W4 for all of W4; may be repeated
  --column one|both   in a process of one core, or of both, alone
  --json <file>       writes the numbers as well
  --write-readme      puts the table into README.md, between its markers
  --instructions      counts the instructions an operation instead, under valgrind
  --instructions --check | --write
                      and compares them with benches/instructions.md, or writes that
";

/// Runs the benchmark.
///
/// # Errors
///
/// What failed, and how to go on.
pub(crate) fn bench(args: &[&str]) -> Result<(), String> {
    match args {
        [first, ..] if ["-h", "--help", "help"].contains(first) => {
            print!("{HELP}");
            Ok(())
        }
        ["--instructions", rest @ ..] => instructions::run(rest),
        _ => {
            let mut own: Vec<String> = Vec::new();
            for arg in args {
                own.push((*arg).to_owned());
                if *arg == "--write-readme" {
                    own.push(root().join("README.md").display().to_string());
                }
            }
            cargo(&["build", "--release", "--package=autobus-bench", "--features=peers"])?;
            run(Command::new(root().join("target/release/autobus-bench")).args(own))
        }
    }
}

/// The root of the workspace, wherever this was called.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Runs the cargo that runs this.
pub(crate) fn cargo(args: &[&str]) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = root().join("target");
    run(Command::new(cargo).args(args).env("CARGO_TARGET_DIR", target).current_dir(root()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    let status = command.status().map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{program}` failed")) }
}
