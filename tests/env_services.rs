//! The environment chooses services and transport of what `start()` starts. Each case is a process
//! of its own: this file's test binary, run again for the one test that is ignored.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(clippy::unused_self, reason = "`self` says what a handler excludes")]

mod support;

use std::process::Command;

use bus::prelude::*;
use support::has;

mod billing {
    use super::*;

    #[command]
    fn bill() -> u32 {
        1
    }

    #[derive(Default)]
    pub(crate) struct Ledger;

    #[service]
    impl Ledger {
        #[command]
        fn balance(&self) -> u32 {
            2
        }
    }
}

mod logistic {
    use super::*;

    #[command]
    fn ship() -> u32 {
        3
    }
}

#[test]
#[ignore = "the other tests run it, each in a process and an environment of its own"]
fn child() {
    let builder = bus::builder().services(["logistic"]);
    match builder.start() {
        Ok(bus) => {
            let running: Vec<String> = bus.stats().services.into_iter().map(|s| s.name).collect();
            println!("running {}", running.join(" "));
        }
        Err(error) => println!("refused {:?} {error}", error.kind()),
    }
    // What is not the default bus does not look at the environment.
    let bus = bus::builder().services(["logistic"]).build().unwrap();
    assert_eq!(bus.execute_command("logistic.ship", ()).wait(), Ok(3));
    println!("built");
}

/// Runs the child in an environment of its own; gives what it said.
fn run(environment: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "child", "--nocapture"]);
    child
        .env_remove("BUS_SERVICES")
        .env_remove("BUS_URL")
        .env_remove("BUS_TOPOLOGY")
        .envs(environment.iter().copied());
    let output = child.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    has(&said, &["built"]);
    said
}

#[test]
fn without_the_environment_the_code_chooses() {
    has(&run(&[]), &["running logistic\n"]);
    has(&run(&[("BUS_SERVICES", ""), ("BUS_URL", " ")]), &["running logistic\n"]);
}

#[test]
fn the_environment_chooses_services_over_the_code() {
    has(&run(&[("BUS_SERVICES", "billing")]), &["running billing billing.ledger\n"]);
    has(&run(&[("BUS_SERVICES", "billing.ledger")]), &["running billing.ledger\n"]);
    let all = "running billing billing.ledger logistic\n";
    has(&run(&[("BUS_SERVICES", " billing , logistic ,")]), &[all]);
}

#[test]
fn an_unknown_service_in_the_environment_lists_the_known_ones() {
    let said = run(&[("BUS_SERVICES", "billing,logistics")]);
    has(&said, &["refused Wiring", "no service `logistics`", "`billing`", "`logistic`"]);
}

#[test]
fn the_environment_chooses_the_transport() {
    has(&run(&[("BUS_URL", "memory:")]), &["running logistic\n"]);
    let said = run(&[("BUS_URL", "carrier-pigeon://roof")]);
    has(&said, &["refused Transport", "`carrier-pigeon`", "not compiled in", "`memory`"]);
    assert!(!said.contains("roof"), "{said}");
}

#[test]
fn an_unknown_topology_in_the_environment_lists_the_known_ones() {
    has(&run(&[("BUS_TOPOLOGY", " own ")]), &["running logistic\n"]);
    let said = run(&[("BUS_TOPOLOGY", "all")]);
    has(&said, &["refused Config", "BUS_TOPOLOGY is `all`", "`linked`, `own` or `none`"]);
}
