//! The node of a run ends with whoever keeps it, however that ends.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use autobus_testkit::process::command;
use autobus_testkit::{Process, poll_until};

/// `shared-rabbitmq`, and the port of its node.
fn keeper(command: Command) -> (Process, u16) {
    let keeper = Process::spawn("shared-rabbitmq", command).expect("it was built with this test");
    // As long as a node may take to start.
    let patience = Duration::from_secs(120);
    let line = keeper.line_within(patience, |line| line.starts_with("amqp://127.0.0.1:"));
    let line = line.unwrap_or_else(|error| panic!("{error}"));
    let address = line.trim_start_matches("amqp://127.0.0.1:");
    let (port, management) = address.split_once("?management=").expect("the management port");
    assert!(TcpStream::connect(("127.0.0.1", management.parse().expect("a port"))).is_ok());
    (keeper, port.parse().expect("a port"))
}

fn is_up(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn the_node_of_a_run_ends_when_nobody_needs_it() {
    let (keeper, port) = keeper(command(env!("CARGO_BIN_EXE_shared-rabbitmq")));
    assert!(is_up(port));
    keeper.close_stdin();
    assert!(keeper.wait().success());
    assert!(!is_up(port));
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn no_node_outlives_a_process_that_was_killed() {
    let (keeper, port) = keeper(Command::new(env!("CARGO_BIN_EXE_shared-rabbitmq")));
    assert!(is_up(port));
    keeper.kill();
    poll_until("the node is gone", || (!is_up(port)).then_some(()));
}
