//! `cargo xtask test`: runs the steps one after another and stops at the first that fails.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::node::{self, Node};
use crate::servers;
use crate::steps::{Needs, STEPS, Step};

/// Runs the steps of these names, all of them if there are none, or lists them. With `--setup` among
/// the names, installs missing servers first.
///
/// # Errors
///
/// A name that no step has; servers that are missing, before any step runs; the step that failed, and
/// how to run it alone.
pub(crate) fn test(names: &[&str]) -> Result<(), String> {
    if names == ["--list"] {
        print!("{}", list());
        return Ok(());
    }
    let (flags, names): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| **name == SETUP);
    let steps = select(&names)?;
    if !flags.is_empty() {
        servers::set_up()?;
    } else if steps.iter().any(|step| step.needs == Needs::Servers) {
        servers::check()?;
    }
    let start = Instant::now();
    let mut node = None;
    let mut times = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        heading(&format!("{}/{} {}: {}", index + 1, steps.len(), step.name, step.about));
        println!("$ {step}");
        let (passed, time) = run(step, &mut node)?;
        times.push(time);
        if !passed {
            summary(&steps, &times, false, start.elapsed());
            let name = step.name;
            return Err(format!("step `{name}` failed; run it alone: cargo xtask test {name}"));
        }
    }
    summary(&steps, &times, true, start.elapsed());
    Ok(())
}

const SETUP: &str = "--setup";

fn list() -> String {
    let lines =
        STEPS.iter().map(|step| format!("{:<14}{}\n{:14}$ {step}\n", step.name, step.about, ""));
    lines.collect()
}

fn select(names: &[&str]) -> Result<Vec<&'static Step>, String> {
    if names.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    let find = |name: &&str| {
        STEPS.iter().find(|step| step.name == *name).ok_or_else(|| {
            let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            format!("there is no step `{name}`; the steps are {}", known.join(", "))
        })
    };
    names.iter().map(find).collect()
}

/// Runs a step, with the node of the run if it needs one; the first that does starts it.
fn run(step: &Step, node: &mut Option<Node>) -> Result<(bool, Duration), String> {
    let start = Instant::now();
    let mut command = cargo();
    command.args(step.args).envs(step.env.iter().copied());
    if step.needs == Needs::Servers {
        if node.is_none() {
            *node = Some(Node::start(cargo())?);
        }
        command.envs(node.iter().map(|node| (node::ENV, &node.address)));
    }
    let status = command
        .status()
        .map_err(|error| format!("`{}` cannot be run: {error}", command.get_program().display()))?;
    Ok((status.success(), start.elapsed()))
}

/// The cargo that runs this, at the root of the workspace, wherever it was called.
fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let mut command = Command::new(cargo);
    command.current_dir(root);
    command
}

fn heading(text: &str) {
    if std::io::stdout().is_terminal() {
        println!("\n\x1b[1m== {text}\x1b[0m");
    } else {
        println!("\n== {text}");
    }
}

/// Prints the time of every step that ran; the last one is the one that may have failed.
fn summary(steps: &[&Step], times: &[Duration], passed: bool, total: Duration) {
    heading("summary");
    for (index, step) in steps.iter().enumerate() {
        let verdict = if index + 1 == times.len() && !passed { "failed" } else { "passed" };
        match times.get(index) {
            Some(time) => line(step.name, &seconds(*time), verdict),
            None => line(step.name, "-", "not run"),
        }
    }
    line("total", &seconds(total), if passed { "passed" } else { "failed" });
}

fn line(name: &str, time: &str, verdict: &str) {
    println!("{name:<14}{time:>9}  {verdict}");
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_name_selects_every_step_and_each_name_is_one_step() {
        assert_eq!(select(&[]).unwrap().len(), STEPS.len());
        let names: HashSet<&str> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
        let two = select(&["docs", "fmt"]).unwrap();
        assert_eq!([two[0].name, two[1].name], ["docs", "fmt"]);
    }

    #[test]
    fn interleavings_and_the_stress_test_are_among_what_must_pass() {
        let runs = |name: &str, argument: &str| {
            STEPS.iter().any(|step| step.name == name && step.args.contains(&argument))
        };
        assert!(runs("interleavings", "interleavings"));
        // Unfiltered, so the stress test is one of them.
        assert!(runs("tests", "--tests"));
    }

    #[test]
    fn who_has_the_servers_asks_for_the_tests_that_are_ignored_without() {
        let tests = STEPS.iter().filter(|step| step.needs == Needs::Servers);
        for step in tests.filter(|step| step.args[0] == "test") {
            assert!(step.args.contains(&"--ignored"), "{step}");
        }
    }

    #[test]
    fn an_unknown_step_lists_the_known_ones() {
        let error = select(&["clipy"]).err().unwrap();
        assert!(
            error.starts_with("there is no step `clipy`; the steps are fmt, clippy, "),
            "{error}"
        );
    }

    #[test]
    fn the_list_shows_what_each_step_runs() {
        let list = list();
        assert!(
            list.contains("$ RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps\n"),
            "{list}"
        );
    }
}
