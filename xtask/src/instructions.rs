//! `cargo xtask bench --instructions`: what an operation costs in instructions.
//!
//! Times on a shared machine say little about a change; instructions repeat within a percent. A count
//! is the difference of two runs under callgrind, so that starting and stopping cancel out.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use crate::bench::{cargo, root};

/// What is counted.
const WORKLOADS: [&str; 3] = ["W1", "W3a", "W4a"];

/// So many operations in the short run, and in the long one.
const COUNTS: [u64; 2] = [1_000, 6_000];

/// How much worse a count may be than the committed one.
const SLACK: f64 = 1.3;

/// Counts; compares with the committed table (`--check`) or writes it (`--write`).
///
/// # Errors
///
/// A missing valgrind, or a count that is much worse than the committed one.
pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    if let Some(unknown) = args.iter().find(|arg| !["--check", "--write"].contains(arg)) {
        return Err(format!("unknown argument `{unknown}`; expected `--check` or `--write`"));
    }
    let valgrind = Command::new("valgrind").arg("--version").output();
    if valgrind.is_err() {
        let remedy = "install it (`apt-get install valgrind`)";
        return Err(format!("valgrind is missing, and it counts the instructions; {remedy}"));
    }
    cargo(&["build", "--release", "--package=autobus-bench"])?;
    let counts: Vec<(&str, f64)> = WORKLOADS
        .into_iter()
        .map(|workload| Ok((workload, count(workload)?)))
        .collect::<Result<_, String>>()?;
    let table = table(&counts);
    print!("{table}");
    if args.contains(&"--write") {
        std::fs::write(file(), table).map_err(|error| format!("{}: {error}", file().display()))?;
    }
    if args.contains(&"--check") {
        let committed = std::fs::read_to_string(file())
            .map_err(|error| format!("{}: {error}", file().display()))?;
        return check(&counts, &committed);
    }
    Ok(())
}

fn file() -> PathBuf {
    root().join("benches/instructions.md")
}

/// The instructions of one operation.
fn count(workload: &str) -> Result<f64, String> {
    let [short, long] = COUNTS.map(|count| instructions(workload, count));
    let (short, long) = (short?, long?);
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52 instructions")]
    let each = (long.saturating_sub(short)) as f64 / (COUNTS[1] - COUNTS[0]) as f64;
    Ok(each)
}

/// All instructions of a run of so many operations.
fn instructions(workload: &str, count: u64) -> Result<u64, String> {
    let out = root().join(format!("target/callgrind.{workload}.{count}"));
    // On one core nobody looks out for what another core is about to bring, for as long as time decides.
    let output = Command::new("taskset")
        .args(["--cpu-list", "0", "valgrind"])
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(root().join("target/release/autobus-bench"))
        .args(["--workload", workload, "--profile", &count.to_string()])
        .output()
        .map_err(|error| format!("`taskset` cannot be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("`valgrind` failed:\n{text}"));
    }
    collected(&text).ok_or_else(|| format!("`valgrind` counted nothing:\n{text}"))
}

/// What callgrind says that it collected.
fn collected(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.split_once("Collected : "))?.1;
    line.split_whitespace().next()?.parse().ok()
}

fn table(counts: &[(&str, f64)]) -> String {
    let mut text = String::from(
        "# Instructions an operation\n\nCounted and written by `cargo xtask bench --instructions \
         --write`; `cargo xtask test instructions`\nfails where one is more than 1.3 times as \
         many.\n\n| Workload | Instructions |\n|---|---:|\n",
    );
    for (workload, count) in counts {
        let _ = writeln!(text, "| {workload} | {count:.0} |");
    }
    text
}

fn check(counts: &[(&str, f64)], committed: &str) -> Result<(), String> {
    let mut worse = Vec::new();
    for (workload, count) in counts {
        let before = committed
            .lines()
            .find_map(|line| line.strip_prefix(&format!("| {workload} | ")))
            .and_then(|rest| rest.trim_end_matches([' ', '|']).parse::<f64>().ok())
            .ok_or_else(|| format!("{workload} is not in benches/instructions.md"))?;
        if *count > before * SLACK {
            worse.push(format!("{workload} takes {count:.0} instead of {before:.0} instructions"));
        }
    }
    if worse.is_empty() {
        return Ok(());
    }
    let remedy = "if that is meant, `cargo xtask bench --instructions --write`";
    Err(format!("{}; {remedy}", worse.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callgrind_prints_is_read() {
        let text = "==7== Events    : Ir\n==7== Collected : 6325801\n==7== \n";
        assert_eq!(collected(text), Some(6_325_801));
        assert_eq!(collected("==7== Events    : Ir\n"), None);
    }

    #[test]
    fn a_count_that_is_much_worse_fails_and_a_little_worse_does_not() {
        let committed = table(&[("W1", 100.0), ("W3a", 500.0)]);
        assert_eq!(check(&[("W1", 125.0), ("W3a", 100.0)], &committed), Ok(()));
        let error = check(&[("W1", 135.0)], &committed).unwrap_err();
        assert!(error.starts_with("W1 takes 135 instead of 100 instructions; "), "{error}");
        let error = check(&[("W4a", 1.0)], &committed).unwrap_err();
        assert_eq!(error, "W4a is not in benches/instructions.md");
    }
}
