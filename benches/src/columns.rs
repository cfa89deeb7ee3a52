//! The two columns: the same measured in a process of one core, and in one of both.
//!
//! `taskset` starts each, so the confinement holds for every thread that a peer makes.

use std::process::{Command, Stdio};

use crate::args::Args;
use crate::measure::{self, Timing};
use crate::report::{self, Column, Row};

/// The columns, and what their processes are confined to.
const COLUMNS: [(&str, &str); 2] = [("one", "one core"), ("both", "both cores")];

/// Measures what `args` ask for, and prints the table.
///
/// # Errors
///
/// A peer that lost something; a process that could not be run; a file that could not be written.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    if let Some(count) = args.profile {
        return profile(args, count);
    }
    if args.here {
        let rows = measure(args)?;
        println!("{}", report::to_json(&rows)?);
        return Ok(());
    }
    let mut columns = Vec::new();
    for (name, title) in COLUMNS {
        if args.column.as_deref().is_none_or(|wanted| wanted == name) {
            eprintln!("bench: {title} …");
            columns.push(Column { title: title.to_owned(), rows: apart(args, name)? });
        }
    }
    let table = report::table(&columns);
    print!("{table}");
    if let Some(file) = &args.json {
        let json = report::to_json(&columns)?;
        std::fs::write(file, json).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if let Some(file) = &args.readme {
        let table = report::ours(&columns);
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let text = report::replace(&text, &table)?;
        std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn measure(args: &Args) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for workload in crate::workloads() {
        if args.wants_workload(workload.name) {
            eprintln!("bench:   {} {}", workload.name, workload.about);
            let timings: Vec<Timing> =
                measure::run(&workload, args.effort(), |peer| args.wants_peer(peer))
                    .map_err(|lost| lost.to_string())?;
            rows.extend(report::rows(&workload, &timings));
        }
    }
    Ok(rows)
}

/// Measures in a process of its own, on one core or on all.
fn apart(args: &Args, column: &str) -> Result<Vec<Row>, String> {
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let cores = if column == "one" { last_core() } else { all_cores() };
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &cores]).arg(exe).arg("--here");
    if args.quick {
        command.arg("--quick");
    }
    for peer in &args.peers {
        command.args(["--peer", peer]);
    }
    for workload in &args.workloads {
        command.args(["--workload", workload]);
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`taskset` (of util-linux) cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("the column `{column}` was not measured"));
    }
    report::from_json(&output.stdout)
}

/// Runs one peer alone, ours unless another is asked for, `count` times, for a profiler to look at.
fn profile(args: &Args, count: u64) -> Result<(), String> {
    for workload in crate::workloads() {
        if args.wants_workload(workload.name) {
            let mut peers = workload.peers.iter();
            let peer = peers.find(|peer| match &args.peers[..] {
                [] => peer.name == "autobus",
                [name, ..] => peer.name.contains(name.as_str()),
            });
            let peer = peer.ok_or(format!("{} has no such peer", workload.name))?;
            let found = (peer.make)()(0, count);
            if found != (workload.expected)(0, count) {
                return Err(format!("{}: something was lost", workload.name));
            }
        }
    }
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn last_core() -> String {
    (cores() - 1).to_string()
}

fn all_cores() -> String {
    format!("0-{}", cores().min(2) - 1)
}
