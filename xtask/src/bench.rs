//! `cargo xtask bench`: builds the benchmark and runs it.

use std::path::Path;
use std::process::Command;

use crate::{handlers, instructions};

const HELP: &str = "\
Autobus beside its peers, in one process; benches/README.md tells what is measured.

Usage: cargo xtask bench [options]

  --quick             fewer and shorter repetitions: under two minutes
  --peer <name>       this peer alone, beside ours and the baseline; may be repeated
  --workload <name>   this workload alone, such as W3a, or W4 for all of W4; may be repeated;
                      W6, which builds programs for minutes, is not part of --quick
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
        _ => measure(args),
    }
}

/// Measures: times and memory in programs of their own, handlers by building some.
fn measure(args: &[&str]) -> Result<(), String> {
    let workloads: Vec<&str> = values(args, "--workload");
    let wants = |name: &str| {
        let name = name.to_lowercase();
        workloads.is_empty()
            || workloads.iter().any(|wanted| name.starts_with(&wanted.to_lowercase()))
    };
    let quick = args.contains(&"--quick");
    let timed = (1..=5).any(|number| {
        let prefix = format!("w{number}");
        workloads.is_empty()
            || workloads.iter().any(|wanted| wanted.to_lowercase().starts_with(&prefix))
    });
    cargo(&["build", "--release", "--package=autobus-bench", "--features=peers"])?;
    let program = |name: &str| Command::new(root().join("target/release").join(name));
    if timed {
        let mut own: Vec<String> = Vec::new();
        for arg in args {
            own.push((*arg).to_owned());
            if *arg == "--write-readme" {
                own.push(root().join("README.md").display().to_string());
            }
        }
        run(program("autobus-bench").args(own))?;
    }
    // The programs of W6 take minutes to build.
    if wants("W6") && (!quick || !workloads.is_empty()) {
        handlers::run(quick)?;
    }
    if wants("W7") {
        println!();
        run(&mut program("autobus-bench-memory"))?;
    }
    Ok(())
}

/// The values of an option.
fn values<'a>(args: &[&'a str], option: &str) -> Vec<&'a str> {
    args.iter()
        .zip(args.iter().skip(1))
        .filter(|(name, _)| **name == option)
        .map(|(_, value)| *value)
        .collect()
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

/// Runs a program.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    let status = command.status().map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{program}` failed")) }
}
